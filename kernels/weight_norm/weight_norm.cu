#include "kernels/weight_norm/weight_norm.cuh"

#include <algorithm>

#include "core/device/launch.h"
#include "kernels/weight_norm/weight_norm_split.cuh"

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

template <class T>
unsigned chunks_of(int64_t length) {
  return static_cast<unsigned>((length + split_chunk<T> - 1) / split_chunk<T>);
}

// Launches what fits on chip in as few launches as the table allows, of those weights that are
// aligned or of those that are not.
template <class T, class Weight>
void run_on_chip(void (*kernel)(const Table<Weight> __grid_constant__), const char* name,
                 bool aligned, int staged, std::span<const Weight> weights,
                 gpu::StreamHandle stream) {
  // The longest row decides the size of the blocks, and that how many rows a block takes.
  int threads = smallest_block;
  for (const Weight& weight : weights) {
    if (is_aligned(weight) == aligned) {
      threads = std::max(threads, geometry<T>(weight.length, staged, aligned).lanes);
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
    const Geometry g = geometry<T>(weight.length, staged, aligned);
    if (is_aligned(weight) != aligned || g.layout == Layout::Split || weight.rows == 0) {
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

template <class... Parameters, class... Arguments>
void launch_chunks(void (*packed)(Parameters...), void (*scalar)(Parameters...), bool aligned,
                   int64_t blocks, const char* name, gpu::StreamHandle stream,
                   const Arguments&... arguments) {
  launch(
      aligned ? packed : scalar,
      {.grid = static_cast<unsigned>(blocks), .block = max_threads, .stream = stream, .name = name},
      arguments...);
}

}  // namespace

int64_t weight_norm_scratch(int64_t rows, int64_t length, int64_t element_bytes) {
  const int64_t chunk = int64_t{max_threads} * 64 / element_bytes;
  return length <= chunk ? 0 : rows * ((length + chunk - 1) / chunk);
}

template <class T>
void launch_weight_norm_forward(std::span<const WeightNormForward<T>> weights, double* scratch,
                                gpu::StreamHandle stream) {
  const char* name = "weight_norm_forward";
  run_on_chip<T>(&weight_norm_forward<T, true>, name, true, 1, weights, stream);
  run_on_chip<T>(&weight_norm_forward<T, false>, name, false, 1, weights, stream);
  for (const WeightNormForward<T>& weight : weights) {
    const bool aligned = is_aligned(weight);
    if (geometry<T>(weight.length, 1, aligned).layout != Layout::Split) {
      continue;
    }
    const unsigned chunks = chunks_of<T>(weight.length);
    const int64_t blocks = weight.rows * chunks;
    launch_chunks(&weight_norm_chunk_squares<T, true>, &weight_norm_chunk_squares<T, false>,
                  aligned, blocks, "weight_norm_chunk_squares", stream, weight.v, weight.length,
                  chunks, scratch);
    launch_chunks(&weight_norm_forward_chunks<T, true>, &weight_norm_forward_chunks<T, false>,
                  aligned, blocks, "weight_norm_forward_chunks", stream, weight, chunks, scratch);
    scratch += blocks;
  }
}

template <class T>
void launch_weight_norm_backward(std::span<const WeightNormBackward<T>> weights, double* scratch,
                                 gpu::StreamHandle stream) {
  const char* name = "weight_norm_backward";
  run_on_chip<T>(&weight_norm_backward<T, true>, name, true, 2, weights, stream);
  run_on_chip<T>(&weight_norm_backward<T, false>, name, false, 2, weights, stream);
  for (const WeightNormBackward<T>& weight : weights) {
    const bool aligned = is_aligned(weight);
    if (geometry<T>(weight.length, 2, aligned).layout != Layout::Split) {
      continue;
    }
    const unsigned chunks = chunks_of<T>(weight.length);
    const int64_t blocks = weight.rows * chunks;
    launch_chunks(&weight_norm_chunk_dots<T, true>, &weight_norm_chunk_dots<T, false>, aligned,
                  blocks, "weight_norm_chunk_dots", stream, weight.dw, weight.v, weight.length,
                  chunks, scratch);
    launch_chunks(&weight_norm_backward_chunks<T, true>, &weight_norm_backward_chunks<T, false>,
                  aligned, blocks, "weight_norm_backward_chunks", stream, weight, chunks, scratch);
    scratch += blocks;
  }
}

template void launch_weight_norm_forward<float>(std::span<const WeightNormForward<float>>, double*,
                                                gpu::StreamHandle);
template void launch_weight_norm_forward<double>(std::span<const WeightNormForward<double>>,
                                                 double*, gpu::StreamHandle);
template void launch_weight_norm_backward<float>(std::span<const WeightNormBackward<float>>,
                                                 double*, gpu::StreamHandle);
template void launch_weight_norm_backward<double>(std::span<const WeightNormBackward<double>>,
                                                  double*, gpu::StreamHandle);

}  // namespace warptape
