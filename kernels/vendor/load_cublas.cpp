#include "kernels/vendor/load_cublas.h"

#include <fmt/format.h>

#include "core/device/load_library.h"
#include "kernels/vendor/gpu_libraries.h"

namespace warptape {
namespace {

struct Loaded {
  GpuLibrary library;
  CublasLt functions{};

  Loaded() {
    // The major version is the one of the header, so that the functions are what it declares.
    const std::string name = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
    void* const handle = load_library(name, WARPTAPE_CUBLAS_FOLDERS, &library.reason);
    if (handle == nullptr) {
      return;
    }
    const auto find = [&]<class Function>(Function& function, const char* symbol) {
      function = reinterpret_cast<Function>(dlsym(handle, symbol));
      if (function == nullptr) {
        library.reason = fmt::format("{} has no {}", name, symbol);
      }
    };
    find(functions.get_version, "cublasLtGetVersion");
    find(functions.get_status_string, "cublasLtGetStatusString");
    find(functions.create, "cublasLtCreate");
    find(functions.matmul_desc_create, "cublasLtMatmulDescCreate");
    find(functions.matmul_desc_set_attribute, "cublasLtMatmulDescSetAttribute");
    find(functions.matrix_layout_create, "cublasLtMatrixLayoutCreate");
    find(functions.matrix_layout_set_attribute, "cublasLtMatrixLayoutSetAttribute");
    find(functions.matmul_preference_create, "cublasLtMatmulPreferenceCreate");
    find(functions.matmul_preference_set_attribute, "cublasLtMatmulPreferenceSetAttribute");
    find(functions.matmul_preference_destroy, "cublasLtMatmulPreferenceDestroy");
    find(functions.matmul_algo_get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(functions.matmul, "cublasLtMatmul");
    if (library.reason.empty()) {
      library.version = version_text(functions.get_version());
    }
  }
};

const Loaded& loaded() {
  static const auto* once = new Loaded;
  return *once;
}

}  // namespace

const GpuLibrary& cublas_library() {
  return loaded().library;
}

const CublasLt* loaded_cublas() {
  return loaded().library.reason.empty() ? &loaded().functions : nullptr;
}

}  // namespace warptape
