#include "kernels/matrix/launch_fma.cuh"

namespace warptape::on_cuda {

WARPTAPE_INSTANTIATE_PRODUCT(matrix::ForwardPass<float>);
WARPTAPE_INSTANTIATE_PRODUCT(matrix::DataGradPass<float>);

}  // namespace warptape::on_cuda
