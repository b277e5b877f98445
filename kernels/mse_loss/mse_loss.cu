#include "kernels/mse_loss/mse_loss_cuda.h"

#include "core/element_types.h"
#include "kernels/reduce/sums.cuh"

namespace warptape::on_cuda {
namespace {

struct SquaredDifference : reduce::SumInDouble {
  template <class T>
  static WARPTAPE_HOST_DEVICE double value(T input, T target) {
    const double difference = static_cast<double>(input) - static_cast<double>(target);
    return difference * difference;
  }
};

template <class T>
struct ScaledDifference : elementwise::NoPointers {
  explicit ScaledDifference(double scale) : twice_scale(2 * scale) {}
  WARPTAPE_HOST_DEVICE T operator()(T dy, T input, T target) const {
    return static_cast<T>(twice_scale * static_cast<double>(dy)) * (input - target);
  }
  double twice_scale;
};

}  // namespace

template <class T>
void mse_loss_forward(gpu::StreamHandle stream, const ReducePlan<2>& plan, const T* input,
                      const T* target, double scale, T* loss, double* partials) {
  reduce::run<SquaredDifference>("mse_loss", stream, plan,
                                 elementwise::Inputs<T, 2>{{input, target}},
                                 reduce::StoreScaled<T>{loss, scale}, partials);
}

template <class T>
void mse_loss_backward(gpu::StreamHandle stream, int64_t n, const T* dy, const T* input,
                       const T* target, double scale, bool accumulate, T* to) {
  StridedLoop<4> loop = elementwise::flat_loop<4>(n);
  loop.stride[1][0] = 0;  // dy
  elementwise::run("mse_loss_backward", stream, loop, ScaledDifference<Compute<T>>(scale),
                   accumulate, to, elementwise::Inputs<T, 3>{{dy, input, target}});
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                  \
  template void mse_loss_forward(gpu::StreamHandle, const ReducePlan<2>&, const T*, const T*, \
                                 double, T*, double*);                                        \
  template void mse_loss_backward(gpu::StreamHandle, int64_t, const T*, const T*, const T*,   \
                                  double, bool, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
