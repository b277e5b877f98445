// Stands for every *_onednn.cpp in a build without oneDNN.

#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/matmul/gemm.h"
#include "kernels/vendor/onednn.h"

namespace warptape {

bool onednn_is_built_in() {
  return false;
}
bool onednn_is_used() {
  return false;
}
void set_onednn_used(bool) {}
bool onednn_takes(DType) {
  return false;
}
std::string onednn_version() {
  return {};
}
std::string onednn_instruction_set() {
  return {};
}

bool gemm_onednn(bool, bool, int64_t, int64_t, int64_t, const float*, const float*, bool, float*) {
  return false;
}
template <class T>
bool gemm_onednn(bool, bool, int64_t, int64_t, int64_t, const simt::bfloat16*,
                 const simt::bfloat16*, bool, T*) {
  return false;
}
template bool gemm_onednn(bool, bool, int64_t, int64_t, int64_t, const simt::bfloat16*,
                          const simt::bfloat16*, bool, float*);
template bool gemm_onednn(bool, bool, int64_t, int64_t, int64_t, const simt::bfloat16*,
                          const simt::bfloat16*, bool, simt::bfloat16*);
bool conv2d_forward_onednn(const Tensor&, const Tensor&, const Tensor&, const ConvGeometry&,
                           Tensor&) {
  return false;
}
bool conv2d_data_grad_onednn(const Tensor&, const Tensor&, const ConvGeometry&, Tensor&) {
  return false;
}
bool conv2d_weight_grad_onednn(const Tensor&, const Tensor&, const ConvGeometry&, Tensor&) {
  return false;
}

}  // namespace warptape
