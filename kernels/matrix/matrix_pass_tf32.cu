#include "kernels/matrix/launch_mma.cuh"

namespace warptape::on_cuda {

WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(matrix::ForwardPass<float>);
WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(matrix::DataGradPass<float>);

}  // namespace warptape::on_cuda
