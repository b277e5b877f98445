#include "emulator/device/pinned.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/check.h"

namespace warptape::gpu::emulated {

void* PinnedMemory::allocate(size_t bytes) {
  constexpr size_t page = 4096;
  void* pointer = nullptr;
  if (::posix_memalign(&pointer, page, bytes) != 0) {
    return nullptr;
  }
  pieces_[static_cast<const char*>(pointer)] = {bytes, ++last_id_};
  return pointer;
}

bool PinnedMemory::deallocate(void* pointer) noexcept {
  if (pieces_.erase(static_cast<const char*>(pointer)) == 0) {
    return false;
  }
  std::free(pointer);
  return true;
}

uint64_t PinnedMemory::find(const HostUse& host) const {
  auto found = pieces_.upper_bound(host.pointer);
  if (found == pieces_.begin()) {
    return 0;
  }
  const auto& [start, piece] = *--found;
  return host.pointer + host.bytes <= start + piece.bytes ? piece.id : 0;
}

bool PinnedMemory::overlap(const Copy& a, const Copy& b) {
  return a.piece == b.piece && a.host.pointer < b.host.pointer + b.host.bytes &&
         b.host.pointer < a.host.pointer + a.host.bytes;
}

bool PinnedMemory::shows_other_bytes(const Copy& copy) {
  return !std::equal(copy.shown.begin(), copy.shown.end(), copy.host.pointer);
}

void PinnedMemory::check_ordered(const Operation& operation, const Clock& clock) const {
  const Copy copy{*operation.host, find(*operation.host), {operation.name}};
  check<DeviceError>(copy.piece != 0, "[{}] host memory: got {} bytes at {}, wanted pinned memory",
                     operation.name, copy.host.bytes, static_cast<const void*>(copy.host.pointer));
  for (const auto& other : copies_) {
    const bool writes =
        copy.host.mode == AccessMode::Write || other->host.mode == AccessMode::Write;
    check<DeviceError>(!writes || !overlap(copy, *other) || other->use.happened_before(clock),
                       "[{}] {} pinned memory ({} bytes at {}) that [{}] on another stream {}, and "
                       "no event orders them",
                       operation.name, verb(copy.host.mode), copy.host.bytes,
                       static_cast<const void*>(copy.host.pointer), other->use.work,
                       verb(other->host.mode));
  }
}

std::function<void()> PinnedMemory::queue(const Operation& operation, const Use& use) {
  const HostUse& host = *operation.host;
  const auto copy = std::make_shared<Copy>(Copy{host, find(host), use});
  if (host.mode == AccessMode::Read) {
    copy->bytes.assign(host.pointer, host.pointer + host.bytes);
    copy->shown = copy->bytes;
  } else {
    set_target(*copy, false);
  }
  copies_.push_back(copy);
  return [this, copy] { run(*copy); };
}

void PinnedMemory::run(Copy& copy) {
  const HostUse& host = copy.host;
  check<DeviceError>(find(host) == copy.piece,
                     "[{}] pinned memory of {} bytes was freed before the copy ran: wanted a "
                     "synchronisation before ({})",
                     copy.use.work, host.bytes, simt::order_description());
  check<DeviceError>(!copy.changed && !shows_other_bytes(copy),
                     "[{}] pinned memory of {} bytes was changed before the copy ran: wanted an "
                     "event to wait for before the buffer is used again ({})",
                     copy.use.work, host.bytes, simt::order_description());
  if (host.mode == AccessMode::Read) {
    std::memcpy(host.device, copy.bytes.data(), host.bytes);
  } else {
    set_target(copy, true);
  }
  copy.done = true;
  copy.bytes = {};
  copy.shown = {};
}

// What queued copies to the device find here changes with it. Bytes that arrive are also theirs:
// copies that come before this one in stream order have run by then.
void PinnedMemory::set_target(const Copy& copy, bool arrived) {
  std::vector<Copy*> readers;
  for (const auto& other : copies_) {
    if (other->host.mode == AccessMode::Read && !other->done && overlap(copy, *other)) {
      other->changed = other->changed || shows_other_bytes(*other);
      readers.push_back(other.get());
    }
  }
  char* begin = copy.host.pointer;
  char* end = begin + copy.host.bytes;
  if (arrived) {
    std::memcpy(begin, copy.host.device, copy.host.bytes);
  } else {
    std::memset(begin, 0xFF, copy.host.bytes);
  }
  for (Copy* reader : readers) {
    char* first = reader->host.pointer;
    char* last = first + reader->host.bytes;
    reader->shown.assign(first, last);
    if (arrived) {
      char* from = std::max(begin, first);
      std::copy(from, std::min(end, last), reader->bytes.begin() + (from - first));
    }
  }
}

void PinnedMemory::forget(const Clock& clock) {
  std::erase_if(copies_, [&](const auto& copy) { return copy->use.happened_before(clock); });
}

}  // namespace warptape::gpu::emulated
