#include "kernels/vendor/load_cudnn.h"

#include <cudnn_version.h>
#include <fmt/format.h>

#include "core/device/load_library.h"
#include "kernels/vendor/gpu_libraries.h"

namespace warptape {
namespace {

struct Loaded {
  GpuLibrary library;
  void* handle = nullptr;

  Loaded() {
    const std::string name = fmt::format("libcudnn.so.{}", CUDNN_MAJOR);
    handle = load_library(name, WARPTAPE_CUDNN_FOLDERS, &library.reason);
    if (handle == nullptr) {
      return;
    }
    // It finds its other parts by itself, and says 0 where one is missing.
    const auto get_version = reinterpret_cast<size_t (*)()>(dlsym(handle, "cudnnGetVersion"));
    const size_t version = get_version == nullptr ? 0 : get_version();
    if (version == 0) {
      library.reason = name + " does not tell its version";
      handle = nullptr;
      return;
    }
    library.version = version_text(version);
  }
};

const Loaded& loaded() {
  static const auto* once = new Loaded;
  return *once;
}

}  // namespace

const GpuLibrary& cudnn_library() {
  return loaded().library;
}

void* loaded_cudnn() {
  return loaded().handle;
}

}  // namespace warptape
