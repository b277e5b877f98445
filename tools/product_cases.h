#pragma once
// The matrix products and convolutions that `warptape bench kernels` times, by our kernels and by
// a vendor's: in float32, and in bfloat16, where cuBLASLt has a part in the plain products alone.

#include <functional>
#include <string>
#include <vector>

namespace warptape::tools {

// Queue the work once; ready to be called again and again.
struct PreparedProduct {
  std::function<void()> ours;
  std::function<bool()> library{};  // false, and nothing done, where it does not serve
};

struct ProductCase {
  std::string name;     // "conv2 dx"
  std::string sizes;    // "512x64x16x16, 3x3 to 128"
  std::string library;  // "cuBLASLt"; empty: ours alone
  double flops;         // a product and a sum are two
  std::function<PreparedProduct()> prepare;
  std::string precision = "float32";
};

// Layers of SimpleCNN at batch 512 and 16 with all their gradients, a depthwise layer, and square
// products; `quick`: fewer, in sizes for an emulation. tools/library_table.py reads names (their
// last word tells what a product is part of) and sizes.
std::vector<ProductCase> product_cases(bool quick);

}  // namespace warptape::tools
