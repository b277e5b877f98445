// The current stream, and what follows a launch.

#include <cstdlib>
#include <string>

#include "core/check.h"
#include "core/device/arrivals.h"
#include "core/device/gpu/parts.h"

namespace warptape::gpu {
namespace {

thread_local StreamHandle innermost = nullptr;

}  // namespace

namespace parts {

StreamHandle shared_stream() {
  static auto* stream = new Stream;  // never destroyed: no call of the device after main
  return stream->handle();
}

void finish_launch(StreamHandle stream) {
  static const bool synchronizes = [] {
    const char* text = std::getenv("WARPTAPE_SYNC");
    const std::string value = text == nullptr || *text == '\0' ? "0" : text;
    check<ValueError>(value == "0" || value == "1",
                      "[device] WARPTAPE_SYNC: got \"{}\", wanted 0 or 1", escaped(value));
    return value == "1";
  }();
  if (synchronizes && !is_capturing()) {
    synchronize(stream);
  }
}

}  // namespace parts

StreamHandle current_stream() {
  return innermost != nullptr ? innermost : parts::shared_stream();
}

unsigned long long* arrival_counters(StreamHandle stream, int64_t count) {
  check<DeviceError>(count <= most_arrival_counters,
                     "[arrival_counters] got {} wanted by one launch, wanted at most {}", count,
                     most_arrival_counters);
  return parts::arrival_counters(stream);
}

StreamScope::StreamScope(const Stream& stream) : previous_(innermost) {
  innermost = stream.handle();
}

StreamScope::~StreamScope() {
  innermost = previous_;
}

}  // namespace warptape::gpu
