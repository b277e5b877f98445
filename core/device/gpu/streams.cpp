// The current stream, and what follows a launch.

#include <cstdlib>
#include <cstring>

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
    return text != nullptr && std::strcmp(text, "1") == 0;
  }();
  if (synchronizes && !is_capturing()) {
    synchronize(stream);
  }
}

}  // namespace parts

StreamHandle current_stream() {
  return innermost != nullptr ? innermost : parts::shared_stream();
}

StreamScope::StreamScope(const Stream& stream) : previous_(innermost) {
  innermost = stream.handle();
}

StreamScope::~StreamScope() {
  innermost = previous_;
}

}  // namespace warptape::gpu
