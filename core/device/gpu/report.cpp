// The word in which kernels report what they cannot raise, and the synchronisations that read it.

#include <atomic>
#include <mutex>
#include <vector>

#include "core/device/gpu/parts.h"
#include "core/error.h"

namespace warptape::gpu {
namespace {

struct Reports {
  std::mutex mutex;
  std::vector<std::string> messages;  // of code 1, 2, ...
  std::atomic<ErrorReport*> word{nullptr};
};

Reports& reports() {
  static auto* instance = new Reports;
  return *instance;
}

void replace(std::string& text, const std::string& placeholder, int64_t value) {
  const size_t at = text.find(placeholder);
  if (at != std::string::npos) {
    text.replace(at, placeholder.size(), std::to_string(value));
  }
}

}  // namespace

void raise_report() {
  ErrorReport* word = reports().word;
  if (word == nullptr) {
    return;
  }
  const ErrorReport report = parts::take_report(word);
  if (report.code == 0) {
    return;
  }
  std::string message;
  {
    std::lock_guard lock(reports().mutex);
    message = reports().messages.at(static_cast<size_t>(report.code) - 1);
  }
  replace(message, "{index}", report.index);
  replace(message, "{value}", report.value);
  throw ValueError(message);
}

ErrorReport* report_word() {
  if (reports().word == nullptr) {
    std::lock_guard lock(reports().mutex);
    if (reports().word == nullptr) {
      reports().word = parts::make_report_word();
    }
  }
  return reports().word;
}

int register_report(const char* message) {
  std::lock_guard lock(reports().mutex);
  reports().messages.emplace_back(message);
  return static_cast<int>(reports().messages.size());
}

namespace parts {

void discard_report() {
  if (ErrorReport* word = reports().word) {
    take_report(word);
  }
}

}  // namespace parts

void synchronize(StreamHandle stream) {
  parts::wait_for(stream);
  raise_report();
}

void synchronize() {
  parts::wait_for_all();
  raise_report();
}

}  // namespace warptape::gpu
