#include "kernels/matrix/launch_fma.cuh"

namespace warptape::on_cuda {

using Forward = matrix::Forward<double, double>;
using DataGrad = matrix::DataGrad<double, double>;
using WeightGrad = matrix::WeightGrad<double, double>;
WARPTAPE_INSTANTIATE_PRODUCT(Forward);
WARPTAPE_INSTANTIATE_PRODUCT(DataGrad);
WARPTAPE_INSTANTIATE_PRODUCT(WeightGrad);

}  // namespace warptape::on_cuda
