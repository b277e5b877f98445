#include <utility>

#include "core/device/launch.h"
#include "kernels/embedding/embedding_cuda.h"

namespace warptape::on_cuda {
namespace {

using Sort = EmbeddingSort;

__device__ int digit_of(int target, int shift) {
  return (target >> shift) & (Sort::digits - 1);
}

// A thread per row of dy.
__global__ void __launch_bounds__(Sort::chunk)
    targets_kernel(const EmbeddingRows __grid_constant__ rows, const int64_t* index, int* targets,
                   int* places) {
  const int64_t own = int64_t{blockIdx.x} * Sort::chunk + threadIdx.x;
  if (own < rows.count) {
    targets[own] = static_cast<int>(rows.target(index[own]));
    places[own] = static_cast<int>(own);
  }
}

// A block per chunk, a thread per digit: all threads read the same target at a time.
__global__ void __launch_bounds__(Sort::digits)
    count_kernel(int count, int shift, const int* targets, int* counts) {
  const int first = static_cast<int>(blockIdx.x) * Sort::chunk;
  const int behind = count - first < Sort::chunk ? count : first + Sort::chunk;
  const int digit = static_cast<int>(threadIdx.x);
  int found = 0;
  for (int i = first; i < behind; ++i) {
    found += digit_of(targets[i], shift) == digit ? 1 : 0;
  }
  counts[static_cast<int>(blockIdx.x) * Sort::digits + digit] = found;
}

// A thread per digit: how many of it lie in the chunks before each, and in all of them.
__global__ void __launch_bounds__(Sort::digits)
    chunks_before_kernel(int chunks, int* counts, int* totals) {
  const int digit = static_cast<int>(threadIdx.x);
  int before = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    int& own = counts[chunk * Sort::digits + digit];
    const int here = own;
    own = before;
    before += here;
  }
  totals[digit] = before;
}

// A thread per row of dy, which goes behind all smaller digits and behind those of its own before
// it.
__global__ void __launch_bounds__(Sort::chunk)
    place_kernel(int count, int shift, const int* targets, const int* places, const int* counts,
                 const int* totals, int* to_targets, int* to_places) {
  const int first = static_cast<int>(blockIdx.x) * Sort::chunk;
  const int own = first + static_cast<int>(threadIdx.x);
  if (own >= count) {
    return;
  }
  const int digit = digit_of(targets[own], shift);
  int to = counts[static_cast<int>(blockIdx.x) * Sort::digits + digit];
  for (int smaller = 0; smaller < digit; ++smaller) {
    to += totals[smaller];
  }
  for (int i = first; i < own; ++i) {
    to += digit_of(targets[i], shift) == digit ? 1 : 0;
  }
  to_targets[to] = targets[own];
  to_places[to] = places[own];
}

LaunchConfig config_of(const char* name, gpu::StreamHandle stream, int64_t blocks, int threads) {
  return {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(static_cast<unsigned>(threads)),
          .stream = stream,
          .name = name};
}

}  // namespace

SortedRows sort_embedding_rows(gpu::StreamHandle stream, const EmbeddingRows& rows,
                               const int64_t* index, int* numbers) {
  const int64_t chunks = Sort::chunks(rows);
  const int count = static_cast<int>(rows.count);
  int* targets = numbers;
  int* places = targets + rows.count;
  int* to_targets = places + rows.count;
  int* to_places = to_targets + rows.count;
  int* const counts = to_places + rows.count;
  int* const totals = counts + chunks * Sort::digits;
  launch(targets_kernel, config_of("embedding_targets", stream, chunks, Sort::chunk), rows, index,
         targets, places);
  // The largest target is rows.rows.
  for (int shift = 0; shift == 0 || rows.rows >> shift > 0; shift += 8) {
    launch(count_kernel, config_of("embedding_count", stream, chunks, Sort::digits), count, shift,
           targets, counts);
    launch(chunks_before_kernel, config_of("embedding_chunks", stream, 1, Sort::digits),
           static_cast<int>(chunks), counts, totals);
    launch(place_kernel, config_of("embedding_place", stream, chunks, Sort::chunk), count, shift,
           targets, places, counts, totals, to_targets, to_places);
    std::swap(targets, to_targets);
    std::swap(places, to_places);
  }
  return {targets, places};
}

}  // namespace warptape::on_cuda
