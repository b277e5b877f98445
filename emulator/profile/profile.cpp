#include "emulator/profile/profile.h"

#include <memory>
#include <utility>

#include "core/check.h"
#include "emulator/profile/recorder.h"
#include "emulator/profile/tsan_hooks.h"

namespace warptape::simt::profile {
namespace {

std::unique_ptr<Recorder> recorder;  // while profiling
unsigned workers_before = 0;

// Calls record(recorder, block) on a kernel's thread while a profile is being taken.
template <class Record>
void if_recording(const Record& record) {
  const BlockRunner* block = current_block();
  if (block != nullptr && recorder != nullptr) {
    record(*recorder, *block);
  }
}

}  // namespace

void start(const DeviceRange& device, Each each) {
  check<ValueError>(recorder == nullptr, "[profile] start: already running");
  workers_before = std::exchange(settings().workers, 1);
  recorder = std::make_unique<Recorder>(device, each);
}

std::vector<KernelProfile> stop() {
  check<ValueError>(recorder != nullptr, "[profile] stop: not started");
  settings().workers = workers_before;
  return std::exchange(recorder, nullptr)->result();
}

void end_block(const BlockRunner& block) {
  if (recorder != nullptr) {
    recorder->end_block(block);
  }
}
void access(const void* address, unsigned bytes, Access access, const void* pc) {
  if_recording([&](Recorder& to, const BlockRunner& block) {
    to.access(block, address, bytes, access, pc);
  });
}
void enter_function(const void* caller) {
  if_recording([&](Recorder& to, const BlockRunner& block) { to.enter(block, caller); });
}
void leave_function() {
  if_recording([](Recorder& to, const BlockRunner& block) { to.leave(block); });
}

}  // namespace warptape::simt::profile
