#include "core/simt/profile/profile.h"

#include <memory>
#include <utility>

#include "core/error.h"
#include "core/simt/profile/recorder.h"
#include "core/simt/profile/tsan_hooks.h"

namespace warptape::simt::profile {
namespace {

std::unique_ptr<Recorder> recorder;  // while profiling
unsigned workers_before = 0;

double ratio(uint64_t part, uint64_t whole, double otherwise) {
  return whole == 0 ? otherwise : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void Counts::add(const Counts& other) {
  requests += other.requests;
  lanes += other.lanes;
  bytes += other.bytes;
  sectors += other.sectors;
  ideal_sectors += other.ideal_sectors;
  sectors_by_16 += other.sectors_by_16;
  wavefronts += other.wavefronts;
  ideal_wavefronts += other.ideal_wavefronts;
}

double Counts::efficiency() const {
  return ratio(ideal_sectors, sectors, 1);
}
double Counts::share_of_16() const {
  return ratio(sectors_by_16, sectors, 1);
}
double Counts::bank_factor() const {
  return ratio(wavefronts, ideal_wavefronts, 1);
}
double Counts::idle_lanes() const {
  return 1 - ratio(lanes, warp_size * requests, 1);
}
double Counts::wavefronts_per_request() const {
  return ratio(wavefronts, requests, 0);
}

Counts KernelProfile::total(Space space, Access access) const {
  Counts counts;
  for (const LineProfile& line : lines) {
    if (line.space == space && line.access == access) {
      counts.add(line.counts);
    }
  }
  return counts;
}

Counts KernelProfile::total(Space space) const {
  Counts counts;
  for (const Access access : {Access::Read, Access::Write, Access::Atomic}) {
    counts.add(total(space, access));
  }
  return counts;
}

void start(const DeviceRange& device) {
  check<ValueError>(recorder == nullptr, "[profile] start: already running");
  workers_before = std::exchange(settings().workers, 1);
  recorder = std::make_unique<Recorder>(device);
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

namespace {

// Calls record(recorder, block) on a kernel's thread while a profile is being taken.
template <class Record>
void if_recording(const Record& record) {
  const BlockRunner* block = current_block();
  if (block != nullptr && recorder != nullptr) {
    record(*recorder, *block);
  }
}

}  // namespace

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
