#include "core/device/launch.h"
#include "core/element_types.h"

namespace mine {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void forward(int64_t count, const T* x, T* y) {
  const int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i < count) {
    const auto value = static_cast<double>(x[i]);
    y[i] = static_cast<T>(value / (1 + fabs(value)));
  }
}

template <class T>
__global__ void backward(int64_t count, const T* dy, const T* x, bool add, T* dx) {
  const int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i < count) {
    const double size = 1 + fabs(static_cast<double>(x[i]));
    const double value = static_cast<double>(dy[i]) / (size * size);
    dx[i] = static_cast<T>(add ? static_cast<double>(dx[i]) + value : value);
  }
}

unsigned blocks(int64_t count) {
  return static_cast<unsigned>((count + threads - 1) / threads);
}

}  // namespace

template <class T>
void launch_forward(warptape::gpu::StreamHandle stream, int64_t count, const T* x, T* y) {
  warptape::launch(&forward<T>,
                   {.grid = blocks(count), .block = threads, .stream = stream, .name = "softsign"},
                   count, x, y);
}

template <class T>
void launch_backward(warptape::gpu::StreamHandle stream, int64_t count, const T* dy, const T* x,
                     bool add, T* dx) {
  warptape::launch(
      &backward<T>,
      {.grid = blocks(count), .block = threads, .stream = stream, .name = "softsign_backward"},
      count, dy, x, add, dx);
}

#define MINE_INSTANTIATE(dtype, T, name)                                            \
  template void launch_forward(warptape::gpu::StreamHandle, int64_t, const T*, T*); \
  template void launch_backward(warptape::gpu::StreamHandle, int64_t, const T*, const T*, bool, T*);
WARPTAPE_FLOATING_DTYPES(MINE_INSTANTIATE)

}  // namespace mine
