#include "kernels/matrix/launch_mma.cuh"

namespace warptape::on_cuda {

using Forward = matrix::Forward<float, float>;
using DataGrad = matrix::DataGrad<float, float>;
using WeightGrad = matrix::WeightGrad<float, float>;
WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(Forward);
WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(DataGrad);
WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(WeightGrad);
WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(matrix::PooledForward<float>);

}  // namespace warptape::on_cuda
