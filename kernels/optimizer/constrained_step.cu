#include "kernels/optimizer/constrained_step.cuh"

#include "core/device/launch.h"
#include "core/element_types.h"

namespace warptape {
namespace {

using namespace optimizer_detail;

// One pack for each thread, of rows that a warp holds so; four, where they are longer.
template <class T>
int lanes_of_row(int64_t length) {
  const int64_t pack = simt::pack_size<T>;
  const int64_t per_lane = length <= 32 * pack ? pack : packs_per_thread * pack;
  const int64_t wanted = (length + per_lane - 1) / per_lane;
  return rows::power_of_two_from(wanted < threads ? wanted : threads);
}

}  // namespace

template <class T, class Constants>
void launch_constrained_step(std::span<const ConstrainedEntry<T>> entries,
                             const Constants& constants, const double* learning_rate,
                             unsigned long long* arrivals, gpu::StreamHandle stream) {
  const auto blocks_of = [](ConstrainedEntry<T>& entry) {
    entry.lanes = lanes_of_row<T>(entry.length);
    const int64_t per_block = threads / entry.lanes;
    const int64_t rows = entry.update.numel / entry.length;
    return static_cast<unsigned>((rows + per_block - 1) / per_block);
  };
  for_each_table<Table<ConstrainedEntry<T>>>(entries, blocks_of, [&](const auto& table) {
    launch(&constrained_step<T, typename Constants::template Rule<Compute<T>>>,
           {.grid = table.blocks, .block = threads, .stream = stream, .name = "constrained_step"},
           table, constants, learning_rate, arrivals);
  });
}

#define WARPTAPE_STEP(Constants, T)                                                             \
  template void launch_constrained_step(std::span<const ConstrainedEntry<T>>, const Constants&, \
                                        const double*, unsigned long long*, gpu::StreamHandle);
#define WARPTAPE_INSTANTIATE(dtype, T, name) WARPTAPE_WEIGHT_RULES(WARPTAPE_STEP, T)
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE
#undef WARPTAPE_STEP

}  // namespace warptape
