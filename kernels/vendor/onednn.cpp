#include "kernels/vendor/onednn.h"

#include <fmt/format.h>

#include <atomic>
#include <cstring>

#include "core/parallel.h"
#include "kernels/vendor/onednn_common.h"

namespace warptape {
namespace {

std::atomic<bool> used{true};

}  // namespace

dnnl::engine& onednn_engine() {
  static auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

dnnl::stream& onednn_stream() {
  detail::begin_team();  // oneDNN takes as many threads as our loops
  thread_local dnnl::stream stream(onednn_engine());
  return stream;
}

dnnl::memory::data_type onednn_type(DType dtype) {
  return dtype == bfloat16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

bool is_reference_implementation(const char* info) {
  return std::strncmp(info, "ref", 3) == 0 || std::strncmp(info, "simple:any", 10) == 0;
}

bool onednn_is_built_in() {
  return true;
}
bool onednn_is_used() {
  return used;
}
void set_onednn_used(bool on) {
  used = on;
}

bool onednn_takes(DType dtype) {
  if (dtype == bfloat16) {
    // A set's bits are those of all that it includes.
    const int wanted = dnnl_cpu_isa_avx512_core_bf16;
    return (dnnl_get_effective_cpu_isa() & wanted) == wanted;
  }
  return dtype == float32;
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

std::string onednn_instruction_set() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_default:
      return "baseline";
    case dnnl_cpu_isa_sse41:
      return "SSE4.1";
    case dnnl_cpu_isa_avx:
      return "AVX";
    case dnnl_cpu_isa_avx2:
      return "AVX2";
    case dnnl_cpu_isa_avx2_vnni:
      return "AVX2 with VNNI";
    case dnnl_cpu_isa_avx512_core:
      return "AVX-512";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "AVX-512 with VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "AVX-512 with bfloat16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "AVX-512 with bfloat16 and AMX";
    default:
      return "AVX-512 or later";
  }
}

}  // namespace warptape
