#include "kernels/max_pool2d/max_pool2d_cuda.h"

#include "core/primitives.h"
#include "kernels/max_pool2d/max_pool2d_kernels.h"

namespace warptape {

void max_pool2d_forward_cuda(const Tensor& x, const PoolGeometry& geometry, bool with_relu,
                             Tensor& y, Tensor& indices) {
  const bool by_rows = y.memory_format() == MemoryFormat::RowMajor;
  dispatch_floating(x.dtype(), [&]<class T>() {
    const auto run = [&]<class Index>(Index* to) {
      on_cuda::max_pool2d_forward(gpu::current_stream(), geometry, with_relu, by_rows, x.data<T>(),
                                  y.mutable_data<T>(), to);
    };
    if (pool_index_dtype(geometry) == uint8) {
      run(indices.defined() ? indices.mutable_data<uint8_t>() : nullptr);
    } else {
      run(indices.defined() ? indices.mutable_data<int64_t>() : nullptr);
    }
  });
}

void max_pool2d_backward_cuda(const Tensor& given, const Tensor& indices,
                              const PoolGeometry& geometry, Tensor& dx) {
  const bool by_rows =
      given.memory_format() == MemoryFormat::RowMajor && geometry.windows_are_adjacent();
  const Tensor dy = by_rows ? given : primitives::relayout(given, MemoryFormat::ChannelsLast);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const auto run = [&]<class Index>(const Index* from) {
      on_cuda::max_pool2d_backward(gpu::current_stream(), geometry, by_rows, dy.data<T>(), from,
                                   dx.mutable_data<T>());
    };
    if (indices.dtype() == uint8) {
      run(indices.data<uint8_t>());
    } else {
      run(indices.data<int64_t>());
    }
  });
}

bool max_pool2d_backward_summed_cuda(const Tensor& given, const Tensor& indices,
                                     const PoolGeometry& geometry, Tensor& dx, Tensor& sums) {
  if (!geometry.windows_are_adjacent() || indices.dtype() != uint8 || given.dtype() == float64 ||
      given.numel() == 0) {
    return false;
  }
  const bool by_rows = given.memory_format() == MemoryFormat::RowMajor;
  const auto run = [&]<class T>(T* to) {
    const T* const dy = given.data<T>();
    const int64_t partials = on_cuda::max_pool2d_partial_sums(geometry, by_rows, dy, to);
    if (partials == 0) {
      return false;
    }
    Tensor workspace = Tensor::empty({partials}, float64, cuda);
    on_cuda::max_pool2d_backward_summed(gpu::current_stream(), geometry, by_rows, dy,
                                        indices.data<uint8_t>(), to, sums.mutable_data<float>(),
                                        workspace.mutable_data<double>());
    return true;
  };
  return given.dtype() == bfloat16 ? run(dx.mutable_data<simt::bfloat16>())
                                   : run(dx.mutable_data<float>());
}

}  // namespace warptape
