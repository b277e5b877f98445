#include "kernels/optimizer/normalizing_step.cuh"

#include <algorithm>

#include "core/device/launch.h"

namespace warptape {
namespace {

using namespace optimizer_detail;
using weight_norm_detail::Geometry;
using weight_norm_detail::Layout;

Geometry rows_of(int64_t length, bool aligned) {
  Geometry result = weight_norm_detail::geometry<float>(length, 1, aligned);
  if (result.layout != Layout::Staged) {
    result.rows_per_block = std::max(1, threads / result.lanes);
  }
  return result;
}

}  // namespace

bool step_can_normalize(int64_t length, bool aligned) {
  const Geometry own = rows_of(length, aligned);
  return length > 0 && aligned && own.layout != Layout::Split && own.lanes <= threads;
}

template <class Constants>
void launch_normalizing_step(std::span<const UpdateEntry<float>> entries,
                             std::span<const NormalizedEntry> weights, const Constants& constants,
                             const double* learning_rate, unsigned long long* arrivals,
                             gpu::StreamHandle stream) {
  // A launch takes as many weights as its table holds, and of the other values the same.
  Table<UpdateEntry<float>> table;
  WeightTable of_weights;
  size_t entry = 0;
  for (size_t first = 0; first < weights.size(); first += WeightTable::capacity) {
    of_weights.count = 0;
    of_weights.blocks = 0;
    size_t shared = 0;
    for (NormalizedEntry weight :
         weights.subspan(first, std::min<size_t>(WeightTable::capacity, weights.size() - first))) {
      weight.geometry = rows_of(weight.length, true);
      const int64_t per_block = weight.geometry.rows_per_block;
      of_weights.add(weight, static_cast<unsigned>((weight.rows + per_block - 1) / per_block));
      if (weight.geometry.layout == Layout::Staged) {
        shared = std::max(shared, static_cast<size_t>(per_block * weight.length) * sizeof(float));
      }
    }
    table.count = 0;
    table.blocks = 0;
    for (; entry < entries.size() && !table.is_full(); ++entry) {
      if (entries[entry].numel > 0) {
        table.add(entries[entry],
                  static_cast<unsigned>((entries[entry].numel + chunk<float> - 1) / chunk<float>));
      }
    }
    launch(&normalizing_step<typename Constants::template Rule<float>>,
           {.grid = of_weights.blocks + table.blocks,
            .block = threads,
            .smem = shared,
            .stream = stream,
            .name = "optimizer_step"},
           table, of_weights, constants, learning_rate, arrivals);
  }
  launch_optimizer_step<float>(entries.subspan(entry), constants, learning_rate, arrivals, stream);
}

#define WARPTAPE_INSTANTIATE(Constants, unused)                                             \
  template void launch_normalizing_step(std::span<const UpdateEntry<float>>,                \
                                        std::span<const NormalizedEntry>, const Constants&, \
                                        const double*, unsigned long long*, gpu::StreamHandle);
WARPTAPE_WEIGHT_RULES(WARPTAPE_INSTANTIATE, )
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
