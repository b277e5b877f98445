#include <array>
#include <string_view>

#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/linear_work.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/pointwise/functors.h"
#include "kernels/pointwise/unary_cuda.h"
#include "kernels/sum/sum_kernels.h"
#include "kernels/vendor/choice.h"

namespace warptape {
namespace {

constexpr const char* name = "linear";

int64_t rows_of(const Tensor& x) {
  return x.numel() / std::max<int64_t>(x.size(-1), 1);
}

// The same rows with another number of features.
Tensor with_features(const Tensor& x, int64_t features) {
  Shape shape = x.shape();
  shape[x.rank() - 1] = features;
  return Tensor::empty(shape, x.dtype(), x.device());
}

GemmProblem hidden_problem(const Tensor& weight, const Tensor& h) {
  return {.transpose_b = true, .m = rows_of(h), .n = h.size(-1), .k = weight.size(1)};
}

// Of the product that gives h's gradient, with ReLU's mask as part of it.
GemmProblem hidden_grad_problem(const Tensor& weight, const Tensor& h) {
  return {.m = rows_of(h), .n = h.size(-1), .k = weight.size(0)};
}
template <class T>
Product masked_product(const GemmProblem& problem) {
  Product product = product_of<T>(problem);
  product.relu_grad = true;
  return product;
}

// h = relu(x weight^T + bias). Where cuBLASLt serves here and in backward, the mask is made too;
// where our kernels do, the marks.
void hidden_forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Tensor& weight2, Tensor& h, bool has_backward, Tensor& mask,
                    Tensor& marks) {
  const GemmProblem problem = hidden_problem(weight, h);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const GemmEpilogue<T> plain{.bias = bias.defined() ? bias.data<Compute<T>>() : nullptr,
                                .relu = true};
    const auto multiply = [&](const GemmEpilogue<T>& epilogue) {
      return gemm_cublas(name, problem, x.data<T>(), weight.data<T>(), epilogue,
                         h.mutable_data<T>());
    };
    const auto library = [&] {
      if (has_backward && library_is_chosen(masked_product<T>(hidden_grad_problem(weight2, h)))) {
        mask = Tensor::empty({relu_mask_bytes(problem.m, problem.n)}, uint8, x.device());
        GemmEpilogue<T> with_mask = plain;
        with_mask.relu_mask_out = mask.mutable_data<uint8_t>();
        if (multiply(with_mask)) {
          return true;
        }
        mask = Tensor();
      }
      return multiply(plain);
    };
    serve(product_of<T>(problem), library, [&] {
      GemmEpilogue<T> epilogue = plain;
      // The gradient of h is not there yet; it will begin at 16 bytes as h does.
      if (has_backward &&
          gemm_masks(problem, x.data<T>(), weight.data<T>(), hidden_grad_problem(weight2, h),
                     h.data<T>(), weight2.data<T>())) {
        marks = Tensor::empty(h.shape(), uint8, h.device());
        epilogue.marks_out = marks.mutable_data<uint8_t>();
      }
      gemm_cuda(name, problem, x.data<T>(), weight.data<T>(), epilogue, h.mutable_data<T>());
    });
  });
}

// The gradient of what ReLU was given. cuBLASLt also makes the sum of its rows if dbias is defined,
// and has_dbias says so. The mask and the marks may be undefined.
Tensor hidden_grad(const Tensor& dy, const Tensor& weight, const Tensor& h, const Tensor& mask,
                   const Tensor& marks, Tensor& dbias, bool& has_dbias) {
  Tensor dh = Tensor::empty_like(h);
  has_dbias = false;
  const GemmProblem problem = hidden_grad_problem(weight, h);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    Compute<T>* const sums = dbias.defined() ? dbias.mutable_data<Compute<T>>() : nullptr;
    T* const to = dh.mutable_data<T>();
    const auto with_mask = [&] {
      return gemm_cublas(name, problem, dy.data<T>(), weight.data<T>(),
                         {.relu_mask = mask.data<uint8_t>(), .column_sums = sums}, to);
    };
    if (mask.defined() && serve_by_library(masked_product<T>(problem), with_mask)) {
      has_dbias = sums != nullptr;
      return;
    }
    if (marks.defined()) {
      gemm_cuda(name, problem, dy.data<T>(), weight.data<T>(), {.marks = marks.data<uint8_t>()},
                to);
      serving_detail::log(product_of<T>(problem), serving_detail::Event::ByOurs);
      return;
    }
    gemm(name, problem, dy.data<T>(), weight.data<T>(), GemmEpilogue<T>(), to);
    UnaryCuda<pointwise::Relu, T>::backward(name, gpu::current_stream(), {}, dh.numel(), to,
                                            h.data<T>(), false, to);
  });
  return dh;
}

// What backward keeps; the mask and the marks may be undefined.
struct Kept {
  Saved x, weight1, bias1, h, mask, marks, weight2;
  const void* hidden_layer = nullptr;  // for profiles; the record is the second one's
};

void backward(Backward& context, const Kept& kept) {
  const Tensor& dy = context.grad();
  const Tensor& h = kept.h.get();
  profile::note([&] { return work_of_parameter_grads(context, 3, 4, dy, h); });
  linear_parameter_grads_cuda(name, context, 3, 4, dy, h);
  if (!context.needs(0) && !context.needs(1) && !context.needs(2)) {
    return;
  }
  Tensor dbias1 = context.needs(2) ? context.overwrite(2, compute_dtype(dy.dtype())) : Tensor();
  const Tensor mask = kept.mask.defined() ? kept.mask.get() : Tensor();
  const Tensor marks = kept.marks.defined() ? kept.marks.get() : Tensor();
  bool has_dbias1 = false;
  profile::note([&] {
    const Tensor& weight = kept.weight2.get();
    const Tensor* const masking = mask.defined() ? &mask : marks.defined() ? &marks : &h;
    return profile::moved({&dy, &weight, masking}, {&h}, 2 * dy.numel() * weight.size(1));
  });
  const Tensor dh = hidden_grad(dy, kept.weight2.get(), h, mask, marks, dbias1, has_dbias1);
  const profile::LayerScope layer(kept.hidden_layer);
  const profile::Range range(name, profile::Phase::Backward);
  profile::note([&] { return work_of_parameter_grads(context, 1, 2, dh, kept.x.get()); });
  Tensor* const to_dbias1 = dbias1.defined() && !has_dbias1 ? &dbias1 : nullptr;
  if (context.needs(1)) {
    linear_weight_grad_cuda(name, dh, kept.x.get(), context.into(1, compute_dtype(dy.dtype())),
                            to_dbias1);
  } else if (to_dbias1 != nullptr) {
    dispatch_floating(dh.dtype(), [&]<class T>() {
      sum_matrix_cuda(name, dh.data<T>(), rows_of(dh), dh.size(-1), true,
                      to_dbias1->mutable_data<Compute<T>>());
    });
  }
  if (context.needs(0)) {
    // Row-major like the saved rows; give() brings it into x's format.
    Tensor dx = Tensor::empty_like(kept.x.get());
    profile::note([&] {
      const Tensor& weight = kept.weight1.get();
      return profile::moved({&dh, &weight}, {&dx}, 2 * dh.numel() * weight.size(1));
    });
    linear_data_grad_cuda(name, dh, kept.weight1.get(), dx);
    context.give(0, std::move(dx));
  }
}

// The same as ops that are recorded.
void backward_as_ops(Backward& context, const Kept& kept) {
  const std::array inputs = {context.input(0, kept.x.get()), context.input(1, kept.weight1.get()),
                             context.input(2, kept.bias1.get()),
                             context.input(3, kept.weight2.get()), context.added_input(4)};
  context.differentiate(inputs, [](std::span<const Tensor> in) {
    return linear(linear(in[0], in[1], in[2], {.activation = Activation::ReLU}), in[3], in[4]);
  });
}

class HiddenWork final : public Deferred {
 public:
  HiddenWork(const LinearWork& hidden, const Operand& weight, const Operand& bias, bool keeps)
      : x(hidden.x),
        weight1(hidden.weight),
        bias1(hidden.bias),
        weight2(weight),
        bias2(bias),
        rows(hidden.rows),
        hidden_layer(hidden.layer()),
        keeps(keeps) {}

  Tensor compute() override {
    Tensor h = with_features(rows, weight1.size(0));
    Tensor mask;
    Tensor marks;
    {
      const profile::LayerScope layer(hidden_layer);
      const profile::Range range(name);
      profile::note([&] {
        return profile::moved({&rows, &weight1.tensor(), &bias1.tensor()}, {&h},
                              2 * rows.numel() * weight1.size(0));
      });
      hidden_forward(rows, weight1.tensor(), widened(bias1.tensor()), weight2.tensor(), h, keeps,
                     mask, marks);
    }
    const profile::Range range(name);
    Tensor y = with_features(rows, weight2.size(0));
    profile::note([&] {
      return profile::moved({&h, &weight2.tensor(), &bias2.tensor()}, {&y},
                            2 * h.numel() * weight2.size(0));
    });
    linear_forward_cuda(name, h, weight2.tensor(), widened(bias2.tensor()), false, y);
    if (keeps) {
      const auto saved = [](const Tensor& x) { return x.defined() ? Saved(x) : Saved(); };
      *kept = {.x = Saved(rows),
               .weight1 = Saved(weight1.tensor()),
               .bias1 = saved(bias1.tensor()),
               .h = Saved(h),
               .mask = saved(mask),
               .marks = saved(marks),
               .weight2 = Saved(weight2.tensor()),
               .hidden_layer = hidden_layer};
    }
    return y;
  }

  // As two layers, of which each has its ReLU.
  Tensor followed_by(const char* op) override {
    if (op != std::string_view("relu")) {
      return {};
    }
    constexpr LinearOptions with_relu{.activation = Activation::ReLU};
    Tensor h = linear(x, weight1, bias1, with_relu);
    return linear(Operand(std::move(h), x.site().file, x.site().line), weight2, bias2, with_relu);
  }

  const Operand x, weight1, bias1, weight2, bias2;
  const Tensor rows;
  const void* const hidden_layer;
  const bool keeps;
  const std::shared_ptr<Kept> kept = std::make_shared<Kept>();
};

}  // namespace

Tensor hidden_linear_cuda(const LinearWork& hidden, const Operand& weight, const Operand& bias) {
  Tape* const tape = Tape::recording({&hidden.x, &hidden.weight, &hidden.bias, &weight, &bias});
  const auto work = std::make_shared<HiddenWork>(hidden, weight, bias, tape != nullptr);
  const Operand& x = work->x;
  Shape shape = x.shape();
  shape[-1] = weight.size(0);
  check_countable(name, "output", shape, x.dtype(), weight.site());
  return Deferred::result(work, {shape, x.dtype(), x.device(), MemoryFormat::RowMajor},
                          [&](Tensor& y) {
                            if (tape != nullptr) {
                              tape->record(
                                  name, {&x, &work->weight1, &work->bias1, &weight, &bias}, {&y},
                                  [kept = work->kept](Backward& context) {
                                    context.creates_graph() ? backward_as_ops(context, *kept)
                                                            : backward(context, *kept);
                                  },
                                  Differentiable::Twice);
                            }
                          });
}

}  // namespace warptape
