#include <fmt/format.h>

#include <map>
#include <mutex>
#include <string>

#include "core/device/gpu.h"
#include "kernels/gather/index_report.h"

namespace warptape {

int bad_index_code(const char* op, int64_t length) {
  static std::mutex mutex;
  static auto* codes = new std::map<std::pair<std::string, int64_t>, int>;
  const std::lock_guard lock(mutex);
  int& code = (*codes)[{op, length}];
  if (code == 0) {
    code = gpu::register_report(
        fmt::format("[{}] index {{index}}: got {{value}}, wanted 0 to {}", op, length - 1).c_str());
  }
  return code;
}

}  // namespace warptape
