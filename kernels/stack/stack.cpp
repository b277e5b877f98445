#include "kernels/stack/stack.h"

#include "core/check.h"
#include "core/profile.h"
#include "kernels/regions/operand_list.h"
#include "kernels/regions/regions.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"

namespace warptape {
namespace {

Shape stacked_shape(const std::vector<Operand>& tensors, int dim) {
  const Operand& first = tensors.front();
  for (size_t i = 0; i < tensors.size(); ++i) {
    check<ShapeError>(tensors[i].shape() == first.shape(), first.site(),
                      "[stack] tensor {}: got shape {}, wanted {}", i, tensors[i].shape(),
                      first.shape());
  }
  Shape shape;
  for (int d = 0; d <= first.rank(); ++d) {
    shape.append(d == dim  ? static_cast<int64_t>(tensors.size())
                 : d < dim ? first.shape()[d]
                           : first.shape()[d - 1]);
  }
  check_countable("stack", "output", shape, first.dtype(), first.site());
  return shape;
}

// Of the tensor with this number in the stack.
Region region_of_one(const Tensor& y, int dim, int number) {
  const Strides strides = y.strides();
  Region region{.first = number * strides[static_cast<size_t>(dim)]};
  for (int d = 0; d + 1 < y.rank(); ++d) {
    region.strides[static_cast<size_t>(d)] = strides[static_cast<size_t>(d < dim ? d : d + 1)];
  }
  return region;
}

}  // namespace

Tensor stack(const std::vector<Operand>& tensors, int dim) {
  check_list("stack", tensors);
  const Operand& first = tensors.front();
  check<ShapeError>(first.rank() < Shape::max_rank, first.site(),
                    "[stack] shape: got {}, wanted at most {} dimensions", first.shape(),
                    Shape::max_rank - 1);
  const int d = normalized_dim(dim, first.rank() + 1, "stack", first.site());
  const profile::Range range("stack");
  Tensor y = Tensor::empty(stacked_shape(tensors, d), first.dtype(), first.device());
  for (size_t i = 0; i < tensors.size(); ++i) {
    move_region("stack", first.shape(), tensors[i], region_of(tensors[i]), y,
                region_of_one(y, d, static_cast<int>(i)), WriteMode::Overwrite);
  }
  record_list("stack", tensors, y, [d](Backward& context, int input) {
    const Tensor& dy = context.grad();
    if (context.creates_graph()) {
      const Shape shape = context.input_shape(input);
      context.give(input, reshape(slice(dy, d, input, input + 1), {shape.begin(), shape.end()}));
      return;
    }
    GradientTarget dx = context.into(input);
    move_region("stack", dx.buffer.shape(), dy, region_of_one(dy, d, input), dx.buffer,
                region_of(dx.buffer), dx.mode);
  });
  return y;
}

}  // namespace warptape
