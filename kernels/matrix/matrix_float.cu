#include "kernels/matrix/launch_fma.cuh"

namespace warptape::on_cuda {

using Forward = matrix::Forward<float, float>;
using DataGrad = matrix::DataGrad<float, float>;
using WeightGrad = matrix::WeightGrad<float, float>;
WARPTAPE_INSTANTIATE_PRODUCT(Forward);
WARPTAPE_INSTANTIATE_PRODUCT(DataGrad);
WARPTAPE_INSTANTIATE_PRODUCT(WeightGrad);
WARPTAPE_INSTANTIATE_PRODUCT(matrix::PooledForward<float>);

}  // namespace warptape::on_cuda
