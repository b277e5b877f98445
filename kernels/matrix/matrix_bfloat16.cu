#include "kernels/matrix/launch_product.cuh"

namespace warptape::cuda {

// Gradients of weights stay float32.
using Forward = matrix::Forward<simt::bfloat16, simt::bfloat16>;
using DataGrad = matrix::DataGrad<simt::bfloat16, simt::bfloat16>;
using WeightGrad = matrix::WeightGrad<simt::bfloat16, float>;
WARPTAPE_INSTANTIATE_PRODUCT(Forward);
WARPTAPE_INSTANTIATE_PRODUCT(DataGrad);
WARPTAPE_INSTANTIATE_PRODUCT(WeightGrad);

}  // namespace warptape::cuda
