#include "kernels/losses/loss.h"

#include <array>
#include <memory>
#include <utility>

#include "core/check.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/strided.h"
#include "kernels/mean/mean.h"
#include "kernels/pointwise/binary.h"
#include "kernels/pointwise/functors.h"
#include "kernels/reshape/reshape.h"
#include "kernels/sum/sum.h"
#include "kernels/where/where.h"

namespace warptape {
namespace {

using losses::Third;

// The shape of an operand with as many dimensions as the input: 1 where it has none.
Shape beside(const Shape& operand, const Shape& input, bool trailing) {
  Shape result = input;
  const int before = trailing ? input.rank() - operand.rank() : 0;
  for (int d = 0; d < input.rank(); ++d) {
    const int own = d - before;
    result[d] = own >= 0 && own < operand.rank() ? operand[own] : 1;
  }
  return result;
}

bool repeats_to(const Shape& operand, const Shape& input, bool trailing) {
  if (operand.rank() > input.rank()) {
    return false;
  }
  const Shape own = beside(operand, input, trailing);
  for (int d = 0; d < input.rank(); ++d) {
    if (own[d] != 1 && own[d] != input[d]) {
      return false;
    }
  }
  return true;
}

void check_operand(const char* name, const char* what, const Operand& operand, const Operand& input,
                   bool trailing) {
  check<ShapeError>(repeats_to(operand.shape(), input.shape(), trailing), input.site(),
                    "[{}] {}: got shape {}, wanted the {} dimensions of {}, or 1 in their place",
                    name, what, operand.shape(), trailing ? "last" : "first", input.shape());
}

void check_arguments(const LossKernels& kernels, const Operand& input, const Operand& target,
                     const Operand& third, const Operand& mask) {
  const char* name = kernels.name;
  const Site& site = input.site();
  check_floating(name, input);
  check_defined(name, target);
  check_same_kind(name, input, target);
  if (kernels.third == Third::Levels) {
    Shape wanted;
    for (int d = 0; d + 1 < input.rank(); ++d) {
      wanted.append(input.shape()[d]);
    }
    check<ShapeError>(target.shape() == wanted, site,
                      "[{}] target: got shape {}, wanted {}, that of input {} without the last "
                      "dimension",
                      name, target.shape(), wanted, input.shape());
  } else {
    check<ShapeError>(input.shape() == target.shape(), site,
                      "[{}] shapes: got {} and {}, wanted equal ones", name, input.shape(),
                      target.shape());
  }
  if (third.defined()) {
    check_same_kind(name, input, third);
    const bool trailing = kernels.third == Third::Trailing;
    check_operand(name, trailing ? "pos_weight" : "var", third, input, trailing);
  }
  if (mask.defined()) {
    check<DTypeError>(mask.dtype() == uint8, site, "[{}] mask: got {}, wanted {}", name,
                      to_string(mask.dtype()), to_string(uint8));
    check<DeviceError>(mask.device() == input.device(), site,
                       "[{}] devices: got {} and {}, wanted one device", name,
                       to_string(input.device()), to_string(mask.device()));
    check_operand(name, "mask", mask, input, false);
  }
  const losses::BadOption& bad = kernels.bad_option;
  check<ValueError>(bad.name == nullptr, site, "[{}] {}: got {}, wanted {}", name, bad.name,
                    bad.value, bad.wanted);
}

// An operand of the input's shape is brought into its format; others are read where they lie.
Tensor aligned(const Operand& operand, const Tensor& input) {
  return operand.defined() && operand.shape() == input.shape()
             ? primitives::relayout(operand.tensor(), input.memory_format())
             : operand.tensor();
}

Strides strides_beside(const Tensor& operand, const Shape& input, bool trailing) {
  Strides result{};
  if (!operand.defined()) {
    return result;
  }
  const Strides own = operand.strides();
  const int before = trailing ? input.rank() - operand.rank() : 0;
  for (int d = 0; d < operand.rank(); ++d) {
    result[static_cast<size_t>(d + before)] =
        operand.shape()[d] == 1 ? 0 : own[static_cast<size_t>(d)];
  }
  return result;
}

LossTensors tensors_of(const LossKernels& kernels, const Operand& input, const Operand& target,
                       const Operand& third, const Operand& mask) {
  LossTensors in{
      input.tensor(), aligned(target, input), aligned(third, input), aligned(mask, input), {}};
  const Shape& shape = input.shape();
  Strides of_third = strides_beside(in.third, shape, kernels.third == Third::Trailing);
  if (kernels.third == Third::Levels && shape[shape.rank() - 1] > 1) {
    of_third[static_cast<size_t>(shape.rank() - 1)] = 1;
  }
  in.loop = make_strided_loop<1 + losses::operands_beside>(
      shape, input.memory_format(),
      {input.strides(), strides_beside(in.target, shape, false), of_third,
       strides_beside(in.mask, shape, false)});
  return in;
}

// Where the gradient by an operand is made, laid as the input, and handed to the tape.
class GradientPlace {
 public:
  GradientPlace(const char* name, int index, const Tensor& operand, bool trailing)
      : name_(name), index_(index), operand_(operand), trailing_(trailing) {}

  void begin(Backward& context, const Tensor& input, LossTargets& to) {
    if (!operand_.defined() || !context.needs(index_)) {
      return;
    }
    wanted_ = true;
    const GradientTarget target = place(context, input);
    to.buffers[index_] = target.buffer;
    to.modes[index_] = target.mode;
  }

  void finish(Backward& context) {
    if (!wanted_ || !whole_.defined()) {
      return;
    }
    if (operand_.shape() == whole_.shape()) {
      context.give(index_, std::move(whole_));  // the tape brings it into the operand's format
      return;
    }
    // What was repeated is summed up, as a sum's operands are.
    Tensor sum = Tensor::empty(beside(operand_.shape(), whole_.shape(), trailing_), whole_.dtype(),
                               whole_.device());
    binary_gradient<pointwise::Same>(name_, whole_, Tensor(), Tensor(),
                                     {sum, WriteMode::Overwrite});
    context.give(index_, sum.view(operand_.shape()));
  }

 private:
  GradientTarget place(Backward& context, const Tensor& input) {
    if (operand_.shape() == input.shape() && operand_.memory_format() == input.memory_format()) {
      return context.into(index_);
    }
    whole_ = Tensor::empty_like(input);
    return {whole_, WriteMode::Overwrite};
  }

  const char* name_;
  int index_;
  Tensor operand_;
  bool trailing_;
  bool wanted_ = false;
  Tensor whole_;
};

// The whole loss as ops. operands: the input, the target and the third one.
Tensor composed(const LossKernels& kernels, bool each, std::span<const Tensor> operands,
                const Tensor& mask) {
  const Tensor& x = operands[0];
  const auto shaped = [&](const Tensor& operand, bool trailing) {
    const Shape shape = beside(operand.shape(), x.shape(), trailing);
    return reshape(operand, {shape.begin(), shape.end()});
  };
  const Tensor third = operands[2].defined() ? shaped(operands[2], kernels.third == Third::Trailing)
                                             : Tensor::ones({}, x.dtype(), x.device());
  Tensor loss = kernels.value_as_ops(x, shaped(operands[1], false), third);
  if (mask.defined()) {
    loss = where(shaped(mask, false), loss, 0);
  }
  if (each || kernels.reduction == Reduction::Sum) {
    return each ? loss : sum(loss);
  }
  if (!mask.defined()) {
    return mean(loss);
  }
  const Tensor ones = Tensor::ones(x.shape(), x.dtype(), x.device());
  return sum(loss) / sum(where(shaped(mask, false), ones, 0));
}

}  // namespace

Tensor loss_op(const LossKernels& kernels, const Operand& input, const Operand& target,
               const Operand& third, const Operand& mask) {
  check_arguments(kernels, input, target, third, mask);
  const char* name = kernels.name;
  const profile::Range range(name);
  const LossTensors in = tensors_of(kernels, input, target, third, mask);
  LossReduction reduction{.each = kernels.reduction == Reduction::None};
  if (kernels.reduction == Reduction::Mean) {
    reduction.divisor = static_cast<double>(input.numel());
    if (mask.defined()) {
      reduction.counted = Tensor::empty({}, float64, input.device());
    }
  }
  Tensor y = reduction.each ? Tensor::empty_like(input.tensor())
                            : Tensor::empty({}, input.dtype(), input.device());
  // The forward pass has all that the usual backward one needs: the end of the graph. Where a loss
  // is not that, the gradient was written in vain: only where a launch is dearer than bytes.
  constexpr int64_t most = 1 << 16;
  const bool is_usual = !reduction.each && !reduction.counted.defined() && input.numel() > 0 &&
                        input.numel() <= most && Tape::recording({&input}) != nullptr &&
                        Tape::recording({&target, &third}) == nullptr;
  if (is_usual && input.device() == cuda) {
    reduction.gradient = Tensor::empty_like(input.tensor());
  }
  profile::note([&] {
    return profile::moved({&in.input, &in.target, &in.third, &in.mask},
                          {&y, &reduction.gradient, &reduction.counted});
  });
  const bool accepted = kernels.forward(in, reduction, y);
  check<ValueError>(accepted, input.site(), "[{}] {}", name, kernels.refusal);
  if (Tape* tape = Tape::recording({&input, &target, &third})) {
    const auto saved = [](const Tensor& tensor) {
      return tensor.defined() ? Saved(tensor) : Saved();
    };
    const auto made = reduction.gradient.defined()
                          ? std::make_shared<Tensor>(std::exchange(reduction.gradient, Tensor()))
                          : nullptr;
    const auto got = [](const Saved& tensor) { return tensor.defined() ? tensor.get() : Tensor(); };
    tape->record(
        name, {&input, &target, &third}, {&y},
        [kernels, got, reduction, x = Saved(in.input), t = Saved(in.target), w = saved(in.third),
         m = saved(in.mask), loop = in.loop, made, target_of_caller = target.detach(),
         third_of_caller = third.defined() ? third.detach() : Tensor()](Backward& context) {
          if (context.creates_graph()) {
            const std::array inputs = {context.input(0, x.get()), context.input(1, t.get()),
                                       context.input(2, w.get())};
            context.differentiate(inputs, [&](std::span<const Tensor> operands) {
              return composed(kernels, reduction.each, operands, m.get());
            });
            return;
          }
          const bool is_end = context.grad_is_one() && !reduction.each;
          if (is_end && made != nullptr && context.needs(0)) {
            context.give(0, context.keeps() ? *made : std::move(*made));
            return;
          }
          const LossTensors again{x.get(), t.get(), got(w), got(m), loop};
          const bool trailing = kernels.third == Third::Trailing;
          GradientPlace places[] = {{kernels.name, 0, again.input, false},
                                    {kernels.name, 1, target_of_caller, false},
                                    {kernels.name, 2, third_of_caller, trailing}};
          LossTargets to;
          for (GradientPlace& place : places) {
            place.begin(context, again.input, to);
          }
          profile::note([&] {
            profile::Work work =
                profile::moved({&again.input, &again.target, &again.third, &again.mask}, {});
            for (int i = 0; i < 3; ++i) {
              work.add(profile::moved({}, GradientTarget{to.buffers[i], to.modes[i]}));
            }
            return work;
          });
          kernels.backward(again, is_end ? Tensor() : context.grad(), reduction, to);
          for (GradientPlace& place : places) {
            place.finish(context);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
