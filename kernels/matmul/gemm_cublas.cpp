// The GPU's matrix product on cuBLASLt. An algorithm is chosen once per problem and kept; the
// process has one handle. Matrices are column-major there, so that our row-major c = a b is its
// c^T = b^T a^T: the operands change places, and nothing is transposed.

#include <algorithm>
#include <compare>
#include <map>
#include <mutex>

#include "core/check.h"
#include "core/device/gpu.h"
#include "core/element_types.h"
#include "core/graph_memory.h"
#include "core/simt/bfloat16.h"
#include "core/storage.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/vendor/gpu_libraries.h"
#include "kernels/vendor/load_cublas.h"

namespace warptape {
namespace {

// As cuBLAS takes for itself on Hopper.
constexpr size_t workspace_limit = 32 << 20;

// Bytes to which an address is aligned; more than 256 make no difference.
uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  return static_cast<uint32_t>(std::min<uintptr_t>(address & (~address + 1), 256));
}

template <class T>
struct Types;
template <>
struct Types<float> {
  static constexpr cudaDataType_t data = CUDA_R_32F;
  using Scale = float;  // of alpha and beta
  static constexpr cudaDataType_t scale = CUDA_R_32F;
  static cublasComputeType_t compute() {
    return tf32_is_on() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  }
};
template <>
struct Types<double> {
  static constexpr cudaDataType_t data = CUDA_R_64F;
  using Scale = double;
  static constexpr cudaDataType_t scale = CUDA_R_64F;
  static cublasComputeType_t compute() { return CUBLAS_COMPUTE_64F; }
};
template <>
struct Types<simt::bfloat16> {
  static constexpr cudaDataType_t data = CUDA_R_16BF;
  using Scale = float;
  static constexpr cudaDataType_t scale = CUDA_R_32F;
  static cublasComputeType_t compute() { return CUBLAS_COMPUTE_32F; }
};

template <class T>
cublasLtEpilogue_t kind_of(const GemmEpilogue<T>& epilogue) {
  if (epilogue.bias_grad != nullptr) {
    return CUBLASLT_EPILOGUE_BGRADB;  // our a is its B
  }
  if (epilogue.relu_mask != nullptr) {
    return epilogue.column_sums != nullptr ? CUBLASLT_EPILOGUE_DRELU_BGRAD
                                           : CUBLASLT_EPILOGUE_DRELU;
  }
  if (epilogue.relu_mask_out != nullptr) {
    return epilogue.bias != nullptr ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX;
  }
  if (epilogue.bias != nullptr) {
    return epilogue.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  }
  return epilogue.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

// The vector that is read or written beside the matrices, and the mask; or nullptr.
template <class T>
const void* vector_of(const GemmEpilogue<T>& epilogue) {
  if (epilogue.bias_grad != nullptr) {
    return epilogue.bias_grad;
  }
  return epilogue.column_sums != nullptr ? epilogue.column_sums : epilogue.bias;
}
template <class T>
const void* mask_of(const GemmEpilogue<T>& epilogue) {
  return epilogue.relu_mask_out != nullptr ? epilogue.relu_mask_out : epilogue.relu_mask;
}

// What the choice of an algorithm depends on.
struct Key {
  GemmProblem problem;
  cudaDataType_t type;
  cublasComputeType_t compute;
  cublasLtEpilogue_t epilogue;
  bool accumulate;
  uint32_t alignment_a, alignment_b, alignment_c;
  uint32_t alignment_vector, alignment_mask;

  auto operator<=>(const Key&) const = default;
};

template <class T>
Key make_key(const GemmProblem& p, const T* a, const T* b, const GemmEpilogue<T>& epilogue,
             const T* c) {
  return {.problem = p,
          .type = Types<T>::data,
          .compute = Types<T>::compute(),
          .epilogue = kind_of(epilogue),
          .accumulate = epilogue.accumulate,
          .alignment_a = alignment_of(a),
          .alignment_b = alignment_of(b),
          .alignment_c = alignment_of(c),
          .alignment_vector = alignment_of(vector_of(epilogue)),
          .alignment_mask = alignment_of(mask_of(epilogue))};
}

// An algorithm with the descriptions that it was chosen for, which live as long as the process.
struct Plan {
  bool exists = false;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;  // ours
  cublasLtMatmulAlgo_t algorithm{};
  size_t workspace = 0;  // bytes
};

class Gemms {
 public:
  // nullptr where the library is not there.
  static Gemms* instance() {
    static Gemms* const once = loaded_cublas() == nullptr ? nullptr : new Gemms;
    return once;
  }

  template <class T>
  bool run(const char* name, const GemmProblem& problem, const T* a, const T* b,
           const GemmEpilogue<T>& epilogue, T* c) {
    const Key key = make_key(problem, a, b, epilogue, c);
    // Held until the work is queued: the addresses of vector and mask are part of the kept
    // description.
    std::lock_guard lock(mutex_);
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      if (gpu::is_capturing()) {
        return false;  // a choice may load modules, which a capture does not allow
      }
      found = plans_.emplace(key, make_plan(problem, a, b, epilogue, c)).first;
    }
    Plan& plan = found->second;
    if (!plan.exists || (plan.workspace > 0 && gpu::is_capturing() &&
                         !GraphMemory::is_open({DeviceType::CUDA, 0}))) {
      return false;
    }
    std::shared_ptr<Storage> workspace;
    if (plan.workspace > 0) {
      workspace = Storage::allocate(plan.workspace, {DeviceType::CUDA, 0});
    }
    set_addresses(plan.operation, epilogue);
    const typename Types<T>::Scale alpha = 1;
    const typename Types<T>::Scale beta = epilogue.accumulate ? 1 : 0;
    const cublasStatus_t status =
        lt_->matmul(handle_, plan.operation, &alpha, b, plan.b, a, plan.a, &beta, c, plan.c, c,
                    plan.c, &plan.algorithm, workspace ? workspace->data() : nullptr,
                    plan.workspace, gpu::current_stream());
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) {
      plan.exists = false;  // nothing was queued
      return false;
    }
    check<DeviceError>(status == CUBLAS_STATUS_SUCCESS, "[{}] cuBLASLt: {}", name,
                       lt_->get_status_string(status));
    return true;
  }

 private:
  template <class Value>
  void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
           const Value& value) {
    lt_->matmul_desc_set_attribute(desc, attribute, &value, sizeof(value));
  }
  template <class Value>
  void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
           const Value& value) {
    lt_->matmul_preference_set_attribute(preference, attribute, &value, sizeof(value));
  }

  template <class T>
  void set_addresses(cublasLtMatmulDesc_t operation, const GemmEpilogue<T>& epilogue) {
    if (const void* const vector = vector_of(epilogue)) {
      set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    }
    if (const void* const mask = mask_of(epilogue)) {
      set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, mask);
    }
  }

  // A dense row-major (rows, columns) matrix, which is a column-major (columns, rows) one.
  cublasLtMatrixLayout_t layout(cudaDataType_t type, int64_t rows, int64_t columns,
                                const GemmProblem& problem, int64_t stride) {
    cublasLtMatrixLayout_t made = nullptr;
    lt_->matrix_layout_create(&made, type, static_cast<uint64_t>(columns),
                              static_cast<uint64_t>(rows), columns);
    const auto batches = static_cast<int32_t>(problem.batches);
    lt_->matrix_layout_set_attribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches,
                                     sizeof(batches));
    lt_->matrix_layout_set_attribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                     sizeof(stride));
    return made;
  }

  template <class T>
  Plan make_plan(const GemmProblem& p, const T* a, const T* b, const GemmEpilogue<T>& epilogue,
                 const T* c) {
    constexpr cudaDataType_t type = Types<T>::data;
    Plan plan;
    if (handle_ == nullptr && lt_->create(&handle_) != CUBLAS_STATUS_SUCCESS) {
      handle_ = nullptr;
      return plan;
    }
    lt_->matmul_desc_create(&plan.operation, Types<T>::compute(), Types<T>::scale);
    const auto operation_of = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, operation_of(p.transpose_b));
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, operation_of(p.transpose_a));
    set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, kind_of(epilogue));
    set_addresses(plan.operation, epilogue);
    if (vector_of(epilogue) != nullptr) {
      set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, Types<Compute<T>>::data);
    }
    if (mask_of(epilogue) != nullptr) {
      set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, relu_mask_pitch(p.n));
    }
    plan.a = layout(type, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p, p.stride_a);
    plan.b = layout(type, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p, p.stride_b);
    plan.c = layout(type, p.m, p.n, p, p.stride_c);

    cublasLtMatmulPreference_t preference = nullptr;
    lt_->matmul_preference_create(&preference);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_limit);
    // Parts of a split k are added up in the workspace, in a fixed order.
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(b));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c));
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status = lt_->matmul_algo_get_heuristic(
        handle_, plan.operation, plan.b, plan.a, plan.c, plan.c, preference, 1, &best, &count);
    lt_->matmul_preference_destroy(preference);
    plan.exists =
        status == CUBLAS_STATUS_SUCCESS && count > 0 && best.state == CUBLAS_STATUS_SUCCESS;
    plan.algorithm = best.algo;
    plan.workspace = best.workspaceSize;
    return plan;
  }

  const CublasLt* const lt_ = loaded_cublas();
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, Plan> plans_;
};

}  // namespace

template <class T>
bool gemm_cublas(const char* name, const GemmProblem& problem, const T* a, const T* b,
                 const GemmEpilogue<T>& epilogue, T* c) {
  count_gpu_library_call();
  const GemmProblem& p = problem;
  if (p.m == 0 || p.n == 0 || p.k == 0 || p.batches == 0 || p.batches > INT32_MAX) {
    return false;
  }
  // It has one epilogue at a time, and one bias for all batches.
  if (epilogue.bias_grad != nullptr &&
      (epilogue.bias != nullptr || epilogue.relu || p.batches > 1)) {
    return false;
  }
  Gemms* const gemms = Gemms::instance();
  return gemms != nullptr && gemms->run(name, problem, a, b, epilogue, c);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                     \
  template bool gemm_cublas(const char*, const GemmProblem&, const T*, const T*, \
                            const GemmEpilogue<T>&, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
