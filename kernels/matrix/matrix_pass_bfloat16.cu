#include "kernels/matrix/launch_mma.cuh"

namespace warptape::on_cuda {

WARPTAPE_INSTANTIATE_PRODUCT(matrix::ForwardPass<simt::bfloat16>);
WARPTAPE_INSTANTIATE_PRODUCT(matrix::DataGradPass<simt::bfloat16>);

}  // namespace warptape::on_cuda
