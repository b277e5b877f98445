#include "kernels/gather/gather_cuda.h"

#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "core/element_types.h"

namespace warptape::cuda {
namespace {

constexpr unsigned threads_forward = 256;
constexpr unsigned threads_backward = 128;

// A thread per element.
template <class T>
__global__ void __launch_bounds__(threads_forward)
    gather_kernel(const GatherLoop __grid_constant__ own, int64_t n, const T* x,
                  const int64_t* index, gpu::ErrorReport* report, int bad_index, T* y) {
  int64_t rest = int64_t{blockIdx.x} * threads_forward + threadIdx.x;
  if (rest >= n) {
    return;
  }
  int64_t at[4] = {};
  for (int d = own.loop.rank - 1; d >= 0; --d) {
    const auto dim = static_cast<size_t>(d);
    const int64_t place = d == 0 ? rest : rest % own.loop.extent[dim];
    rest = d == 0 ? 0 : rest / own.loop.extent[dim];
#pragma unroll
    for (size_t o = 0; o < 4; ++o) {
      at[o] += place * own.loop.stride[o][dim];
    }
  }
  const int64_t place = index[at[1]];
  if (place >= 0 && place < own.line) {
    y[at[0]] = x[at[2] + place * own.stride];
  } else {
    report_fault(report, bad_index, at[3], place);
    y[at[0]] = T(0);
  }
}

// A thread owns a tile of a line of dx, and goes along that line's index in its order.
template <class T>
__global__ void __launch_bounds__(threads_backward)
    gather_backward_kernel(const GatherLines __grid_constant__ lines, const T* dy,
                           const int64_t* index, bool accumulate, T* dx) {
  WARPTAPE_SHARED(double, sums, [GatherLines::most_per_thread][threads_backward]);
  const int64_t own = int64_t{blockIdx.x} * threads_backward + threadIdx.x;
  if (own >= lines.lines * lines.tiles) {
    return;
  }
  const int64_t tile = lines.lanes_along_dim ? own % lines.tiles : own / lines.lines;
  int64_t rest = lines.lanes_along_dim ? own / lines.tiles : own % lines.lines;
  const int64_t first = tile * lines.per_thread;
  const int64_t count =
      lines.line - first < lines.per_thread ? lines.line - first : lines.per_thread;
  bool covered = true;
  for (int d = lines.rank - 1; d >= 0; --d) {
    const int64_t place = d == 0 ? rest : rest % lines.extent[d];
    rest = d == 0 ? 0 : rest / lines.extent[d];
    covered = covered && place < lines.covered[d];
    dx += place * lines.stride[0][d];
    index += place * lines.stride[1][d];
    dy += place * lines.stride[2][d];
  }
  for (int64_t i = 0; i < count; ++i) {
    sums[i][threadIdx.x] = 0;
  }
  constexpr int batch = 4;  // loads that are under way together
  for (int64_t k = 0; covered && k < lines.indices; k += batch) {
    int64_t places[batch];
#pragma unroll
    for (int b = 0; b < batch; ++b) {
      places[b] = k + b < lines.indices ? index[(k + b) * lines.along[1]] - first : -1;
    }
#pragma unroll
    for (int b = 0; b < batch; ++b) {
      if (places[b] >= 0 && places[b] < count) {
        sums[places[b]][threadIdx.x] += static_cast<double>(dy[(k + b) * lines.along[2]]);
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    T& element = dx[(first + i) * lines.along[0]];
    const auto sum = static_cast<T>(sums[i][threadIdx.x]);
    element = accumulate ? static_cast<T>(element + sum) : sum;
  }
}

template <unsigned threads>
LaunchConfig config_of(int64_t count, gpu::StreamHandle stream, const char* name) {
  return {.grid = dim3(static_cast<unsigned>((count + threads - 1) / threads)),
          .block = dim3(threads),
          .stream = stream,
          .name = name};
}

}  // namespace

template <class T>
void gather(gpu::StreamHandle stream, const GatherLoop& loop, const T* x, const int64_t* index,
            gpu::ErrorReport* report, int bad_index, T* y) {
  const int64_t n = loop.loop.numel();
  if (n > 0) {
    launch(gather_kernel<T>, config_of<threads_forward>(n, stream, "gather"), loop, n, x, index,
           report, bad_index, y);
  }
}

template <class T>
void gather_backward(gpu::StreamHandle stream, const GatherLines& lines, const T* dy,
                     const int64_t* index, bool accumulate, T* dx) {
  const int64_t threads = lines.lines * lines.tiles;
  if (threads > 0) {
    launch(gather_backward_kernel<T>,
           config_of<threads_backward>(threads, stream, "gather_backward"), lines, dy, index,
           accumulate, dx);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                           \
  template void gather(gpu::StreamHandle, const GatherLoop&, const T*, const int64_t*, \
                       gpu::ErrorReport*, int, T*);
WARPTAPE_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void gather_backward(gpu::StreamHandle, const GatherLines&, const T*, const int64_t*, \
                                bool, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::cuda
