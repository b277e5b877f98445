#include "kernels/conv2d/conv2d.h"

#include <utility>

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/pool/poolable.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

void parameter_grads_cpu(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                         Tensor* dweight, Tensor* dbias) {
  if (dweight != nullptr) {
    conv2d_weight_grad_cpu(dy, x, geometry, *dweight);
  }
  if (dbias != nullptr) {
    conv2d_bias_grad_cpu(dy, *dbias);
  }
}

void parameter_grads(Backward& context, const Tensor& x, const Tensor& weight,
                     const ConvGeometry& geometry) {
  const Tensor& dy = context.grad();
  const DType dtype = compute_dtype(weight.dtype());
  Tensor dweight;
  if (context.needs(1)) {
    dweight = Tensor::empty(weight.shape(), dtype, weight.device(), weight.memory_format());
  }
  Tensor dbias = context.needs(2) ? context.overwrite(2, dtype) : Tensor();
  Tensor* const to_dweight = dweight.defined() ? &dweight : nullptr;
  Tensor* const to_dbias = dbias.defined() ? &dbias : nullptr;
  if (to_dweight == nullptr && to_dbias == nullptr) {
    return;
  }
  on_device(
      "conv2d", dy.device(), [&] { parameter_grads_cpu(dy, x, geometry, to_dweight, to_dbias); },
      [&] { conv2d_parameter_grads_cuda(dy, x, geometry, to_dweight, to_dbias); });
  if (to_dweight != nullptr) {
    context.give(1, std::move(dweight));
  }
}

void backward(Backward& context, const Tensor& x, const Tensor& weight,
              const ConvGeometry& geometry) {
  const Tensor& dy = context.grad();
  parameter_grads(context, x, weight, geometry);
  if (context.needs(0)) {
    Tensor dx = Tensor::empty_like(x);
    on_device(
        "conv2d", dy.device(), [&] { conv2d_data_grad_cpu(dy, weight, geometry, dx); },
        [&] { conv2d_data_grad_cuda(dy, weight, geometry, dx); });
    context.give(0, std::move(dx));
  }
}

class ConvWork final : public PoolableWork {
 public:
  ConvWork(const Operand& x, const Operand& weight, const Operand& bias,
           const ConvGeometry& geometry)
      : pixels(primitives::relayout(x.tensor(), channels_last)),
        filters(primitives::relayout(weight.tensor(), x.device().type == DeviceType::CPU
                                                          ? MemoryFormat::RowMajor
                                                          : channels_last)),
        wide_bias_(widened(bias.tensor())),
        geometry_(geometry) {}

  Tensor compute() override {
    const profile::Range range("conv2d");
    Tensor y = Tensor::empty(geometry_.y_shape(), pixels.dtype(), pixels.device(), channels_last);
    on_device(
        "conv2d", y.device(),
        [&] { conv2d_forward_cpu(pixels, filters, wide_bias_, geometry_, y); },
        [&] { conv2d_forward_cuda(pixels, filters, wide_bias_, geometry_, y); });
    return y;
  }

  bool compute_pooled(const PoolGeometry& pool, bool with_relu, Tensor& y,
                      Tensor& indices) override {
    const profile::Range range("conv2d");
    bool is_done = false;
    on_device(
        "conv2d", y.device(), [] {},
        [&] {
          is_done = conv2d_pooled_cuda(pixels, filters, wide_bias_, geometry_, pool, with_relu, y,
                                       indices);
        });
    return is_done;
  }

  const Tensor pixels;   // x, channels-last
  const Tensor filters;  // the weight, as the device's kernels read it

 private:
  const Tensor wide_bias_;
  const ConvGeometry geometry_;
};

}  // namespace

Tensor conv2d(const Operand& x, const Operand& weight, const Operand& bias, Conv2dOptions options) {
  const ConvGeometry geometry =
      conv_geometry("conv2d", x, weight, bias, options.axes(), options.groups);
  const auto work = std::make_shared<ConvWork>(x, weight, bias, geometry);
  return Deferred::result(
      work, {geometry.y_shape(), x.dtype(), x.device(), channels_last}, [&](Tensor& y) {
        if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
          tape->record("conv2d", {&x, &weight, &bias}, {&y},
                       [saved_x = Saved(work->pixels), saved_weight = Saved(work->filters),
                        geometry](Backward& context) {
                         backward(context, saved_x.get(), saved_weight.get(), geometry);
                       });
        }
      });
}

}  // namespace warptape
