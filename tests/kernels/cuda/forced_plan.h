#pragma once
// Plans that tests choose instead of make_plan, so that small products reach all of them.

#include <algorithm>

#include "kernels/matrix/plan.h"

namespace warptape {

template <class Product>
matrix::Plan forced_plan(const Product& product, int pack, const matrix::TileSize& tile, int splits,
                         bool tf32 = false) {
  const auto parts = [](int64_t n, int64_t size) { return (n + size - 1) / size; };
  const int64_t steps = parts(product.a.depth.size(), tile.depth);
  matrix::Plan plan;
  plan.cores = matrix::cores_of<typename Product::In>(tf32);
  plan.pack = pack;
  plan.tile = tile;
  plan.tiles = parts(product.out.rows.size(), tile.rows) *
               parts(product.out.columns, tile.columns) * product.out.groups;
  plan.steps = static_cast<int>(parts(steps, splits));
  plan.splits = static_cast<int>(std::max<int64_t>(parts(steps, std::max(plan.steps, 1)), 1));
  plan.blocks = plan.tiles * plan.splits;
  plan.sums_at_once = matrix::sums_at_once(plan.splits);
  plan.summing_threads = matrix::summing_threads(product.out.rows.size(), tile, plan.cores);
  return plan;
}

}  // namespace warptape
