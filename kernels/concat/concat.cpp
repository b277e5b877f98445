#include "kernels/concat/concat.h"

#include "core/check.h"
#include "core/checked_size.h"
#include "core/profile.h"
#include "kernels/regions/operand_list.h"
#include "kernels/regions/regions.h"

namespace warptape {
namespace {

// Of the result; its size along `dim` is the sum of theirs.
Shape joined_shape(const std::vector<Operand>& tensors, int dim) {
  const Operand& first = tensors.front();
  CheckedSize sum = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    Shape wanted = first.shape();
    if (tensors[i].rank() == wanted.rank()) {
      wanted[dim] = tensors[i].shape()[dim];
    }
    check<ShapeError>(tensors[i].shape() == wanted, first.site(),
                      "[concat] tensor {}: got shape {}, wanted {} but for dimension {}", i,
                      tensors[i].shape(), first.shape(), dim);
    sum = sum + tensors[i].shape()[dim];
  }
  check<ShapeError>(sum.fits(), first.site(),
                    "[concat] sizes of dimension {}: their sum overflows 64 bits", dim);
  Shape shape = first.shape();
  shape[dim] = sum.value();
  check_countable("concat", "output", shape, first.dtype(), first.site());
  return shape;
}

}  // namespace

Tensor concat(const std::vector<Operand>& tensors, int dim) {
  check_list("concat", tensors);
  const Operand& first = tensors.front();
  const int d = normalized_dim(dim, first.rank(), "concat", first.site());
  const auto at = static_cast<size_t>(d);
  const profile::Range range("concat");
  Tensor y =
      Tensor::empty(joined_shape(tensors, d), first.dtype(), first.device(), first.memory_format());
  std::vector<Box> boxes;
  int64_t begin = 0;
  for (const Operand& x : tensors) {
    boxes.push_back(box_of(x.shape()));
    boxes.back().begin[at] = begin;
    begin += x.shape()[d];
    move_region("concat", x.shape(), x, region_of(x), y, region_of(y, boxes.back()),
                WriteMode::Overwrite);
  }
  record_list("concat", tensors, y, [boxes](Backward& context, int input) {
    const Box& box = boxes[static_cast<size_t>(input)];
    const Tensor& dy = context.grad();
    if (context.creates_graph()) {
      give_transposed(context, moving("concat", box.sizes, box_of(box.sizes), dy.shape(), box),
                      input);
      return;
    }
    GradientTarget dx = context.into(input);
    move_region("concat", box.sizes, dy, region_of(dy, box), dx.buffer, region_of(dx.buffer),
                dx.mode);
  });
  return y;
}

}  // namespace warptape
