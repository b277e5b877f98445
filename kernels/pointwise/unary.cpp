#include "kernels/pointwise/unary.h"

#include "core/profile_work.h"

namespace warptape {

namespace {

void backward(Backward& context, const char* name, const UnaryKernels& kernels,
              const Saved& saved) {
  const Tensor& dy = context.grad();
  const bool saves = kernels.saves != Saves::Nothing;
  const GradientTarget dx = context.into(0);
  profile::note([&] { return profile::moved({&dy, saves ? &saved.get() : nullptr}, dx); });
  kernels.backward(name, dy, saves ? saved.get() : dy, dx);
}

void backward_as_ops(Backward& context, const UnaryKernels& kernels, const Saved& saved) {
  Tensor kept;
  if (kernels.saves == Saves::Input) {
    kept = context.input(0, saved.get());
  } else if (kernels.saves == Saves::Output) {
    kept = context.output(0, saved.get());
  }
  context.give(0, kernels.recorded(context.grad(), kept));
}

}  // namespace

Tensor UnaryWork::compute() {
  const profile::Range range(name);
  Tensor y = Tensor::empty_like(x.tensor());
  profile::note([&] { return profile::moved({&x.tensor()}, {&y}); });
  kernels.forward(name, x.tensor(), y);
  return y;
}

void UnaryWork::computed(const Tensor& y) {
  if (kernels.saves == Saves::Output) {
    *kept = Saved(y);
  }
}

Tensor unary_op(const char* name, const Operand& x, const UnaryKernels& kernels) {
  check_floating(name, x);
  const auto as_epilogue = [&](Deferred& work) { return work.followed_by(name); };
  if (Tensor y = Deferred::changed(x, as_epilogue); y.defined()) {
    return y;
  }
  if (name == std::string_view("relu")) {  // before there is another holder of x
    Deferred::take<Deferred>(x, [](const Deferred& given) { return given.can_wait_longer(); });
  }
  const auto work = std::make_shared<UnaryWork>(name, x, kernels);
  return Deferred::result(
      work, {x.shape(), x.dtype(), x.device(), x.memory_format()}, [&](Tensor& y) {
        if (Tape* tape = Tape::recording({&x})) {
          if (kernels.saves == Saves::Input) {
            *work->kept = Saved(x.tensor());
          }
          tape->record(
              name, {&x}, {&y},
              [saved = work->kept, name, kernels](Backward& context) {
                if (context.needs(0)) {
                  context.creates_graph() ? backward_as_ops(context, kernels, *saved)
                                          : backward(context, name, kernels, *saved);
                }
              },
              Differentiable::Twice);
        }
      });
}

}  // namespace warptape
