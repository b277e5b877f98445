#include "kernels/where/where_cuda.h"

#include "core/element_types.h"
#include "kernels/pointwise/mixed.cuh"

namespace warptape::on_cuda {
namespace {

struct Select : elementwise::NoPointers {
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(uint8_t condition, T a, T b) const {
    return condition != 0 ? a : b;
  }
};

struct Mask : elementwise::NoPointers {
  bool taken;

  explicit Mask(bool is_taken) : taken(is_taken) {}
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(uint8_t condition, T dy) const {
    return (condition != 0) == taken ? dy : T(0);
  }
};

}  // namespace

template <class T>
void where(gpu::StreamHandle stream, const StridedLoop<4>& loop, const uint8_t* condition,
           const T* a, const T* b, T* y) {
  mixed::run("where", stream, loop, Select{}, false, y, condition, a, b);
}

template <class T>
void where_gradient(gpu::StreamHandle stream, const StridedLoop<4>& loop, bool taken,
                    const uint8_t* condition, const T* dy, bool accumulate, T* to) {
  const mixed::Nothing* const nothing = nullptr;
  mixed::run("where_gradient", stream, loop, Mask(taken), accumulate, to, condition, dy, nothing);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                              \
  template void where(gpu::StreamHandle, const StridedLoop<4>&, const uint8_t*, const T*, \
                      const T*, T*);
WARPTAPE_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                   \
  template void where_gradient(gpu::StreamHandle, const StridedLoop<4>&, bool, const uint8_t*, \
                               const T*, bool, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
