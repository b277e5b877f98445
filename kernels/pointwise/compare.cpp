#include "kernels/pointwise/compare.h"

#include "core/profile.h"

namespace warptape {

Tensor comparison(const char* name, const Operand& a, const Operand& b, CompareKernel kernel) {
  check_defined(name, a);
  check_same_kind(name, a, b);
  const profile::Range range(name);
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), name, a.site());
  check_countable(name, "output", shape, uint8, a.site());
  const MemoryFormat format = a.rank() >= b.rank() ? a.memory_format() : b.memory_format();
  Tensor y = Tensor::empty(shape, uint8, a.device(), format);
  const auto strides_in_y = [&](const Tensor& x) {
    return broadcast_strides(x.shape(), x.memory_format(), shape);
  };
  kernel(name,
         make_strided_loop<4>(shape, y.memory_format(),
                              {y.strides(), strides_in_y(a), strides_in_y(b), Strides{}}),
         a.tensor(), b.tensor(), y);
  return y;
}

}  // namespace warptape
