#include "kernels/dropout/dropout.h"

#include "core/check.h"
#include "core/deferred.h"
#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/profile_work.h"
#include "kernels/dropout/dropout_kernels.h"
#include "kernels/reshape/reshape.h"

namespace warptape {
namespace {

void run(const Tensor& from, double p, const RandomStream& stream, const GradientTarget& to) {
  on_device(
      "dropout", from.device(), [&] { dropout_cpu(from, p, stream, to); },
      [&] { dropout_cuda(from, p, stream, to); });
}

}  // namespace

Tensor dropout(const Operand& x, double p, bool training, Generator& generator) {
  check_floating("dropout", x);
  check<ValueError>(p >= 0 && p <= 1, x.site(), "[dropout] p: got {}, wanted 0 to 1", p);
  if (!training || p == 0) {
    if (!x.parameter()) {
      return x.tensor();
    }
    // A parameter comes out as a recorded tensor of the tape, with its gradient.
    return reshape(x, {x.shape().begin(), x.shape().end()});
  }
  const RandomStream stream = generator.next_stream();
  const auto as_epilogue = [&](Deferred& work) { return work.dropped(p, stream); };
  if (Tensor y = Deferred::changed(x, as_epilogue); y.defined()) {
    return y;
  }
  const profile::Range range("dropout");
  Tensor y = Tensor::empty_like(x.tensor());
  const GradientTarget to{y, WriteMode::Overwrite};
  profile::note([&] { return profile::moved({&x.tensor()}, to); });
  run(x.tensor(), p, stream, to);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "dropout", {&x}, {&y},
        [p, stream](Backward& context) {
          if (context.creates_graph()) {
            const auto dropped = [p, stream](const Tensor& dy) {
              const Tensor dx = Tensor::empty_like(dy);
              run(dy, p, stream, {dx, WriteMode::Overwrite});
              return dx;
            };
            give_transposed(context, {"dropout", dropped, dropped});
          } else if (context.needs(0)) {
            const Tensor& dy = context.grad();
            const GradientTarget dx = context.into(0);
            profile::note([&] { return profile::moved({&dy}, dx); });
            run(dy, p, stream, dx);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
