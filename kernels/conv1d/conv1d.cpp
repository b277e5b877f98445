#include "kernels/conv1d/conv1d.h"

#include <memory>
#include <string_view>
#include <utility>

#include "core/deferred.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "kernels/conv1d/conv1d_pass_cuda.h"
#include "kernels/conv1d/lines.h"
#include "kernels/conv1d/masked_gradient.h"
#include "kernels/conv2d/convolve.h"

namespace warptape {
namespace {

constexpr MemoryFormat row_major = MemoryFormat::RowMajor;

// What a call along lines keeps for its backward: all of it constants.
struct Kept {
  Saved x;
  bool is_row_major = true;  // x, before it was laid out for the loops
  Saved weight;
  // marks: undefined where the gradient passes everywhere.
  const std::shared_ptr<GradientMask> mask = std::make_shared<GradientMask>();
};

void give_data_grad(Backward& context, const Tensor& dy, const Kept& kept,
                    const ConvGeometry& geometry) {
  const Tensor& weight = kept.weight.get();
  if (!kept.is_row_major) {  // its gradient is laid out anew
    Tensor dx = Tensor::empty_like(kept.x.get());
    profile::note([&] { return profile::moved({&dy, &weight}, {&dx}, geometry.flops()); });
    lines_data_grad(dy, weight, geometry, dx, false, nullptr);
    context.give(0, std::move(dx));
    return;
  }
  const GradientMask* const mask = context.mask_of(0);
  if (mask == nullptr) {
    GradientTarget dx = context.into(0);
    profile::note([&] { return profile::moved({&dy, &weight}, dx, geometry.flops()); });
    lines_data_grad(dy, weight, geometry, dx.buffer, dx.mode == WriteMode::Accumulate, nullptr);
    return;
  }
  const Tensor part = context.take_part(0);
  MaskedPlaces dx(*mask, part, dy.dtype());
  if (part.defined() && !dx.whole.shares_storage_with(part)) {
    primitives::copy(part, dx.whole);
  }
  const LineMask loops{mask->marks.data<uint8_t>(), static_cast<float>(mask->scale),
                       dx.gradient.inner.mutable_data<float>(),
                       mask->wants_outer ? dx.gradient.outer.mutable_data<float>() : nullptr};
  profile::note([&] {
    return profile::moved({&dy, &weight, &part, &mask->marks},
                          {&dx.gradient.inner, &dx.gradient.outer}, geometry.flops());
  });
  lines_data_grad(dy, weight, geometry, dx.whole, part.defined(), &loops);
  context.give_masked(0, std::move(dx.gradient));
}

void backward_along_lines(Backward& context, const Kept& kept, const ConvGeometry& geometry,
                          const LineEpilogue& epilogue) {
  MaskedGradient gradient = take_masked_gradient(context, *kept.mask);
  const bool gives_residual = epilogue.adds && context.needs(3);
  if (gives_residual && gradient.outer.defined()) {
    context.give(3, std::move(gradient.outer));
  }
  const Tensor& dy = gradient.inner;
  const Tensor& x = kept.x.get();
  const Tensor& weight = kept.weight.get();
  if (context.needs(1) || context.needs(2)) {
    Tensor dweight;
    Tensor dbias;
    if (context.needs(1)) {
      dweight = Tensor::empty(weight.shape(), weight.dtype());
    }
    if (context.needs(2)) {
      dbias = context.overwrite(2);
    }
    profile::note([&] {
      return dweight.defined() ? profile::moved({&dy, &x}, {&dweight, &dbias}, geometry.flops())
                               : profile::moved({&dy}, {&dbias});
    });
    lines_filter_grads(dy, x, geometry, dweight.defined() ? &dweight : nullptr,
                       dbias.defined() ? &dbias : nullptr);
    if (dweight.defined()) {
      context.give(1, std::move(dweight));
    }
  }
  if (context.needs(0)) {
    give_data_grad(context, dy, kept, geometry);
  }
  if (gives_residual && !epilogue.has_two_gradients()) {
    context.give(3, std::move(gradient.inner));
  }
}

struct LineOperands {
  LineOperands(const Operand& x, const Operand& weight, const Operand& bias)
      : x(x),
        weight(weight),
        bias(bias),
        lines(primitives::relayout(x.tensor(), row_major)),
        filters(primitives::relayout(weight.tensor(), row_major)) {}

  Operand x;
  Operand weight;
  Operand bias;
  Operand residual = Tensor();
  Tensor lines;  // x and the weight as the loops read them
  Tensor filters;
};

Tensor along_lines(const LineOperands& in, const ConvGeometry& geometry,
                   const LineEpilogue& epilogue);

class LinesWork final : public Deferred {
 public:
  LinesWork(const LineOperands& in, const ConvGeometry& geometry, const LineEpilogue& epilogue)
      : in_(in), geometry_(geometry), epilogue_(epilogue) {}

  Tensor compute() override {
    const profile::Range range("conv1d");
    Tensor y = Tensor::empty(geometry_.y_shape(), in_.lines.dtype());
    Tensor marks;
    if (is_recorded && !epilogue_.lets_all_gradients_pass()) {
      marks = Tensor::empty(y.shape(), uint8);
    }
    profile::note([&] {
      return profile::moved({&in_.lines, &in_.filters, &in_.bias.tensor(),
                             epilogue_.adds ? &in_.residual.tensor() : nullptr},
                            {&y, &marks}, geometry_.flops());
    });
    const LineEpilogueLoops loops(epilogue_, epilogue_.adds ? in_.residual.data<float>() : nullptr,
                                  marks.defined() ? marks.mutable_data<uint8_t>() : nullptr);
    lines_forward(in_.lines, in_.filters, in_.bias.tensor(), geometry_,
                  epilogue_.is_empty() ? nullptr : &loops, y);
    kept->mask->marks = marks;
    return y;
  }

  Tensor followed_by(const char* op) override {
    const auto longer = op == std::string_view("relu") ? epilogue_.then_relu() : std::nullopt;
    return longer ? along_lines(in_, geometry_, *longer) : Tensor();
  }
  Tensor dropped(double p, const RandomStream& stream) override {
    const auto longer = epilogue_.then_dropout(p, stream);
    return longer ? along_lines(in_, geometry_, *longer) : Tensor();
  }
  Tensor plus(const Operand& other) override {
    const auto longer = epilogue_.then_sum();
    if (!longer || other.memory_format() != row_major) {
      return {};
    }
    LineOperands more = in_;
    more.residual = other;
    return along_lines(more, geometry_, *longer);
  }

  bool is_recorded = false;
  const std::shared_ptr<Kept> kept = std::make_shared<Kept>();

 private:
  const LineOperands in_;
  const ConvGeometry geometry_;
  const LineEpilogue epilogue_;
};

Tensor along_lines(const LineOperands& in, const ConvGeometry& geometry,
                   const LineEpilogue& epilogue) {
  const auto work = std::make_shared<LinesWork>(in, geometry, epilogue);
  Tape* const tape = Tape::recording({&in.x, &in.weight, &in.bias, &in.residual});
  work->is_recorded = tape != nullptr;
  return Deferred::result(
      work, {geometry.y_shape(), in.x.dtype(), in.x.device(), row_major}, [&](Tensor& y) {
        if (tape == nullptr) {
          return;
        }
        Kept& kept = *work->kept;
        kept.x = Saved(in.lines);
        kept.is_row_major = in.x.memory_format() == row_major;
        kept.weight = Saved(in.filters);
        kept.mask->scale = epilogue.scale();
        kept.mask->wants_outer =
            epilogue.has_two_gradients() && Tape::recording({&in.residual}) != nullptr;
        tape->record(
            "conv1d", {&in.x, &in.weight, &in.bias, &in.residual}, {&y},
            [kept = work->kept, geometry, epilogue](Backward& context) {
              if (context.creates_graph()) {
                give_masked_conv1d_gradients(context, *kept->mask, kept->x.get(),
                                             kept->weight.get(), geometry);
              } else {
                backward_along_lines(context, *kept, geometry, epilogue);
              }
            },
            Differentiable::Twice);
        if (!epilogue.lets_all_gradients_pass()) {
          tape->take_gradient_masked(y, kept.mask);
        }
      });
}

}  // namespace

Tensor conv1d(const Operand& x, const Operand& weight, const Operand& bias, Conv1dOptions options) {
  const ConvGeometry geometry =
      conv_geometry("conv1d", x, weight, bias, options.axes(), options.groups);
  if (x.device().type == DeviceType::CPU && lines_serve(x.dtype(), geometry)) {
    return along_lines({x, weight, bias}, geometry, {});
  }
  if constexpr (has_gpu) {
    if (x.device() == cuda && conv1d_pass_serves_cuda(x.dtype(), geometry)) {
      return conv1d_pass_cuda(x, weight, bias, geometry);
    }
  }
  return convolve(x, weight, bias, geometry);
}

}  // namespace warptape
