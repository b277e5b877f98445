// Made by tools/library_table.py from docs/results; not edited by hand. Of reports that measured
// the same product the newest one counts:
// NVIDIA H200, sm_90, 2026-11-27 00:35 UTC, commit 11a34fd: 29 products

#include "kernels/vendor/choice.h"

namespace warptape {

std::span<const MeasuredProduct> measured_products() {
  using enum ProductKind;
  using enum Precision;
  // clang-format off
  // Architecture; kind, precision, m, n, k, taps, groups, a transposed, b transposed,
  // gradient of ReLU, depthwise; microseconds of our kernel, and of the library.
  static const MeasuredProduct table[] = {
      {90, {Gemm, Float32, 10, 256, 512, 1, 1, 1, 0, 0, 0}, 23.3, 9.6},
      {90, {Gemm, Float32, 256, 8192, 512, 1, 1, 1, 0, 0, 0}, 101.7, 53.0},
      {90, {Gemm, Float32, 512, 10, 256, 1, 1, 0, 1, 0, 0}, 24.0, 10.6},
      {90, {Gemm, Float32, 512, 256, 10, 1, 1, 0, 0, 0, 0}, 9.9, 9.7},
      {90, {Gemm, Float32, 512, 256, 8192, 1, 1, 0, 1, 0, 0}, 108.6, 80.4},
      {90, {Gemm, Float32, 512, 8192, 256, 1, 1, 0, 0, 0, 0}, 109.2, 51.2},
      {90, {Gemm, Float32, 1024, 1024, 1024, 1, 1, 0, 0, 0, 0}, 114.9, 63.7},
      {90, {Gemm, Float32, 4096, 4096, 4096, 1, 1, 0, 0, 0, 0}, 6026.2, 2682.2},
      {90, {Gemm, Tf32, 10, 256, 512, 1, 1, 1, 0, 0, 0}, 23.3, 11.0},
      {90, {Gemm, Tf32, 256, 8192, 512, 1, 1, 1, 0, 0, 0}, 101.7, 18.9},
      {90, {Gemm, Tf32, 512, 10, 256, 1, 1, 0, 1, 0, 0}, 24.0, 8.4},
      {90, {Gemm, Tf32, 512, 256, 10, 1, 1, 0, 0, 0, 0}, 9.9, 6.1},
      {90, {Gemm, Tf32, 512, 256, 8192, 1, 1, 0, 1, 0, 0}, 108.6, 25.8},
      {90, {Gemm, Tf32, 512, 8192, 256, 1, 1, 0, 0, 0, 0}, 109.2, 19.5},
      {90, {Gemm, Tf32, 1024, 1024, 1024, 1, 1, 0, 0, 0, 0}, 114.9, 16.4},
      {90, {Gemm, Tf32, 4096, 4096, 4096, 1, 1, 0, 0, 0, 0}, 6026.2, 343.8},
      {90, {Gemm, Bfloat16, 4096, 4096, 4096, 1, 1, 0, 1, 0, 0}, 566.5, 176.9},
      {90, {Conv2d, Float32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}, 527.2, 1844.5},
      {90, {Conv2d, Float32, 524288, 64, 27, 9, 1, 0, 0, 0, 0}, 164.8, 152.4},
      {90, {Conv2d, Tf32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}, 527.2, 65.7},
      {90, {Conv2d, Tf32, 524288, 64, 27, 9, 1, 0, 0, 0, 0}, 164.8, 83.9},
      {90, {Conv2dDataGrad, Float32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}, 598.3, 0.0},
      {90, {Conv2dDataGrad, Float32, 524288, 64, 27, 9, 1, 0, 0, 0, 0}, 1728.6, 3609.7},
      {90, {Conv2dDataGrad, Tf32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}, 598.3, 102.4},
      {90, {Conv2dDataGrad, Tf32, 524288, 64, 27, 9, 1, 0, 0, 0, 0}, 1728.6, 209.0},
      {90, {Conv2dWeightGrad, Float32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}, 536.3, 1331.0},
      {90, {Conv2dWeightGrad, Float32, 524288, 64, 27, 9, 1, 0, 0, 0, 0}, 377.6, 832.1},
      {90, {Conv2dWeightGrad, Tf32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}, 536.3, 165.1},
      {90, {Conv2dWeightGrad, Tf32, 524288, 64, 27, 9, 1, 0, 0, 0, 0}, 377.6, 419.5},
  };
  // clang-format on
  return table;
}

}  // namespace warptape
