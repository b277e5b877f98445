#include "kernels/vendor/product.h"

#include <fmt/format.h>

#include <algorithm>

namespace warptape {

const char* name_of(ProductKind kind) {
  switch (kind) {
    case ProductKind::Gemm:
      return "gemm";
    case ProductKind::Conv2d:
      return "conv2d y";
    case ProductKind::Conv2dDataGrad:
      return "conv2d dx";
    case ProductKind::Conv2dWeightGrad:
      return "conv2d dw";
  }
  return "?";
}

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::Float32:
      return "float32";
    case Precision::Tf32:
      return "tf32";
    case Precision::Bfloat16:
      return "bfloat16";
    case Precision::Float64:
      return "float64";
  }
  return "?";
}

const char* library_of(ProductKind kind) {
  return kind == ProductKind::Gemm ? "cuBLASLt" : "cuDNN";
}

std::string to_string(const Product& p) {
  std::string text = p.depthwise ? "depthwise " : "";
  if (p.kind == ProductKind::Gemm) {
    text += fmt::format("{} {}x{} by {}x{}", name_of(p.kind), p.m, p.k, p.k, p.n);
    text += p.transpose_a ? ", a transposed" : "";
    text += p.transpose_b ? ", b transposed" : "";
    text += p.relu_grad ? ", gradient of ReLU" : "";
    text += p.groups > 1 ? fmt::format(", {} batches", p.groups) : "";
  } else {
    text += fmt::format("{}, {} pixels, {} taps of {} to {} channels", name_of(p.kind), p.m, p.taps,
                        p.k / std::max<int64_t>(p.taps, 1), p.n);
    text += p.groups > 1 ? fmt::format(", {} groups", p.groups) : "";
  }
  return text + ", " + name_of(p.precision);
}

}  // namespace warptape
