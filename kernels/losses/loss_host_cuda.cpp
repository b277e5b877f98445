// What losses on "cuda" need of the host: texts of reports, and memory to sum in.

#include <fmt/format.h>
#include <map>
#include <mutex>
#include <string>

#include "kernels/losses/labels.h"
#include "kernels/losses/loss.h"

namespace warptape {
namespace {

// One code for each text.
int code_of(const std::string& text) {
  static std::mutex mutex;
  static auto* codes = new std::map<std::string, int>;
  const std::lock_guard lock(mutex);
  int& code = (*codes)[text];
  if (code == 0) {
    code = gpu::register_report(text.c_str());
  }
  return code;
}

}  // namespace

int refusal_code(const char* name, const char* refusal) {
  return refusal == nullptr ? 0 : code_of(fmt::format("[{}] {}", name, refusal));
}

int bad_label_code(const char* op, int64_t classes, int64_t ignore_index) {
  return code_of(
      fmt::format("[{}] label {{index}}: got {{value}}, wanted 0 to {} or ignore_index {}", op,
                  classes - 1, ignore_index));
}

LossWorkspace::LossWorkspace(int64_t blocks, Device device)
    : several_(blocks > 1),
      arrivals_(Tensor::empty({several_ ? 1 : 0}, int64, device)),
      partials_(Tensor::empty({several_ ? 2 * blocks : 0}, float64, device)) {
  if (several_) {
    gpu::fill_bytes(arrivals_.mutable_data<int64_t>(), 0, sizeof(int64_t), gpu::current_stream());
  }
}

}  // namespace warptape
