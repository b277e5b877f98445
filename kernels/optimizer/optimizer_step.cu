#include "kernels/optimizer/optimizer_step.cuh"

#include <algorithm>

#include "core/device/launch.h"
#include "core/element_types.h"

namespace warptape {
namespace {

using namespace optimizer_detail;

unsigned chunks_of(int64_t numel, int64_t chunk) {
  return static_cast<unsigned>((numel + chunk - 1) / chunk);
}

// Tables of entries with so many elements per block.
template <class Entry, class Run>
void for_each_table_of(std::span<const Entry> entries, int64_t chunk, const Run& run) {
  for_each_table<Table<Entry>>(
      entries, [&](const Entry& entry) { return chunks_of(entry.numel, chunk); }, run);
}

}  // namespace

template <class T, class Constants>
void launch_optimizer_step(std::span<const UpdateEntry<T>> entries, const Constants& constants,
                           const double* learning_rate, unsigned long long* arrivals,
                           gpu::StreamHandle stream) {
  for_each_table_of(entries, chunk<T>, [&](const Table<UpdateEntry<T>>& table) {
    launch(&optimizer_step<T, typename Constants::template Rule<Compute<T>>>,
           {.grid = table.blocks, .block = threads, .stream = stream, .name = "optimizer_step"},
           table, constants, learning_rate, arrivals);
  });
}

int64_t count_of_chunk_norms(int64_t numel, int64_t element_bytes) {
  return chunks_of(numel, sum_chunk<uint8_t> / element_bytes);
}

template <class T>
int64_t launch_gradient_norm(std::span<const SpanEntry<const T>> entries, double* partial,
                             const AllNorms& all, gpu::StreamHandle stream) {
  int64_t written = 0;
  for_each_table_of(entries, sum_chunk<T>, [&](const Table<SpanEntry<const T>>& table) {
    double* const own = partial + written;
    written += table.blocks;
    AllNorms end = all;
    end.count = partial + written == all.norms + all.count ? all.count : 0;
    launch(&gradient_norm<T>,
           {.grid = table.blocks, .block = threads, .stream = stream, .name = "gradient_norm"},
           table, own, end);
  });
  return written;
}

template <class T>
void launch_scale(std::span<const SpanEntry<T>> entries, const double* result,
                  gpu::StreamHandle stream) {
  for_each_table_of(entries, chunk<T>, [&](const Table<SpanEntry<T>>& table) {
    launch(&scale<T>, {.grid = table.blocks, .block = threads, .stream = stream, .name = "scale"},
           table, result);
  });
}

#define WARPTAPE_STEP(Constants, T)                                                      \
  template void launch_optimizer_step(std::span<const UpdateEntry<T>>, const Constants&, \
                                      const double*, unsigned long long*, gpu::StreamHandle);
#define WARPTAPE_INSTANTIATE(dtype, T, name)                                             \
  WARPTAPE_OPTIMIZER_RULES(WARPTAPE_STEP, T)                                             \
  template int64_t launch_gradient_norm<T>(std::span<const SpanEntry<const T>>, double*, \
                                           const AllNorms&, gpu::StreamHandle);          \
  template void launch_scale<T>(std::span<const SpanEntry<T>>, const double*, gpu::StreamHandle);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE
#undef WARPTAPE_STEP

}  // namespace warptape
