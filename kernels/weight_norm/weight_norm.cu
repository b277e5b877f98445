#include "kernels/weight_norm/weight_norm.cuh"

#include <algorithm>

#include "core/device/launch.h"
#include "core/element_types.h"
#include "kernels/weight_norm/weight_norm_split.cuh"
#include "kernels/weight_norm/weight_norm_unaligned.cuh"

namespace warptape {
namespace {

using namespace weight_norm_detail;

constexpr int smallest_block = 256;

template <class Weight>
bool is_aligned(const Weight& weight) {
  bool aligned = true;
  weight.for_each_pointer([&](const auto* pointer) {
    // Per-row values (g, norms) are read one by one and need no alignment, but tensors start
    // aligned unless they are slices, so that asking it of all costs nothing.
    aligned = aligned && simt::is_aligned16(pointer);
  });
  return aligned;
}

// Which table a weight is in. Columns are read element by element, wherever they start.
template <class Weight>
bool is_in_aligned_table(const Weight& weight) {
  return is_aligned(weight) || !weight.places.are_rows();
}

bool takes_two_launches(const Geometry& geometry) {
  return geometry.layout == Layout::Split || geometry.layout == Layout::ColumnParts;
}

template <class T>
unsigned chunks_of(int64_t length) {
  return static_cast<unsigned>((length + split_chunk<T> - 1) / split_chunk<T>);
}

// Launches all but the split weights in as few launches as the table allows: those that are
// aligned, or those that are not.
template <class T, class Weight>
void run_tables(void (*kernel)(const Table<Weight> __grid_constant__), const char* name,
                bool aligned, int staged, std::span<const Weight> weights,
                gpu::StreamHandle stream) {
  // The longest slice decides the size of the blocks, and that how many rows a block takes.
  int threads = smallest_block;
  for (const Weight& weight : weights) {
    if (is_in_aligned_table(weight) == aligned) {
      threads = std::max(threads, geometry_of<T>(weight, staged, aligned).lanes);
    }
  }
  Table<Weight> table;
  size_t shared = 0;
  const auto flush = [&] {
    launch(kernel,
           {.grid = table.blocks,
            .block = static_cast<unsigned>(threads),
            .smem = shared,
            .stream = stream,
            .name = name},
           table);
    table.count = 0;
    table.blocks = 0;
  };
  for (const Weight& weight : weights) {
    const Geometry g = geometry_of<T>(weight, staged, aligned);
    if (is_in_aligned_table(weight) != aligned || takes_two_launches(g) || weight.rows == 0) {
      continue;
    }
    if (g.layout == Layout::Columns) {
      const NormSlices& at = weight.places;
      const int64_t elements = at.outer * at.lines * g.rows_per_block * at.run * staged;
      shared = std::max(shared, static_cast<size_t>(elements) * sizeof(T) +
                                    static_cast<size_t>(column_partials<T>) * sizeof(double));
      table.add({weight, g},
                static_cast<unsigned>(at.groups * divide_up(at.columns, g.rows_per_block)));
      if (table.is_full()) {
        flush();
      }
      continue;
    }
    int64_t rows_per_block = threads / g.lanes;
    if (g.layout == Layout::Staged) {
      rows_per_block = g.rows_per_block;
      const int64_t elements = rows_per_block * weight.length * staged;
      shared = std::max(shared, static_cast<size_t>(elements) * sizeof(T));
    }
    table.add({weight, g},
              static_cast<unsigned>((weight.rows + rows_per_block - 1) / rows_per_block));
    if (table.is_full()) {
      flush();
    }
  }
  flush();
}

// Calls run(weight, config of a launch with a block per chunk, chunks) for every split weight.
template <class T, class Weight, class Run>
void for_each_split(std::span<const Weight> weights, gpu::StreamHandle stream, const Run& run) {
  for (const Weight& weight : weights) {
    if (geometry_of<T>(weight, 1, is_aligned(weight)).layout == Layout::Split) {
      const unsigned chunks = chunks_of<T>(weight.length);
      run(weight,
          LaunchConfig{.grid = static_cast<unsigned>(weight.rows * chunks),
                       .block = max_threads,
                       .stream = stream},
          chunks);
    }
  }
}

// Calls run(weight, config, plan) for every weight whose columns are in parts. tensors: how many a
// block would hold.
template <class T, class Weight, class Run>
void for_each_in_parts(std::span<const Weight> weights, int tensors, gpu::StreamHandle stream,
                       const Run& run) {
  for (const Weight& weight : weights) {
    if (geometry_of<T>(weight, tensors, true).layout == Layout::ColumnParts && weight.rows > 0) {
      const NormSlices& at = weight.places;
      const ColumnPlan plan = column_parts<T>(at);
      const int64_t tiles = at.groups * divide_up(at.columns, plan.columns);
      run(weight,
          LaunchConfig{.grid = static_cast<unsigned>(tiles * plan.parts()),
                       .block = max_threads,
                       .smem = static_cast<size_t>(column_partials<T>) * sizeof(double),
                       .stream = stream},
          plan);
    }
  }
}

template <class T, class Weight>
int64_t scratch_of(const Weight& weight, int tensors) {
  if (weight.rows == 0) {
    return 0;
  }
  if (!weight.places.are_rows()) {
    const bool in_parts = column_geometry<T>(weight.places, tensors).layout == Layout::ColumnParts;
    return in_parts ? weight.rows * column_parts<T>(weight.places).parts() : 0;
  }
  return weight.length <= split_chunk<T> ? 0 : weight.rows * chunks_of<T>(weight.length);
}

LaunchConfig named(LaunchConfig config, const char* name) {
  config.name = name;
  return config;
}

}  // namespace

template <class T, class W>
int64_t weight_norm_scratch(const WeightNormForward<T, W>& weight) {
  return scratch_of<T>(weight, 1);
}
template <class T>
int64_t weight_norm_scratch(const WeightNormBackward<T>& weight) {
  return scratch_of<T>(weight, 2);
}

template <class T, class W>
void launch_weight_norm_forward(std::span<const WeightNormForward<T, W>> weights, double* scratch,
                                gpu::StreamHandle stream) {
  run_tables<T>(&weight_norm_forward<T, W>, "weight_norm_forward", true, 1, weights, stream);
  run_tables<T>(&weight_norm_forward_unaligned<T, W>, "weight_norm_forward_unaligned", false, 1,
                weights, stream);
  for_each_split<T>(
      weights, stream,
      [&](const WeightNormForward<T, W>& weight, const LaunchConfig& config, unsigned chunks) {
        launch(&weight_norm_chunk_norms<T>, named(config, "weight_norm_chunk_norms"), weight.v,
               weight.length, chunks, scratch);
        launch(&weight_norm_forward_chunks<T, W>, named(config, "weight_norm_forward_chunks"),
               weight, chunks, scratch);
        scratch += config.grid.x;
      });
  for_each_in_parts<T>(
      weights, 1, stream,
      [&](const WeightNormForward<T, W>& weight, const LaunchConfig& config,
          const ColumnPlan& plan) {
        launch(&weight_norm_column_norms<T>, named(config, "weight_norm_column_norms"), weight.v,
               weight.places, plan, scratch);
        launch(&weight_norm_forward_columns<T, W>, named(config, "weight_norm_forward_columns"),
               weight, plan, scratch);
        scratch += weight.rows * plan.parts();
      });
}

template <class T>
void launch_weight_norm_backward(std::span<const WeightNormBackward<T>> weights, double* scratch,
                                 gpu::StreamHandle stream) {
  run_tables<T>(&weight_norm_backward<T>, "weight_norm_backward", true, 2, weights, stream);
  run_tables<T>(&weight_norm_backward_unaligned<T>, "weight_norm_backward_unaligned", false, 2,
                weights, stream);
  for_each_split<T>(
      weights, stream,
      [&](const WeightNormBackward<T>& weight, const LaunchConfig& config, unsigned chunks) {
        launch(&weight_norm_chunk_dots<T>, named(config, "weight_norm_chunk_dots"), weight, chunks,
               scratch);
        launch(&weight_norm_backward_chunks<T>, named(config, "weight_norm_backward_chunks"),
               weight, chunks, scratch);
        scratch += config.grid.x;
      });
  for_each_in_parts<T>(
      weights, 2, stream,
      [&](const WeightNormBackward<T>& weight, const LaunchConfig& config, const ColumnPlan& plan) {
        launch(&weight_norm_column_dots<T>, named(config, "weight_norm_column_dots"), weight, plan,
               scratch);
        launch(&weight_norm_backward_columns<T>, named(config, "weight_norm_backward_columns"),
               weight, plan, scratch);
        scratch += weight.rows * plan.parts();
      });
}

#define WARPTAPE_INSTANTIATE_FORWARD(T, W)                                                 \
  template int64_t weight_norm_scratch(const WeightNormForward<T, W>&);                    \
  template void launch_weight_norm_forward<T, W>(std::span<const WeightNormForward<T, W>>, \
                                                 double*, gpu::StreamHandle);
#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                    \
  WARPTAPE_INSTANTIATE_FORWARD(T, T)                                                            \
  template int64_t weight_norm_scratch(const WeightNormBackward<T>&);                           \
  template void launch_weight_norm_backward<T>(std::span<const WeightNormBackward<T>>, double*, \
                                               gpu::StreamHandle);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
WARPTAPE_INSTANTIATE_FORWARD(float, simt::bfloat16)
#undef WARPTAPE_INSTANTIATE
#undef WARPTAPE_INSTANTIATE_FORWARD

}  // namespace warptape
