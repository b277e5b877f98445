#pragma once
// A matrix product or convolution as the choice between our kernels and a library's sees it.

#include <compare>
#include <cstdint>
#include <string>

namespace warptape {

enum class ProductKind { Gemm, Conv2d, Conv2dDataGrad, Conv2dWeightGrad };

// How factors are rounded: tf32 is float32 data where libraries may round it (tf32_is_on).
enum class Precision { Float32, Tf32, Bfloat16, Float64 };

struct Product {
  ProductKind kind = ProductKind::Gemm;
  Precision precision = Precision::Float32;
  // Of one batch or group. Gemm: (m, k) by (k, n). A convolution and its gradients: m pixels of y,
  // k = taps times channels of x, n channels of y.
  int64_t m = 1, n = 1, k = 1;
  int64_t taps = 1;    // kH kW
  int64_t groups = 1;  // or batches
  bool transpose_a = false, transpose_b = false;
  bool relu_grad = false;  // with ReLU's mask, and the sums of columns, in one pass
  bool depthwise = false;

  auto operator<=>(const Product&) const = default;
};

const char* name_of(ProductKind kind);     // "gemm", "conv2d dx"
const char* name_of(Precision precision);  // "float32"
// The library that has products of this kind: "cuBLASLt", "cuDNN".
const char* library_of(ProductKind kind);

// "gemm 512x8192 by 8192x256, b transposed, float32", "conv2d dx, 524288 pixels, 9 taps of 3 to 64
// channels, float32".
std::string to_string(const Product& product);

}  // namespace warptape
