#include <fmt/format.h>

#include <cstring>
#include <memory>

#include "core/primitives.h"
#include "core/random.h"
#include "core/simt/bfloat16.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/conv2d/conv2d_products.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/pointwise/functors.h"
#include "kernels/pointwise/unary_cuda.h"
#include "kernels/sum/sum_kernels.h"
#include "tools/product_cases.h"

namespace warptape::tools {
namespace {

// Random values: a GPU multiplies constants with less power, and so faster.
Tensor random_on_cuda(const Shape& shape, DType dtype = float32) {
  return randn(shape, dtype).to(cuda);
}
Tensor random_image(const Shape& shape) {
  return primitives::relayout(random_on_cuda(shape), MemoryFormat::ChannelsLast);
}

double flops_of(const GemmProblem& p) {
  return 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
}
std::string sizes_of(const GemmProblem& p) {
  return fmt::format("({} x {}) ({} x {})", p.m, p.k, p.k, p.n);
}

template <class T = float>
ProductCase gemm_case(const std::string& name, const GemmProblem& p) {
  const auto prepare = [p] {
    const DType dtype = dtype_of<T>();
    const Tensor a = random_on_cuda({p.m, p.k}, dtype);  // the same elements, if transposed
    const Tensor b = random_on_cuda({p.k, p.n}, dtype);
    Tensor c = random_on_cuda({p.m, p.n}, dtype);
    const auto ours = [=]() mutable {
      gemm_cuda("bench", p, a.data<T>(), b.data<T>(), GemmEpilogue<T>{}, c.mutable_data<T>());
    };
    const auto library = [=]() mutable {
      return gemm_cublas("bench", p, a.data<T>(), b.data<T>(), GemmEpilogue<T>{},
                         c.mutable_data<T>());
    };
    return PreparedProduct{ours, library};
  };
  return {name, sizes_of(p), "cuBLASLt", flops_of(p), prepare, to_string(dtype_of<T>())};
}

// The gradient of a hidden layer: a product, ReLU's gradient, and the sums of its columns.
ProductCase hidden_grad_case(const std::string& name, const GemmProblem& p) {
  const auto prepare = [p] {
    const Tensor dy = random_on_cuda({p.m, p.k});
    const Tensor weight = random_on_cuda({p.k, p.n});
    const Tensor h = random_on_cuda({p.m, p.n});
    const Tensor mask = Tensor::zeros({relu_mask_bytes(p.m, p.n)}, uint8, h.device());
    Tensor dh = random_on_cuda({p.m, p.n});
    Tensor sums = random_on_cuda({p.n});
    const auto ours = [=]() mutable {
      float* const to = dh.mutable_data<float>();
      gemm_cuda("bench", p, dy.data<float>(), weight.data<float>(), GemmEpilogue<float>{}, to);
      UnaryCuda<pointwise::Relu, float>::backward("bench", gpu::current_stream(), {}, dh.numel(),
                                                  to, h.data<float>(), false, to);
      sum_matrix_cuda("bench", to, p.m, p.n, true, sums.mutable_data<float>());
    };
    const auto library = [=]() mutable {
      return gemm_cublas(
          "bench", p, dy.data<float>(), weight.data<float>(),
          {.relu_mask = mask.data<uint8_t>(), .column_sums = sums.mutable_data<float>()},
          dh.mutable_data<float>());
    };
    return PreparedProduct{ours, library};
  };
  return {name, sizes_of(p), "cuBLASLt", flops_of(p), prepare};
}

// A linear layer and its gradients.
void add_linear(std::vector<ProductCase>& cases, const std::string& name, int64_t batch, int64_t in,
                int64_t out) {
  cases.push_back(gemm_case(name + " y", {.transpose_b = true, .m = batch, .n = out, .k = in}));
  cases.push_back(gemm_case(name + " dx", {.m = batch, .n = in, .k = out}));
  cases.push_back(gemm_case(name + " dw", {.transpose_a = true, .m = out, .n = in, .k = batch}));
}

struct ConvTensors {
  Tensor x, weight, y;  // or their gradients
  explicit ConvTensors(const ConvGeometry& g)
      : x(random_image(g.x_shape())),
        weight(random_image(g.filter_shape())),
        y(random_image(g.y_shape())) {}
};

// A convolution with a square kernel, whose y is as large as x.
ConvGeometry square_geometry(int64_t batch, int64_t in, int64_t size, int64_t out, int64_t kernel,
                             int64_t groups = 1) {
  const Conv2dOptions options{.padding = kernel / 2};
  return conv_geometry("bench", Shape{batch, in, size, size},
                       Shape{out, in / groups, kernel, kernel}, options.axes(), groups);
}

// A 3x3 convolution with padding 1, and its gradients.
void add_conv(std::vector<ProductCase>& cases, const std::string& name, int64_t batch, int64_t in,
              int64_t size, int64_t out, int64_t groups = 1) {
  const ConvGeometry g = square_geometry(batch, in, size, out, 3, groups);
  const double flops = 2.0 * static_cast<double>(batch * size * size) *
                       static_cast<double>(out * g.in_per_group() * 9);
  const std::string grouped = groups == 1 ? "" : fmt::format(", groups {}", groups);
  const auto add = [&](const std::string& what, const auto& ours, const auto& library) {
    const auto prepare = [g, ours, library] {
      const auto tensors = std::make_shared<ConvTensors>(g);
      return PreparedProduct{[=] { ours(g, *tensors); }, [=] { return library(g, *tensors); }};
    };
    cases.push_back({name + what,
                     fmt::format("{0}x{1}x{2}x{2}, 3x3 to {3}{4}", batch, in, size, out, grouped),
                     "cuDNN", flops, prepare});
  };
  add(
      " y",
      [](const ConvGeometry& at, ConvTensors& t) {
        conv2d_forward_cuda(t.x, t.weight, Tensor(), at, t.y);
      },
      [](const ConvGeometry& at, ConvTensors& t) {
        return conv2d_forward_cudnn(t.x, t.weight, Tensor(), at, t.y);
      });
  add(
      " dx",
      [](const ConvGeometry& at, ConvTensors& t) {
        conv2d_data_grad_cuda(t.y, t.weight, Tensor(), at, t.x);
      },
      [](const ConvGeometry& at, ConvTensors& t) {
        return conv2d_data_grad_cudnn(t.y, t.weight, at, t.x);
      });
  add(
      " dw",
      [](const ConvGeometry& at, ConvTensors& t) {
        conv2d_parameter_grads_cuda(t.y, t.x, at, &t.weight, nullptr);
      },
      [](const ConvGeometry& at, ConvTensors& t) {
        return conv2d_weight_grad_cudnn(t.y, t.x, at, t.weight);
      });
}

Tensor random_bfloat16(int64_t count) {
  return randn({count}).to(bfloat16).to(cuda);
}

// A convolution with a square kernel, and its gradients (the filters' in float32), by the matrix
// core on tensor cores. One pixel and a kernel of one: matrices, and cuBLASLt multiplies them too.
void add_bfloat16(std::vector<ProductCase>& cases, const std::string& name, int64_t batch,
                  int64_t in, int64_t size, int64_t out, int64_t kernel) {
  const ConvGeometry g = square_geometry(batch, in, size, out, kernel);
  using Library = bool (*)(const ConvGeometry&, Tensor& x, Tensor& filters, Tensor& y);
  const auto add = [&](const std::string& what, const auto& launch, Library library = nullptr) {
    const auto prepare = [g, launch, library] {
      Tensor x = random_bfloat16(g.batch * g.pixels() * g.in_channels);
      Tensor filters = random_bfloat16(g.out_channels * conv2d_products::filter_size(g));
      Tensor y = random_bfloat16(g.batch * g.out_pixels() * g.out_channels);
      return PreparedProduct{[=]() mutable { launch(g, x, filters, y); },
                             [=]() mutable { return library(g, x, filters, y); }};
    };
    const double flops = 2.0 * static_cast<double>(batch * size * size) *
                         static_cast<double>(out * in * kernel * kernel);
    cases.push_back({name + what,
                     fmt::format("{0}x{1}x{2}x{2}, {3}x{3} to {4}", batch, in, size, kernel, out),
                     library == nullptr ? "" : "cuBLASLt", flops, prepare, "bfloat16"});
  };
  const Library multiply = [](const ConvGeometry& at, Tensor& x, Tensor& filters, Tensor& y) {
    const GemmProblem problem{
        .transpose_b = true, .m = at.batch, .n = at.out_channels, .k = at.in_channels};
    return gemm_cublas("bench", problem, x.mutable_data<simt::bfloat16>(),
                       filters.mutable_data<simt::bfloat16>(), GemmEpilogue<simt::bfloat16>{},
                       y.mutable_data<simt::bfloat16>());
  };
  const auto forward = [](const ConvGeometry& at, Tensor& x, Tensor& filters, Tensor& y) {
    const float* no_bias = nullptr;
    matrix::run_product(
        "bench", conv2d_products::forward<simt::bfloat16>(
                     at, x.mutable_data<simt::bfloat16>(), filters.mutable_data<simt::bfloat16>(),
                     no_bias, false, y.mutable_data<simt::bfloat16>()));
  };
  add(" y", forward, size == 1 && kernel == 1 ? multiply : nullptr);
  add(" dx", [](const ConvGeometry& at, Tensor& x, Tensor& filters, Tensor& y) {
    matrix::run_product(
        "bench", conv2d_products::data_grad<simt::bfloat16>(
                     at, y.mutable_data<simt::bfloat16>(), filters.mutable_data<simt::bfloat16>(),
                     x.mutable_data<simt::bfloat16>(), 0, 0));
  });
  add(" dw", [](const ConvGeometry& at, Tensor& x, Tensor& filters, Tensor& y) {
    Tensor dfilters = Tensor::empty(filters.shape(), float32, filters.device());
    matrix::run_product("bench",
                        conv2d_products::weight_grad<simt::bfloat16, float>(
                            at, y.mutable_data<simt::bfloat16>(), x.mutable_data<simt::bfloat16>(),
                            dfilters.mutable_data<float>()));
  });
}

}  // namespace

namespace {

// Everything that a step of SimpleCNN multiplies, and the gradient that it does not need.
void add_simple_cnn(std::vector<ProductCase>& cases, const std::string& of, int64_t batch,
                    int64_t image) {
  add_conv(cases, of + "conv1", batch, 3, image, 64);
  add_conv(cases, of + "conv2", batch, 64, image / 2, 128);
  add_linear(cases, of + "fc1", batch, 128 * (image / 4) * (image / 4), 256);
  add_linear(cases, of + "fc2", batch, 256, 10);
  cases.push_back(hidden_grad_case(of + "fc2 dh", {.m = batch, .n = 256, .k = 10}));
}

}  // namespace

std::vector<ProductCase> product_cases(bool quick) {
  std::vector<ProductCase> cases;
  const int64_t square = quick ? 64 : 4096;
  for (const int64_t size :
       quick ? std::vector<int64_t>{64} : std::vector<int64_t>{64, 256, 1024, 4096}) {
    cases.push_back(gemm_case(fmt::format("gemm {}", size), {.m = size, .n = size, .k = size}));
    if (size <= 1024) {
      cases.push_back(
          gemm_case<double>(fmt::format("gemm {}", size), {.m = size, .n = size, .k = size}));
    }
  }
  add_simple_cnn(cases, "", quick ? 1 : 512, quick ? 8 : 32);
  if (!quick) {
    add_simple_cnn(cases, "b16 ", 16, 32);
  }
  add_conv(cases, "depthwise", quick ? 1 : 512, 64, quick ? 4 : 16, 64, 64);
  add_bfloat16(cases, fmt::format("gemm {}", square), square, square, 1, square, 1);
  add_bfloat16(cases, "conv2", quick ? 1 : 512, 64, quick ? 4 : 16, 128, 3);
  return cases;
}

}  // namespace warptape::tools
