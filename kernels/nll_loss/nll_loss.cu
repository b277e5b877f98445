#include <algorithm>

#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "core/element_types.h"
#include "kernels/losses/sum_losses.cuh"
#include "kernels/nll_loss/nll_loss_cuda.h"

namespace warptape::on_cuda {
namespace {

constexpr unsigned block_threads = 256;

// Where a row has the class that its label names; -1 where that is ignored or none.
__device__ int64_t place_of(const NllLossRows& rows, int64_t row, int64_t label) {
  const rows::Extents& extents = rows.extents;
  if (label == rows.ignore_index || label < 0 || label >= extents.length) {
    return -1;
  }
  return (row / extents.inner * extents.length + label) * extents.inner + row % extents.inner;
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    nll_loss_kernel(const NllLossRows rows, const T* input, const int64_t* labels, T* each,
                    const LossSums<T> sums, gpu::ErrorReport* report) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t row = int64_t{blockIdx.x} * block_threads + threadIdx.x; row < rows.count;
       row += int64_t{gridDim.x} * block_threads) {
    const int64_t label = labels[row];
    const int64_t place = place_of(rows, row, label);
    if (place < 0 && label != rows.ignore_index) {
      report_fault(report, rows.bad_label, row, label);
    }
    const Compute<T> value = place < 0 ? Compute<T>(0) : -static_cast<Compute<T>>(input[place]);
    if (each != nullptr) {
      each[row] = static_cast<T>(value);
    }
    sum += static_cast<double>(value);
    count += place < 0 ? 0 : 1;
  }
  if (each == nullptr) {
    losses::finish_sums(sum, count, 1, sums);
  }
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    nll_loss_backward_kernel(const NllLossRows rows, const T* dy, bool each, const int64_t* labels,
                             const LossDivisor divisor, bool add, T* dinput) {
  using C = Compute<T>;
  const double by = divisor.counted != nullptr ? *divisor.counted : divisor.value;
  for (int64_t row = int64_t{blockIdx.x} * block_threads + threadIdx.x; row < rows.count;
       row += int64_t{gridDim.x} * block_threads) {
    const int64_t place = place_of(rows, row, labels[row]);
    if (place >= 0) {
      const auto own = static_cast<double>(static_cast<C>(dy[each ? row : 0]));
      dinput[place] = written(add, dinput[place], static_cast<C>(-own / by));
    }
  }
}

}  // namespace

int64_t nll_loss_blocks(int64_t rows) {
  constexpr int64_t resident = 4 * 132;
  return std::clamp<int64_t>((rows + block_threads - 1) / block_threads, 1, resident);
}

template <class T>
void nll_loss(gpu::StreamHandle stream, const NllLossRows& rows, const T* input,
              const int64_t* labels, T* each, const LossSums<T>& sums, gpu::ErrorReport* report) {
  launch(nll_loss_kernel<T>,
         {.grid = dim3(static_cast<unsigned>(nll_loss_blocks(rows.count))),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "nll_loss"},
         rows, input, labels, each, sums, report);
}

template <class T>
void nll_loss_backward(gpu::StreamHandle stream, const NllLossRows& rows, const T* dy, bool each,
                       const int64_t* labels, const LossDivisor& divisor, bool add, T* dinput) {
  launch(nll_loss_backward_kernel<T>,
         {.grid = dim3(static_cast<unsigned>(nll_loss_blocks(rows.count))),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "nll_loss_backward"},
         rows, dy, each, labels, divisor, add, dinput);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                  \
  template void nll_loss(gpu::StreamHandle, const NllLossRows&, const T*, const int64_t*, T*, \
                         const LossSums<T>&, gpu::ErrorReport*);                              \
  template void nll_loss_backward(gpu::StreamHandle, const NllLossRows&, const T*, bool,      \
                                  const int64_t*, const LossDivisor&, bool, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
