#include "kernels/gather/gather_cuda.h"

#include <fmt/format.h>
#include <map>
#include <mutex>

#include "kernels/gather/gather_kernels.h"

namespace warptape {
namespace {

// The code of the report of a bad index: one for each length that the message names.
int bad_index_code(int64_t length) {
  static std::mutex mutex;
  static auto* codes = new std::map<int64_t, int>;
  const std::lock_guard lock(mutex);
  int& code = (*codes)[length];
  if (code == 0) {
    code = gpu::register_report(
        fmt::format("[gather] index {{index}}: got {{value}}, wanted 0 to {}", length - 1).c_str());
  }
  return code;
}

}  // namespace

void gather_cuda(const GatherLoop& loop, const Tensor& x, const Tensor& index, Tensor& y) {
  dispatch_all(x.dtype(), [&]<class T>() {
    on_cuda::gather(gpu::current_stream(), loop, x.data<T>(), index.data<int64_t>(),
                    gpu::report_word(), bad_index_code(loop.line), y.mutable_data<T>());
  });
}

void gather_backward_cuda(const GatherLines& lines, const Tensor& dy, const Tensor& index,
                          GradientTarget dx) {
  Tensor partials = Tensor::empty({lines.partials()}, float64, dy.device());
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::gather_backward(gpu::current_stream(), lines, dy.data<T>(), index.data<int64_t>(),
                             dx.mode == WriteMode::Accumulate, partials.mutable_data<double>(),
                             dx.buffer.mutable_data<T>());
  });
}

}  // namespace warptape
