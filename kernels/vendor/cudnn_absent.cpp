// Stands for every *_cudnn.cpp in a build without cuDNN.

#include "kernels/conv2d/conv2d_cudnn.h"
#include "kernels/vendor/gpu_libraries.h"

namespace warptape {

const GpuLibrary& cudnn_library() {
  static const auto* absent = new GpuLibrary{"", WARPTAPE_CUDNN_ABSENT};
  return *absent;
}

bool conv2d_forward_cudnn(const Tensor&, const Tensor&, const Tensor&, const ConvGeometry&,
                          Tensor&) {
  count_gpu_library_call();
  return false;
}
bool conv2d_data_grad_cudnn(const Tensor&, const Tensor&, const ConvGeometry&, Tensor&) {
  count_gpu_library_call();
  return false;
}
bool conv2d_weight_grad_cudnn(const Tensor&, const Tensor&, const ConvGeometry&, Tensor&) {
  count_gpu_library_call();
  return false;
}
CudnnPlanReport cudnn_plan_report(ConvPass, const ConvGeometry&, bool, const std::string&, int) {
  return {"", cudnn_library().reason};
}

}  // namespace warptape
