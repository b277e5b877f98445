#include "kernels/pointwise/binary.h"

#include <string_view>

#include "core/deferred.h"
#include "core/profile_work.h"

namespace warptape {

namespace {

void backward_as_ops(Backward& context, const BinaryKernels& kernels,
                     const std::array<const Tensor*, 2>& saved) {
  const Tensor dy = context.grad();
  const Tensor a = context.input(0, *saved[0]);
  const Tensor b = context.input(1, *saved[1]);
  if (context.needs(0)) {
    context.give(0, sum_to_shape(kernels.recorded_a(dy, a, b), context.input_shape(0)));
  }
  if (context.needs(1)) {
    context.give(1, sum_to_shape(kernels.recorded_b(dy, b, a), context.input_shape(1)));
  }
}

}  // namespace

Tensor binary_op(const char* name, const Operand& a, const Operand& b,
                 const BinaryKernels& kernels) {
  check_floating(name, a);
  check_same_kind(name, a, b);
  if (name == std::string_view("add") && a.shape() == b.shape()) {
    if (Tensor y = Deferred::changed(a, [&](Deferred& work) { return work.plus(b); });
        y.defined()) {
      return y;
    }
    if (Tensor y = Deferred::changed(b, [&](Deferred& work) { return work.plus(a); });
        y.defined()) {
      return y;
    }
  }
  const profile::Range range(name);
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), name, a.site());
  check_countable(name, "output", shape, a.dtype(), a.site());
  const MemoryFormat format = a.rank() >= b.rank() ? a.memory_format() : b.memory_format();
  Tensor y = Tensor::empty(shape, a.dtype(), a.device(), format);
  profile::note([&] { return profile::moved({&a.tensor(), &b.tensor()}, {&y}); });
  kernels.forward(name, a.tensor(), b.tensor(), y);
  if (Tape* tape = Tape::recording({&a, &b})) {
    tape->record(
        name, {&a, &b}, {&y},
        [saved_a = kernels.saves_a ? Saved(a.tensor()) : Saved(),
         saved_b = kernels.saves_b ? Saved(b.tensor()) : Saved(), name,
         kernels](Backward& context) {
          const std::array saved{&saved_a.get(), &saved_b.get()};
          if (context.creates_graph()) {
            backward_as_ops(context, kernels, saved);
            return;
          }
          const std::array gradients{kernels.gradient_a, kernels.gradient_b};
          const Tensor& dy = context.grad();
          for (int own : {0, 1}) {
            if (context.needs(own)) {
              const GradientTarget to = context.into(own);
              profile::note([&] { return profile::moved({&dy, saved[0], saved[1]}, to); });
              const auto i = static_cast<size_t>(own);
              gradients[i](name, dy, *saved[i], *saved[1 - i], to);
            }
          }
        },
        Differentiable::Twice);
  }
  return y;
}

StridedLoop<3> binary_loop(const Tensor& a, const Tensor& b, const Tensor& y) {
  return make_strided_loop<3>(
      y.shape(), y.memory_format(),
      {y.strides(), broadcast_strides(a.shape(), a.memory_format(), y.shape()),
       broadcast_strides(b.shape(), b.memory_format(), y.shape())});
}

DimMask broadcast_dims(const Shape& operand, const Shape& dy) {
  DimMask summed{};
  for (int d = 0; d < dy.rank(); ++d) {
    const int own = d - (dy.rank() - operand.rank());
    summed[static_cast<size_t>(d)] = dy[d] != 1 && (own < 0 || operand[own] == 1);
  }
  return summed;
}

template <int N>
GradientPlan<N> gradient_plan(const Tensor& to, const std::array<const Tensor*, N>& in) {
  const Tensor& dy = *in[0];
  const auto strides_in_dy = [&](const Tensor& x) {
    return broadcast_strides(x.shape(), x.memory_format(), dy.shape());
  };
  std::array<Strides, N> inputs;
  std::transform(in.begin(), in.end(), inputs.begin(),
                 [&](const Tensor* x) { return strides_in_dy(*x); });
  GradientPlan<N> plan;
  const DimMask summed = broadcast_dims(to.shape(), dy.shape());
  plan.sums = std::find(summed.begin(), summed.end(), true) != summed.end();
  if (plan.sums) {
    plan.reduction = reduce_plan_of<N>(
        make_reduce_loops<N>(dy.shape(), dy.memory_format(), summed, strides_in_dy(to), inputs),
        in);
  } else {
    std::array<Strides, N + 1> operands{strides_in_dy(to)};
    std::copy(inputs.begin(), inputs.end(), operands.begin() + 1);
    plan.loop = make_strided_loop<N + 1>(dy.shape(), to.memory_format(), operands);
  }
  return plan;
}

template GradientPlan<1> gradient_plan<1>(const Tensor&, const std::array<const Tensor*, 1>&);
template GradientPlan<2> gradient_plan<2>(const Tensor&, const std::array<const Tensor*, 2>&);
template GradientPlan<3> gradient_plan<3>(const Tensor&, const std::array<const Tensor*, 3>&);

}  // namespace warptape
