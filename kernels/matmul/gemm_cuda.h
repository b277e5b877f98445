#pragma once
// The GPU's matrix product on dense row-major matrices, which matmul and linear share. Pointers are
// to device memory; work is queued on the current stream.

#include <compare>
#include <cstdint>
#include <type_traits>

#include "core/element_types.h"
#include "kernels/vendor/choice.h"

namespace warptape {

// c = op(a) op(b): op(a) is (m, k), stored (m, k), or (k, m) with transpose_a; likewise op(b),
// (k, n), and c (m, n). `batches` such products, with these elements from one to the next.
struct GemmProblem {
  bool transpose_a = false, transpose_b = false;
  int64_t m, n, k;
  int64_t batches = 1;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;

  auto operator<=>(const GemmProblem&) const = default;
};

// What is done with the product on its way to memory, and beside it.
template <class T>
struct GemmEpilogue {
  const Compute<T>* bias = nullptr;  // n elements, added to each row
  bool relu = false;
  bool accumulate = false;          // to what c holds
  Compute<T>* bias_grad = nullptr;  // m elements, overwritten: the sum over k of op(a)

  // Only our kernels have these, of float and bfloat16, and for one batch (gemm_masks): ReLU's
  // marks of a product with b transposed, a byte per result, and another one without transposes,
  // whose results are zero where a mark is.
  uint8_t* marks_out = nullptr;
  const uint8_t* marks = nullptr;

  // The rest only cuBLASLt has, and for one batch. ReLU writes its mask, one bit per result, in a
  // layout of cuBLASLt's own (relu_mask_bytes):
  uint8_t* relu_mask_out = nullptr;
  // Another product, of the same m and n, is multiplied by that mask, and the sums of its columns
  // may be taken: n elements, overwritten.
  const uint8_t* relu_mask = nullptr;
  Compute<T>* column_sums = nullptr;
};

// Its rows are of a multiple of 128 bits.
inline int64_t relu_mask_pitch(int64_t n) {
  return (n + 127) / 128 * 128;
}
inline int64_t relu_mask_bytes(int64_t m, int64_t n) {
  return m * relu_mask_pitch(n) / 8;
}

// Our kernels, for every floating dtype; `name` is the op, for errors and profiles. Out: T, or
// Compute<T> for the gradients of weights, where a alone is transposed.
template <class T, class Out>
void gemm_cuda(const char* name, const GemmProblem& problem, const T* a, const T* b,
               const GemmEpilogue<T>& epilogue, Out* c);

// Whether our kernels serve these two, of which the second is masked by the first, and lose nothing
// by it: their plans are those of the same products without marks. The pointers: their operands.
template <class T>
bool gemm_masks(const GemmProblem& forward, const T* a, const T* b, const GemmProblem& masked,
                const T* masked_a, const T* masked_b);

// The same on cuBLASLt, in float32 or float64 arithmetic, or TF32 where that is allowed; of
// bfloat16 too, with sums in float32. False, and nothing done, where it is absent, has no
// algorithm for the problem, or needs what a graph capture does not allow.
template <class T>
bool gemm_cublas(const char* name, const GemmProblem& problem, const T* a, const T* b,
                 const GemmEpilogue<T>& epilogue, T* c);

// What the choice between the two sees.
template <class T>
Product product_of(const GemmProblem& p) {
  Product product{.m = p.m, .n = p.n, .k = p.k, .groups = p.batches};
  product.transpose_a = p.transpose_a;
  product.transpose_b = p.transpose_b;
  product.precision = std::is_same_v<T, double>   ? Precision::Float64
                      : !std::is_same_v<T, float> ? Precision::Bfloat16
                      : tf32_is_on()              ? Precision::Tf32
                                                  : Precision::Float32;
  return product;
}

// On cuBLASLt where it is chosen and can, or else by our kernels.
template <class T, class Out>
void gemm(const char* name, const GemmProblem& problem, const T* a, const T* b,
          const GemmEpilogue<T>& epilogue, Out* c) {
  if constexpr (std::is_same_v<T, Out>) {
    serve(
        product_of<T>(problem), [&] { return gemm_cublas(name, problem, a, b, epilogue, c); },
        [&] { gemm_cuda(name, problem, a, b, epilogue, c); });
  } else {
    gemm_cuda(name, problem, a, b, epilogue, c);
  }
}

}  // namespace warptape
