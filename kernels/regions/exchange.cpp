#include "kernels/regions/exchange.h"

#include "core/profile.h"
#include "kernels/regions/regions.h"

namespace warptape {
namespace {

// All of a tensor, its dimensions in this order.
Region permuted(const Tensor& x, const std::vector<int>& dims) {
  const Strides strides = x.strides();
  Region region;
  for (size_t i = 0; i < dims.size(); ++i) {
    region.strides[i] = strides[static_cast<size_t>(dims[i])];
  }
  return region;
}

std::vector<int> inverse_of(const std::vector<int>& dims) {
  std::vector<int> inverse(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    inverse[static_cast<size_t>(dims[i])] = static_cast<int>(i);
  }
  return inverse;
}

}  // namespace

Tensor exchange_dims(const char* op, const Operand& x, const std::vector<int>& dims) {
  const profile::Range range(op);
  Shape shape;
  for (const int dim : dims) {
    shape.append(x.shape()[dim]);
  }
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  move_region(op, shape, x, permuted(x, dims), y, region_of(y), WriteMode::Overwrite);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        op, {&x}, {&y},
        [op, back = inverse_of(dims)](Backward& context) {
          if (!context.needs(0)) {
            return;
          }
          const Tensor& dy = context.grad();
          if (context.creates_graph()) {
            context.give(0, exchange_dims(op, dy, back));
            return;
          }
          GradientTarget dx = context.into(0);
          move_region(op, dx.buffer.shape(), dy, permuted(dy, back), dx.buffer,
                      region_of(dx.buffer), dx.mode);
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
