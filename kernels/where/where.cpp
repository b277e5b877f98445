#include "kernels/where/where.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/profile.h"
#include "core/strided.h"
#include "core/tape.h"
#include "kernels/pointwise/binary.h"
#include "kernels/pointwise/derivatives.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/where/where_kernels.h"

namespace warptape {
namespace {

MemoryFormat format_of_result(const Tensor& condition, const Tensor& a, const Tensor& b) {
  const Tensor& value = a.rank() >= b.rank() ? a : b;
  return value.rank() >= condition.rank() ? value.memory_format() : condition.memory_format();
}

// Over the elements of y, in the memory order of `order`.
StridedLoop<4> loop_over(const Tensor& order, const Tensor& x, const Tensor& y, const Tensor* z) {
  const auto strides_in_order = [&](const Tensor& tensor) {
    return broadcast_strides(tensor.shape(), tensor.memory_format(), order.shape());
  };
  return make_strided_loop<4>(order.shape(), order.memory_format(),
                              {order.strides(), strides_in_order(x), strides_in_order(y),
                               z != nullptr ? strides_in_order(*z) : Strides{}});
}

void masked(bool taken, const Tensor& condition, const Tensor& dy, const GradientTarget& to) {
  const StridedLoop<4> loop = loop_over(to.buffer, condition, dy, nullptr);
  on_device(
      "where", dy.device(), [&] { where_gradient_cpu(loop, taken, condition, dy, to); },
      [&] { where_gradient_cuda(loop, taken, condition, dy, to); });
}

void gradient(Backward& context, int input, const Tensor& condition) {
  if (!context.needs(input)) {
    return;
  }
  const Tensor& dy = context.grad();
  const bool taken = input == 0;
  const GradientTarget to = context.into(input);
  if (to.buffer.shape() == dy.shape()) {
    masked(taken, condition, dy, to);
    return;
  }
  // What was broadcast is summed up, as a sum's operands are.
  const Tensor whole = Tensor::empty_like(dy);
  masked(taken, condition, dy, {whole, WriteMode::Overwrite});
  binary_gradient<pointwise::Same>("where", whole, Tensor(), Tensor(), to);
}

void gradient_as_ops(Backward& context, int input, const Tensor& condition) {
  if (context.needs(input)) {
    const Operand dy = context.grad();
    const Operand nothing = scalar_beside("where", dy, 0);
    const Tensor taken = input == 0 ? where(condition, dy, nothing) : where(condition, nothing, dy);
    context.give(input, sum_to_shape(taken, context.input_shape(input)));
  }
}

}  // namespace

Tensor where(const Operand& condition, const Operand& a, const Operand& b) {
  check_defined("where", condition);
  check_defined("where", a);
  check_same_kind("where", a, b);
  const Site& site = condition.site();
  check<DTypeError>(condition.dtype() == uint8, site, "[where] condition: got {}, wanted {}",
                    to_string(condition.dtype()), to_string(uint8));
  check<DeviceError>(condition.device() == a.device(), site,
                     "[where] devices: got {} and {}, wanted one device",
                     to_string(condition.device()), to_string(a.device()));
  const profile::Range range("where");
  const Shape values = broadcast_shapes(a.shape(), b.shape(), "where", site);
  const Shape shape = broadcast_shapes(condition.shape(), values, "where", site);
  check_countable("where", "output", shape, a.dtype(), site);
  Tensor y = Tensor::empty(shape, a.dtype(), a.device(), format_of_result(condition, a, b));
  const StridedLoop<4> loop = loop_over(y, condition, a, &b);
  on_device(
      "where", y.device(), [&] { where_cpu(loop, condition, a, b, y); },
      [&] { where_cuda(loop, condition, a, b, y); });
  if (Tape* tape = Tape::recording({&a, &b})) {
    tape->record(
        "where", {&a, &b}, {&y},
        [saved = Saved(condition)](Backward& context) {
          for (const int input : {0, 1}) {
            context.creates_graph() ? gradient_as_ops(context, input, saved.get())
                                    : gradient(context, input, saved.get());
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
