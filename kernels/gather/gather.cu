#include "kernels/gather/gather_cuda.h"

#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "core/element_types.h"

namespace warptape::on_cuda {
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

// The line with this number: moves the pointers to its begin, and says whether the index has it.
__device__ bool find_line(const GatherLines& lines, int64_t number, int64_t (&at)[3]) {
  bool covered = true;
  for (int d = lines.rank - 1; d >= 0; --d) {
    const int64_t place = d == 0 ? number : number % lines.extent[d];
    number = d == 0 ? 0 : number / lines.extent[d];
    covered = covered && place < lines.covered[d];
#pragma unroll
    for (int o = 0; o < 3; ++o) {
      at[o] += place * lines.stride[o][d];
    }
  }
  return covered;
}

template <class T>
__device__ void write_sum(T& element, bool accumulate, double sum) {
  const auto rounded = static_cast<T>(sum);
  element = accumulate ? static_cast<T>(element + rounded) : rounded;
}

// A thread owns a tile of a line of dx, and goes along that line's index in its order; or along a
// chunk of it, blockIdx.y, whose sums are partial.
template <class T>
__global__ void __launch_bounds__(threads_backward)
    gather_backward_kernel(const GatherLines __grid_constant__ lines, const T* dy,
                           const int64_t* index, bool accumulate, double* partials, T* dx) {
  WARPTAPE_SHARED(double, sums, [GatherLines::most_per_thread][threads_backward]);
  const int64_t own = int64_t{blockIdx.x} * threads_backward + threadIdx.x;
  if (own >= lines.lines * lines.tiles) {
    return;
  }
  const int64_t tile = lines.lanes_along_dim ? own % lines.tiles : own / lines.lines;
  const int64_t line = lines.lanes_along_dim ? own / lines.tiles : own % lines.lines;
  const int64_t first = tile * lines.per_thread;
  const int64_t count =
      lines.line - first < lines.per_thread ? lines.line - first : lines.per_thread;
  int64_t at[3] = {};
  const bool covered = find_line(lines, line, at);
  for (int64_t i = 0; i < count; ++i) {
    sums[i][threadIdx.x] = 0;
  }
  const int64_t begin = blockIdx.y * lines.chunk_length;
  const int64_t behind =
      begin + lines.chunk_length < lines.indices ? begin + lines.chunk_length : lines.indices;
  constexpr int batch = 4;  // loads that are under way together
  for (int64_t k = begin; covered && k < behind; k += batch) {
    int64_t places[batch];
#pragma unroll
    for (int b = 0; b < batch; ++b) {
      places[b] = k + b < behind ? index[at[1] + (k + b) * lines.along[1]] - first : -1;
    }
#pragma unroll
    for (int b = 0; b < batch; ++b) {
      if (places[b] >= 0 && places[b] < count) {
        sums[places[b]][threadIdx.x] += static_cast<double>(dy[at[2] + (k + b) * lines.along[2]]);
      }
    }
  }
  double* const own_partials = partials + (blockIdx.y * lines.lines + line) * lines.line + first;
  for (int64_t i = 0; i < count; ++i) {
    if (lines.chunks > 1) {
      own_partials[i] = sums[i][threadIdx.x];
    } else {
      write_sum(dx[at[0] + (first + i) * lines.along[0]], accumulate, sums[i][threadIdx.x]);
    }
  }
}

// A thread per element of dx.
template <class T>
__global__ void __launch_bounds__(threads_forward)
    gather_chunks_kernel(const GatherLines __grid_constant__ lines, const double* partials,
                         bool accumulate, T* dx) {
  const int64_t elements = lines.lines * lines.line;
  const int64_t own = int64_t{blockIdx.x} * threads_forward + threadIdx.x;
  if (own >= elements) {
    return;
  }
  double sum = 0;
  for (int64_t chunk = 0; chunk < lines.chunks; ++chunk) {
    sum += partials[chunk * elements + own];
  }
  int64_t at[3] = {};
  find_line(lines, own / lines.line, at);
  write_sum(dx[at[0] + own % lines.line * lines.along[0]], accumulate, sum);
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
                     const int64_t* index, bool accumulate, double* partials, T* dx) {
  if (lines.threads() == 0) {
    return;
  }
  LaunchConfig config = config_of<threads_backward>(lines.threads(), stream, "gather_backward");
  config.grid.y = static_cast<unsigned>(lines.chunks);
  launch(gather_backward_kernel<T>, config, lines, dy, index, accumulate, partials, dx);
  if (lines.chunks > 1) {
    launch(gather_chunks_kernel<T>,
           config_of<threads_forward>(lines.lines * lines.line, stream, "gather_chunks"), lines,
           partials, accumulate, dx);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                           \
  template void gather(gpu::StreamHandle, const GatherLoop&, const T*, const int64_t*, \
                       gpu::ErrorReport*, int, T*);
WARPTAPE_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void gather_backward(gpu::StreamHandle, const GatherLines&, const T*, const int64_t*, \
                                bool, double*, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
