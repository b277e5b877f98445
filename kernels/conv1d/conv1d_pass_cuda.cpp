#include "kernels/conv1d/conv1d_pass_cuda.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "core/deferred.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/conv1d/line_epilogue.h"
#include "kernels/conv1d/masked_gradient.h"
#include "kernels/conv2d/conv2d_choice.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/conv2d/conv2d_products.h"
#include "kernels/conv2d/convolve.h"
#include "kernels/geometry/give_viewed.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

// Calls body.template operator()<T>() for the element types of passes.
template <class Body>
void with_pass_dtype(DType dtype, const Body& body) {
  if (dtype == bfloat16) {
    body.template operator()<simt::bfloat16>();
  } else {
    body.template operator()<float>();
  }
}

struct PassOperands {
  Operand x, weight, bias, residual;
  Tensor pixels, filters;  // x and the weight as the kernels read them, of the planar geometry
};

// What a call keeps for its backward: all of it constants.
struct PassKept {
  Saved pixels, filters;
  bool x_is_channels_last = false;
  // marks: undefined where the gradient passes everywhere.
  const std::shared_ptr<GradientMask> mask = std::make_shared<GradientMask>();
};

// geometry: planar. marks: undefined where they are not wanted.
void forward(const PassOperands& in, const ConvGeometry& geometry, const LineEpilogue& epilogue,
             Tensor& y, Tensor& marks) {
  const Tensor bias = widened(in.bias.tensor());
  profile::note([&] {
    return profile::moved(
        {&in.pixels, &in.filters, &bias, epilogue.adds ? &in.residual.tensor() : nullptr},
        {&y, &marks}, geometry.flops());
  });
  with_pass_dtype(y.dtype(), [&]<class T>() {
    auto product = conv2d_products::forward_pass(
        geometry, in.pixels.data<T>(), in.filters.data<T>(),
        bias.defined() ? bias.data<Compute<T>>() : nullptr, y.mutable_data<T>());
    auto& out = product.out;
    out.relu = epilogue.relu;
    if (epilogue.dropout > 0) {
      out.drops = true;
      out.least_kept = static_cast<uint32_t>(std::ceil(epilogue.dropout * 0x1p32));
      out.scale = static_cast<Compute<T>>(epilogue.scale());
      out.random = epilogue.stream;
    }
    out.residual = epilogue.adds ? in.residual.data<T>() : nullptr;
    out.relu_after = epilogue.relu_after;
    out.marks = marks.defined() ? marks.mutable_data<uint8_t>() : nullptr;
    out.choose_packs();
    matrix::run_product("conv1d", product);
  });
  serving_detail::log(conv2d_product(ProductKind::Conv2d, y.dtype(), geometry),
                      serving_detail::Event::ByOurs);
}

// dx through the mask that its maker asked for. geometry: as asked.
void give_masked_data_grad(Backward& context, const Tensor& dy, const PassKept& kept,
                           const GradientMask& mask, const ConvGeometry& geometry) {
  const ConvGeometry planar = geometry.as_planar();
  Tensor part = context.take_part(0);
  const Tensor& filters = kept.filters.get();
  // One of the two may lie where the part is: each element is read before it is written.
  MaskedGradient dx = MaskedPlaces(mask, part, dy.dtype()).gradient;
  profile::note([&] {
    return profile::moved({&dy, &filters, &part, &mask.marks}, {&dx.inner, &dx.outer},
                          planar.flops());
  });
  with_pass_dtype(dy.dtype(), [&]<class T>() {
    const conv2d_products::MaskedGradientPlaces<T> places{
        dx.inner.mutable_data<T>(), dx.outer.defined() ? dx.outer.mutable_data<T>() : nullptr,
        part.defined() ? part.data<T>() : nullptr, mask.marks.data<uint8_t>()};
    conv2d_products::for_each_residue(planar, [&](int64_t residue_y, int64_t residue_x) {
      matrix::run_product("conv1d", conv2d_products::masked_data_grad(
                                        planar, dy.data<T>(), filters.data<T>(), places,
                                        static_cast<Compute<T>>(mask.scale), residue_y, residue_x));
    });
  });
  serving_detail::log(conv2d_product(ProductKind::Conv2dDataGrad, dy.dtype(), planar),
                      serving_detail::Event::ByOurs);
  context.give_masked(0, std::move(dx));
}

void give_data_grad(Backward& context, const Tensor& dy, const PassKept& kept,
                    const ConvGeometry& geometry) {
  const ConvGeometry planar = geometry.as_planar();
  if (const GradientMask* const mask = context.mask_of(0)) {
    give_masked_data_grad(context, dy, kept, *mask, geometry);
    return;
  }
  const Tensor& filters = kept.filters.get();
  const Product product = conv2d_product(ProductKind::Conv2dDataGrad, dy.dtype(), planar);
  if (kept.x_is_channels_last && !library_is_chosen(product)) {
    GradientTarget to = context.into(0);
    Tensor dx = to.buffer.view(planar.x_shape());
    profile::note([&] { return profile::moved({&dy, &filters}, to, planar.flops()); });
    conv2d_own_data_grad_cuda(dy, filters, planar, to.mode == WriteMode::Accumulate, dx);
    return;
  }
  Tensor dx = Tensor::empty_like(kept.pixels.get());
  profile::note([&] { return profile::moved({&dy, &filters}, {&dx}, planar.flops()); });
  conv2d_data_grad_cuda(dy, filters, Tensor(), planar, dx);
  give_viewed(context, 0, dx, geometry.x_shape());
}

void backward(Backward& context, const PassKept& kept, const ConvGeometry& geometry,
              const LineEpilogue& epilogue) {
  const ConvGeometry planar = geometry.as_planar();
  MaskedGradient grad = take_masked_gradient(context, *kept.mask);
  const bool gives_residual = epilogue.adds && context.needs(3);
  if (gives_residual && grad.outer.defined()) {
    context.give(3, std::move(grad.outer));
  }
  {
    const Tensor dy = grad.inner.view(planar.y_shape());
    conv_parameter_grads(context, dy, kept.pixels.get(), kept.filters.get(), geometry);
    if (context.needs(0)) {
      give_data_grad(context, dy, kept, geometry);
    }
  }
  if (gives_residual && !epilogue.has_two_gradients()) {
    context.give(3, std::move(grad.inner));
  }
}

Tensor in_one_pass(const PassOperands& in, const ConvGeometry& geometry,
                   const LineEpilogue& epilogue);

class PassWork final : public Deferred {
 public:
  PassWork(const PassOperands& in, const ConvGeometry& geometry, const LineEpilogue& epilogue)
      : in_(in), geometry_(geometry), epilogue_(epilogue) {}

  Tensor compute() override {
    const profile::Range range("conv1d");
    const ConvGeometry planar = geometry_.as_planar();
    Tensor y =
        Tensor::empty(planar.y_shape(), in_.pixels.dtype(), in_.pixels.device(), channels_last);
    Tensor marks;
    if (is_recorded && !epilogue_.lets_all_gradients_pass()) {
      marks = Tensor::empty(geometry_.y_shape(), uint8, y.device(), channels_last);
    }
    if (epilogue_.is_empty()) {
      profile::note([&] {
        return profile::moved({&in_.pixels, &in_.filters, &in_.bias.tensor()}, {&y},
                              planar.flops());
      });
      conv2d_forward_cuda(in_.pixels, in_.filters, widened(in_.bias.tensor()), planar, y);
    } else {
      forward(in_, planar, epilogue_, y, marks);
    }
    kept->mask->marks = marks;
    return y.view(geometry_.y_shape());
  }

  Tensor followed_by(const char* op) override {
    const auto longer = op == std::string_view("relu") ? epilogue_.then_relu() : std::nullopt;
    return longer ? in_one_pass(in_, geometry_, *longer) : Tensor();
  }
  Tensor dropped(double p, const RandomStream& stream) override {
    const auto longer = epilogue_.then_dropout(p, stream);
    return longer ? in_one_pass(in_, geometry_, *longer) : Tensor();
  }
  Tensor plus(const Operand& other) override {
    const auto longer = epilogue_.then_sum();
    if (!longer || other.memory_format() != channels_last) {
      return {};
    }
    PassOperands more = in_;
    more.residual = other;
    return in_one_pass(more, geometry_, *longer);
  }

  bool is_recorded = false;
  const std::shared_ptr<PassKept> kept = std::make_shared<PassKept>();

 private:
  const PassOperands in_;
  const ConvGeometry geometry_;  // as asked
  const LineEpilogue epilogue_;
};

Tensor in_one_pass(const PassOperands& in, const ConvGeometry& geometry,
                   const LineEpilogue& epilogue) {
  const auto work = std::make_shared<PassWork>(in, geometry, epilogue);
  Tape* const tape = Tape::recording({&in.x, &in.weight, &in.bias, &in.residual});
  work->is_recorded = tape != nullptr;
  return Deferred::result(
      work, {geometry.y_shape(), in.x.dtype(), in.x.device(), channels_last}, [&](Tensor& y) {
        if (tape == nullptr) {
          return;
        }
        PassKept& kept = *work->kept;
        kept.pixels = Saved(in.pixels);
        kept.filters = Saved(in.filters);
        kept.x_is_channels_last = in.x.memory_format() == channels_last;
        kept.mask->scale = epilogue.scale();
        kept.mask->wants_outer =
            epilogue.has_two_gradients() && Tape::recording({&in.residual}) != nullptr;
        tape->record(
            "conv1d", {&in.x, &in.weight, &in.bias, &in.residual}, {&y},
            [kept = work->kept, geometry, epilogue](Backward& context) {
              if (context.creates_graph()) {
                give_masked_conv1d_gradients(context, *kept->mask, kept->pixels.get(),
                                             kept->filters.get(), geometry);
              } else {
                backward(context, *kept, geometry, epilogue);
              }
            },
            Differentiable::Twice);
        if (!epilogue.lets_all_gradients_pass()) {
          tape->take_gradient_masked(y, kept.mask);
        }
      });
}

}  // namespace

bool conv1d_pass_serves_cuda(DType dtype, const ConvGeometry& geometry) {
  const ConvGeometry planar = geometry.as_planar();
  return (dtype == float32 || dtype == bfloat16) && !is_depthwise(planar) && !planar.empty() &&
         gpu_libraries() != GpuLibraries::On;
}

Tensor conv1d_pass_cuda(const Operand& x, const Operand& weight, const Operand& bias,
                        const ConvGeometry& geometry) {
  const ConvGeometry planar = geometry.as_planar();
  const PassOperands in{x,
                        weight,
                        bias,
                        Tensor(),
                        conv_pixels(x, planar.x_shape()),
                        conv_filters(weight, planar.filter_shape())};
  return in_one_pass(in, geometry, {});
}

}  // namespace warptape
