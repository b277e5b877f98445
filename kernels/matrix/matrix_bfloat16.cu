#include "kernels/matrix/launch_mma.cuh"

namespace warptape::on_cuda {

// Gradients of weights are float32; a product of two tensors that lies like one is not.
using Forward = matrix::Forward<simt::bfloat16, simt::bfloat16>;
using DataGrad = matrix::DataGrad<simt::bfloat16, simt::bfloat16>;
using WeightGrad = matrix::WeightGrad<simt::bfloat16, float>;
WARPTAPE_INSTANTIATE_PRODUCT(Forward);
WARPTAPE_INSTANTIATE_PRODUCT(DataGrad);
using Transposed = matrix::WeightGrad<simt::bfloat16, simt::bfloat16>;
WARPTAPE_INSTANTIATE_PRODUCT(WeightGrad);
WARPTAPE_INSTANTIATE_PRODUCT(Transposed);
WARPTAPE_INSTANTIATE_PRODUCT(matrix::PooledForward<simt::bfloat16>);

}  // namespace warptape::on_cuda
