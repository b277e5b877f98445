#include "kernels/matrix/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <tuple>

#include "core/check.h"
#include "core/device/arrivals.h"
#include "core/memo.h"

namespace warptape::matrix {
namespace {

// Of the H100 and the H200. Plans do not ask which GPU is there: results would depend on it.
constexpr int64_t multiprocessors = 132;
constexpr int64_t resident_blocks = 2 * multiprocessors;
static_assert(2 * resident_blocks <= gpu::most_arrival_counters);

int64_t parts(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

// Multiplications that a multiprocessor makes per cycle.
int64_t speed_of(Cores cores) {
  switch (cores) {
    case Cores::Tensor:
      return 1024;
    case Cores::Tf32:
      return 512;
    case Cores::Float:
      return 128;
    case Cores::Double:
      break;
  }
  return 64;
}

// Cycles of a multiprocessor for one step of one block: its multiplications and, in 5 of 8 cycles
// each, its loads. The H200's times of SimpleCNN's products have this ratio, with packs and
// without.
int64_t cycles_of_step(const TileSize& tile, Cores cores, int pack) {
  const int64_t multiplications = int64_t{tile.rows} * tile.columns * tile.depth;
  const int64_t loads = int64_t{tile.rows + tile.columns} * tile.depth / pack;
  return multiplications / speed_of(cores) + loads * 5 / 8;
}

// Until the busiest multiprocessor is done, in cycles. Plans are compared by it; it predicts no
// time.
int64_t cost_of(const Plan& plan, Cores cores) {
  const int64_t at_once = parts(plan.blocks, multiprocessors);
  const int64_t filling = 2;  // steps that a block waits for its first operands
  int64_t cost = at_once * (plan.steps + filling) * cycles_of_step(plan.tile, cores, plan.pack);
  if (at_once == 1) {
    // Nobody computes while the only block waits, which on the tensor cores has half as many warps;
    // how much that costs there is predicted, not measured.
    cost += are_tensor_cores(cores) ? cost / 2 : cost / 4;
  }
  if (plan.splits > 1) {
    // Predicted, not measured: when all blocks leave their sums, a multiprocessor writes 16 bytes
    // per cycle; those that add up read 32, and come 3000 cycles later, at the second level 1500.
    const int64_t sum_bytes = cores == Cores::Double ? 8 : 4;
    const int64_t bytes = sum_bytes * plan.tile.rows * plan.tile.columns;
    const int64_t groups = parts(plan.splits, plan.sums_at_once);
    cost += at_once * bytes / 16 + 3000 + plan.sums_at_once * bytes / 32;
    if (groups > 1) {
      cost += bytes / 16 + 1500 + groups * bytes / 32;
    }
  }
  return cost;
}

Plan spread(const ProductSize& size, const TileSize& tile, Cores cores, int pack, int64_t splits) {
  Plan plan;
  plan.cores = cores;
  plan.pack = pack;
  plan.tile = tile;
  plan.tiles = parts(size.rows, tile.rows) * parts(size.columns, tile.columns) * size.groups;
  const int64_t steps = parts(size.depth, tile.depth);
  plan.steps = static_cast<int>(parts(steps, splits));
  plan.splits = static_cast<int>(std::max<int64_t>(parts(steps, std::max(plan.steps, 1)), 1));
  plan.blocks = plan.tiles * plan.splits;
  plan.sums_at_once = sums_at_once(plan.splits);
  plan.summing_threads = summing_threads(size.rows, tile, cores);
  return plan;
}

}  // namespace

int summing_threads(int64_t rows, const TileSize& tile, Cores cores) {
  if (are_tensor_cores(cores)) {
    // Warps side by side own 64 rows.
    const int64_t used = std::min<int64_t>(parts(rows, 64), tile.rows / 64);
    return static_cast<int>(used * tile.columns / 64 * 32);
  }
  // Two warps side by side own 16 or 8 neighbouring rows of a square.
  constexpr int64_t threads = 64;
  const int64_t rows_of_these = cores == Cores::Float ? 16 : 8;
  return rows > 4 * rows_of_these ? block_threads
                                  : static_cast<int>(parts(rows, rows_of_these) * threads);
}

int sums_at_once(int splits) {
  constexpr int few = 8;
  int sums = 1;
  while (sums * sums < splits) {
    ++sums;
  }
  return splits <= few ? splits : sums;
}

namespace {

Plan cheapest_plan(const ProductSize& size, Cores cores, int pack) {
  const int square = fma_square * (cores == Cores::Double ? 2 : 4);
  const std::array<TileSize, 3> fma_tiles{{{2 * square, 2 * square, fma_depth},
                                           {2 * square, square, fma_depth},
                                           {square, square, fma_depth}}};
  Plan best;
  if (size.rows * size.columns * size.groups == 0) {
    return best;
  }
  int64_t least = INT64_MAX;
  const auto consider = [&](const TileSize& tile, int64_t splits) {
    const Plan plan = spread(size, tile, cores, pack, splits);
    const int64_t cost = cost_of(plan, cores);
    if (cost < least) {
      best = plan;
      least = cost;
    }
  };
  const auto consider_tile = [&](const TileSize& tile) {
    consider(tile, 1);
    const int64_t tiles = spread(size, tile, cores, pack, 1).tiles;
    const int64_t steps = parts(size.depth, tile.depth);
    for (const int64_t splits : {int64_t{2}, int64_t{4}, int64_t{8}, int64_t{16},
                                 multiprocessors / tiles, resident_blocks / tiles}) {
      if (splits > 1 && splits <= steps && tiles * splits <= resident_blocks) {
        consider(tile, splits);
      }
    }
  };
  if (are_tensor_cores(cores)) {
    consider_tile(mma_tile(cores));
    if (pack > 1) {
      consider_tile(thin_mma_tile(cores, size.thin_rows));
    }
  } else {
    for (const TileSize& tile : fma_tiles) {
      if (tile != fma_tiles[0] || (pack > 1 && !size.is_pass)) {
        consider_tile(tile);
      }
    }
  }
  check<ValueError>(best.blocks <= INT_MAX, Site(),
                    "blocks of a matrix product on cuda: got {}, wanted at most {}", best.blocks,
                    INT_MAX);
  return best;
}

}  // namespace

Plan make_plan(const ProductSize& size, Cores cores, int pack) {
  cores = cores == Cores::Tf32 && pack == 1 ? Cores::Float : cores;
  thread_local Memo<std::tuple<ProductSize, Cores, int>, Plan> plans;
  return plans.of({size, cores, pack}, [&] { return cheapest_plan(size, cores, pack); });
}

std::string to_string(const Plan& plan) {
  const auto counted = [](int64_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  std::string text = plan.pack == 1 ? "single elements" : fmt::format("packs of {}", plan.pack);
  text += plan.cores == Cores::Tf32 ? " in TF32" : "";
  text += fmt::format(", tiles of {}x{}, {}", plan.tile.rows, plan.tile.columns,
                      counted(plan.blocks, "block"));
  if (plan.splits > 1) {
    text += fmt::format(", {} of {}", counted(plan.splits, "split"), counted(plan.steps, "step"));
    if (plan.sums_at_once < plan.splits) {
      text += fmt::format(" in groups of {}", plan.sums_at_once);
    }
  } else {
    text += fmt::format(" of {}", counted(plan.steps, "step"));
  }
  return text;
}

}  // namespace warptape::matrix
