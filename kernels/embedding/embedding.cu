#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "core/simt/packs.cuh"
#include "kernels/embedding/embedding_cuda.h"

namespace warptape::on_cuda {
namespace {

constexpr unsigned threads = 256;

// A thread owns a pack of E columns of a row of y.
template <int E, class T>
__global__ void __launch_bounds__(threads)
    forward_kernel(const EmbeddingRows __grid_constant__ rows, const int64_t* index,
                   const T* weight, gpu::ErrorReport* report, int bad_index, T* y) {
  const int64_t own = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int64_t packs = rows.columns / E;
  const int64_t place = own / packs;
  if (place >= rows.count) {
    return;
  }
  const int64_t column = own % packs * E;
  const int64_t row = index[place];
  simt::Pack<T, E> values = simt::repeat_pack<E>(T(0));
  if (row >= 0 && row < rows.rows) {
    values = simt::load_pack<E>(weight + row * rows.columns + column);
  } else {
    report_fault(report, bad_index, place, row);
  }
  simt::store_pack<E>(y + place * rows.columns + column, values);
}

template <int E, class T>
__device__ void store_total(const double (&total)[E], T* to) {
  simt::Pack<T, E> rounded;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    rounded[e] = static_cast<T>(total[e]);
  }
  simt::store_pack<E>(to, rounded);
}

// Where the sum of a part of a row's gradients waits: by piece, at [0] of what begins with the
// piece, at [1] of a row that begins within and goes on behind.
__device__ double* partial(double* partials, const EmbeddingRows& rows, bool within, int64_t piece,
                           int64_t column) {
  return partials + ((within ? rows.pieces() : 0) + piece) * rows.columns + column;
}

// A thread owns a pack of columns of what begins at one sorted place: a row's gradients, or a piece
// of them. It sums to the end of either.
template <int E, class T>
__global__ void __launch_bounds__(threads)
    pieces_kernel(const EmbeddingRows __grid_constant__ rows, const SortedRows sorted, const T* dy,
                  double* partials, Compute<T>* dweight) {
  const int64_t own = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int64_t packs = rows.columns / E;
  const int64_t first = own / packs;
  if (first >= rows.count) {
    return;
  }
  const int64_t column = own % packs * E;
  const int row = sorted.targets[first];
  const bool begins_row = first == 0 || sorted.targets[first - 1] != row;
  const bool begins_piece = first % rows.piece == 0;
  if (row == rows.rows || (!begins_row && !begins_piece)) {
    return;
  }
  const int64_t piece = first / rows.piece;
  const int64_t piece_end = (piece + 1) * rows.piece;
  const int64_t behind = piece_end < rows.count ? piece_end : rows.count;
  double sums[E] = {};
  int64_t at = first;
  for (; at < behind && sorted.targets[at] == row; ++at) {
    const auto values = simt::load_pack<E>(dy + sorted.places[at] * rows.columns + column);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      sums[e] += static_cast<double>(values[e]);
    }
  }
  const bool goes_on = at < rows.count && sorted.targets[at] == row;
  if (begins_row && !goes_on) {
    store_total<E>(sums, dweight + row * rows.columns + column);
    return;
  }
  double* const to = partial(partials, rows, !begins_piece, piece, column);
#pragma unroll
  for (int e = 0; e < E; ++e) {
    to[e] = sums[e];
  }
}

// A thread owns a column of the row that begins in a piece and goes on behind it.
template <class T>
__global__ void __launch_bounds__(threads)
    long_rows_kernel(const EmbeddingRows __grid_constant__ rows, const SortedRows sorted,
                     double* partials, T* dweight) {
  const int64_t own = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int64_t piece = own / rows.columns;
  const int64_t first = piece * rows.piece;
  const int64_t behind = first + rows.piece;
  if (behind >= rows.count) {
    return;
  }
  const int64_t column = own % rows.columns;
  const int row = sorted.targets[behind - 1];
  const bool fills_piece = sorted.targets[first] == row;
  if (row == rows.rows || sorted.targets[behind] != row ||
      (fills_piece && first > 0 && sorted.targets[first - 1] == row)) {
    return;
  }
  double total = *partial(partials, rows, !fills_piece, piece, column);
  for (int64_t next = piece + 1; next < rows.pieces() && sorted.targets[next * rows.piece] == row;
       ++next) {
    total += *partial(partials, rows, false, next, column);
  }
  dweight[row * rows.columns + column] = static_cast<T>(total);
}

LaunchConfig config_of(const char* name, gpu::StreamHandle stream, int64_t packs) {
  return {.grid = dim3(static_cast<unsigned>((packs + threads - 1) / threads)),
          .block = dim3(threads),
          .stream = stream,
          .name = name};
}

template <int E, class T>
void backward(gpu::StreamHandle stream, const EmbeddingRows& rows, const SortedRows& sorted,
              const T* dy, double* partials, Compute<T>* dweight) {
  const int64_t packs = rows.columns / E;
  launch(pieces_kernel<E, T>, config_of("embedding_backward", stream, rows.count * packs), rows,
         sorted, dy, partials, dweight);
  if (rows.count > rows.piece) {
    // What is left is little, a column a thread, or a GPU would be half empty.
    launch(long_rows_kernel<Compute<T>>,
           config_of("embedding_long_rows", stream, rows.pieces() * rows.columns), rows, sorted,
           partials, dweight);
  }
}

}  // namespace

template <class T>
void embedding_forward(gpu::StreamHandle stream, const EmbeddingRows& rows, const int64_t* index,
                       const T* weight, gpu::ErrorReport* report, int bad_index, T* y) {
  if (rows.count * rows.columns == 0) {
    return;
  }
  constexpr int pack = simt::pack_size<T>;
  const auto run = [&](auto kernel, int64_t packs) {
    launch(kernel, config_of("embedding", stream, rows.count * packs), rows, index, weight, report,
           bad_index, y);
  };
  if (rows.columns % pack == 0 && simt::is_aligned16(weight) && simt::is_aligned16(y)) {
    run(forward_kernel<pack, T>, rows.columns / pack);
  } else {
    run(forward_kernel<1, T>, rows.columns);
  }
}

template <class T>
void embedding_backward(gpu::StreamHandle stream, const EmbeddingRows& rows,
                        const SortedRows& sorted, const T* dy, double* partials,
                        Compute<T>* dweight) {
  constexpr int pack = simt::pack_size<T>;
  if (rows.columns % pack == 0 && simt::is_aligned16(dy) && simt::is_aligned16(dweight)) {
    backward<pack>(stream, rows, sorted, dy, partials, dweight);
  } else {
    backward<1>(stream, rows, sorted, dy, partials, dweight);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                   \
  template void embedding_forward(gpu::StreamHandle, const EmbeddingRows&, const int64_t*,     \
                                  const T*, gpu::ErrorReport*, int, T*);                       \
  template void embedding_backward(gpu::StreamHandle, const EmbeddingRows&, const SortedRows&, \
                                   const T*, double*, Compute<T>*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
