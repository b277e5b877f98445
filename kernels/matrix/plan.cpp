#include "kernels/matrix/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <tuple>

#include "core/check.h"
#include "core/memo.h"

namespace warptape::matrix {
namespace {

// Of the H100 and the H200. Plans do not ask which GPU is there: results would depend on it.
constexpr int64_t multiprocessors = 132;
constexpr int64_t resident_blocks = 2 * multiprocessors;

int64_t parts(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

// Multiplications that a multiprocessor makes per cycle.
int64_t speed_of(Cores cores) {
  return cores == Cores::Tensor ? 1024 : cores == Cores::Float ? 128 : 64;
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
int64_t cost_of(const Plan& plan, const ProductSize& size, Cores cores) {
  const int64_t at_once = parts(plan.blocks, multiprocessors);
  const int64_t filling = 2;  // steps that a block waits for its first operands
  int64_t cost = at_once * (plan.steps + filling) * cycles_of_step(plan.tile, cores, plan.pack);
  if (at_once == 1) {
    cost += cost / 4;  // nobody computes while the only block waits
  }
  if (plan.splits > 1) {
    const int64_t launch = 4000;
    const int64_t sum_bytes = cores == Cores::Double ? 8 : 4;
    const int64_t results = size.rows * size.columns * size.groups;
    cost += launch + plan.splits * results * sum_bytes / 1000;
  }
  return cost;
}

Plan spread(const ProductSize& size, const TileSize& tile, int pack, int64_t splits) {
  Plan plan;
  plan.pack = pack;
  plan.tile = tile;
  plan.tiles = parts(size.rows, tile.rows) * parts(size.columns, tile.columns) * size.groups;
  const int64_t steps = parts(size.depth, tile.depth);
  plan.steps = static_cast<int>(parts(steps, splits));
  plan.splits = static_cast<int>(std::max<int64_t>(parts(steps, std::max(plan.steps, 1)), 1));
  plan.blocks = plan.tiles * plan.splits;
  return plan;
}

}  // namespace

Finish plan_finish(int64_t results, int64_t splits) {
  Finish finish;
  constexpr int most_sharers = 32;  // 8 neighbouring floats make a sector of memory
  while (finish.sharers < most_sharers && 2 * finish.sharers <= splits &&
         results * finish.sharers < resident_blocks * block_threads) {
    finish.sharers *= 2;
  }
  finish.blocks = parts(results, block_threads / finish.sharers);
  return finish;
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
    const Plan plan = spread(size, tile, pack, splits);
    const int64_t cost = cost_of(plan, size, cores);
    if (cost < least) {
      best = plan;
      least = cost;
    }
  };
  const auto consider_tile = [&](const TileSize& tile) {
    consider(tile, 1);
    if (size.is_pass) {
      return;
    }
    const int64_t tiles = spread(size, tile, pack, 1).tiles;
    const int64_t steps = parts(size.depth, tile.depth);
    for (const int64_t splits : {int64_t{2}, int64_t{4}, int64_t{8}, int64_t{16},
                                 multiprocessors / tiles, resident_blocks / tiles}) {
      if (splits > 1 && splits <= steps && tiles * splits <= resident_blocks) {
        consider(tile, splits);
      }
    }
  };
  if (cores == Cores::Tensor) {
    consider_tile(mma_tile);
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
  if (best.splits > 1) {
    const int64_t columns = size.columns + (size.row_sums ? 1 : 0);
    best.finish = plan_finish(size.rows * columns * size.groups, best.splits);
  }
  return best;
}

}  // namespace

Plan make_plan(const ProductSize& size, Cores cores, int pack) {
  thread_local Memo<std::tuple<ProductSize, Cores, int>, Plan> plans;
  return plans.of({size, cores, pack}, [&] { return cheapest_plan(size, cores, pack); });
}

std::string to_string(const Plan& plan) {
  const auto counted = [](int64_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  std::string text = plan.pack == 1 ? "single elements" : fmt::format("packs of {}", plan.pack);
  text += fmt::format(", tiles of {}x{}, {}", plan.tile.rows, plan.tile.columns,
                      counted(plan.blocks, "block"));
  if (plan.splits > 1) {
    text += fmt::format(", {} of {} added up by {}", counted(plan.splits, "split"),
                        counted(plan.steps, "step"), counted(plan.finish.blocks, "block"));
  } else {
    text += fmt::format(" of {}", counted(plan.steps, "step"));
  }
  return text;
}

}  // namespace warptape::matrix
