#include <compare>
#include <optional>

#include "core/parallel.h"
#include "kernels/matmul/gemm.h"
#include "kernels/vendor/onednn_common.h"

namespace warptape {
namespace {

using dnnl::memory;

// A product of bfloat16 matrices, which oneDNN has as a primitive only.
struct Key {
  bool transpose_a;
  bool transpose_b;
  int64_t m;
  int64_t n;
  int64_t k;
  bool accumulate;
  int threads = num_threads();

  auto operator<=>(const Key&) const = default;
};

struct Kept {
  std::optional<dnnl::matmul> primitive{};  // none where oneDNN has only its slow fallback
  memory::desc a{}, b{}, c{};
};

Kept make_product(const Key& key, DType result) {
  const auto matrix = [](int64_t rows, int64_t columns, bool transposed, DType dtype) {
    return memory::desc({rows, columns}, onednn_type(dtype),
                        transposed ? memory::dims{1, rows} : memory::dims{columns, 1});
  };
  Kept made{{},
            matrix(key.m, key.k, key.transpose_a, bfloat16),
            matrix(key.k, key.n, key.transpose_b, bfloat16),
            matrix(key.m, key.n, false, result)};
  dnnl::primitive_attr attributes;
  if (key.accumulate) {
    dnnl::post_ops sums;
    sums.append_sum();
    attributes.set_post_ops(sums);
  }
  const dnnl::matmul::primitive_desc desc(onednn_engine(), made.a, made.b, made.c, attributes);
  if (!is_reference_implementation(desc.impl_info_str())) {
    made.primitive = dnnl::matmul(desc);
  }
  return made;
}

}  // namespace

bool gemm_onednn(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const float* a, const float* b, bool accumulate, float* c) {
  if (m == 0 || n == 0 || k == 0) {
    return false;
  }
  detail::begin_team();
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                 transpose_a ? m : k, b, transpose_b ? k : n, accumulate ? 1.0f : 0.0f, c, n);
  return status == dnnl_success;
}

template <class T>
bool gemm_onednn(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const simt::bfloat16* a, const simt::bfloat16* b, bool accumulate, T* c) {
  if (m == 0 || n == 0 || k == 0) {
    return false;
  }
  thread_local PrimitiveCache<Key, Kept> cache;  // of this T
  const Key key{transpose_a, transpose_b, m, n, k, accumulate};
  const Kept& entry = cache.get(key, [&] { return make_product(key, dtype_of<T>()); });
  if (!entry.primitive) {
    return false;
  }
  const auto wrap = [](const memory::desc& desc, const void* data) {
    return memory(desc, onednn_engine(), const_cast<void*>(data));
  };
  entry.primitive->execute(onednn_stream(), {{DNNL_ARG_SRC, wrap(entry.a, a)},
                                             {DNNL_ARG_WEIGHTS, wrap(entry.b, b)},
                                             {DNNL_ARG_DST, wrap(entry.c, c)}});
  onednn_stream().wait();
  return true;
}

template bool gemm_onednn(bool, bool, int64_t, int64_t, int64_t, const simt::bfloat16*,
                          const simt::bfloat16*, bool, float*);
template bool gemm_onednn(bool, bool, int64_t, int64_t, int64_t, const simt::bfloat16*,
                          const simt::bfloat16*, bool, simt::bfloat16*);

}  // namespace warptape
