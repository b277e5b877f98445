// How memory comes and goes in stream order.

#include <cstring>

#include "core/check.h"
#include "core/device/arrivals.h"
#include "emulator/device/machine.h"

namespace warptape::gpu::emulated {

// Making and unmaking memory are writes to it: what uses it on another stream must be ordered with
// both.
void Machine::submit_memory(CUstream_st& stream, const Block& block, const char* name,
                            std::function<void()> run) {
  queue(stream, {name, {{block.data(), block.id, AccessMode::Write}}, std::nullopt, std::move(run)},
        true);
}

void* Machine::allocate(size_t bytes, CUstream_st& stream) {
  Block* block = arena.take(bytes, clock_of(stream));
  if (block == nullptr) {
    scheduler.finish_all();
    host_.join(everything_);
    block = arena.take_from_merged(bytes);
  }
  if (block == nullptr) {
    return nullptr;
  }
  begin_life(stream, *block);
  return block->data();
}

void Machine::begin_life(CUstream_st& stream, Block& block) {
  block.dry = dry_launches.has_value();
  submit_memory(stream, block, "allocate",
                [place = Arena::place_of(block)] { Arena::make(place); });
}

// What is wrong here becomes the fault that the next synchronisation raises.
void Machine::end_life(StreamHandle handle, const Block& block) noexcept {
  const Arena::Place place = Arena::place_of(block);
  try {
    submit_memory(stream(handle, "deallocate"), block, "deallocate",
                  [place] { Arena::unmake(place); });
  } catch (const DeviceError& error) {
    scheduler.set_fault(error.what());
    const OpenMemory open(place);
    Arena::unmake(place);
  }
}

void* Machine::allocate_unordered(size_t bytes) {
  scheduler.finish_all();
  Block* block = arena.take(bytes, everything_);
  if (block == nullptr) {
    return nullptr;
  }
  block->ordered = false;
  block->dry = false;
  const OpenMemory open(Arena::place_of(*block));
  Arena::make(Arena::place_of(*block));
  std::memset(block->data(), 0, bytes);
  return block->data();
}

void Machine::deallocate_unordered(void* pointer) noexcept {
  Block* block = arena.find(pointer);
  if (block == nullptr || block->data() != pointer || block->ordered) {
    scheduler.set_fault(fmt::format(
        "[deallocate_unordered] got {}, wanted what allocate_unordered returned", pointer));
    return;
  }
  scheduler.finish_all();
  host_.join(everything_);
  const OpenMemory open(Arena::place_of(*block));
  Arena::unmake(Arena::place_of(*block));
  block->ordered = true;
  arena.give_back(*block);
}

Block* Machine::make_counters() {
  constexpr size_t bytes = sizeof(unsigned long long) * most_arrival_counters;
  Block* block = arena.take(bytes, host_);  // whose last owner's work has run
  check<DeviceError>(block != nullptr, "[arrival_counters] out of memory on the device");
  block->dry = false;
  counters_.insert(block);
  const OpenMemory open(Arena::place_of(*block));
  Arena::make(Arena::place_of(*block));
  std::memset(block->data(), 0, bytes);
  return block;
}

void Machine::free_counters(CUstream_st& stream, Block& block) noexcept {
  counters_.erase(&block);
  const Arena::Place place = Arena::place_of(block);
  try {
    submit_memory(stream, block, "deallocate", [place] { Arena::unmake(place); });
  } catch (const DeviceError& error) {
    scheduler.set_fault(error.what());
    return;  // nobody else gets what is still in use
  }
  arena.give_back(block);
}

void Machine::clear_counters() {
  for (const Block* block : counters_) {
    const OpenMemory open(Arena::place_of(*block));
    std::memset(block->data(), 0, block->bytes);
  }
}

// As in end_life().
void Machine::deallocate(void* pointer, StreamHandle handle) noexcept {
  Block* block = arena.find(pointer);
  if (block != nullptr && block->retired && block->data() == pointer) {
    arena.give_back(*block);
    return;
  }
  if (block == nullptr || block->id == 0 || block->data() != pointer) {
    scheduler.set_fault(fmt::format(
        "[deallocate] got {}, wanted what allocate returned and nobody has freed", pointer));
    return;
  }
  if (const auto& capture = this_threads_capture()) {
    capture->defer({pointer, block->id, handle});
    return;
  }
  end_life(handle, *block);
  arena.give_back(*block);
}

bool Machine::retire(void* pointer, StreamHandle handle) noexcept {
  Block* block = arena.find(pointer);
  const bool is_live = block != nullptr && block->id != 0 && block->data() == pointer;
  if (!is_live || this_threads_capture() != nullptr || !has_stream(handle)) {
    return false;  // deallocate() knows what to do, or to say
  }
  end_life(handle, *block);
  block->id = 0;
  block->retired = true;
  return true;
}

void Machine::reuse(void* pointer, size_t bytes, CUstream_st& stream) {
  Block* block = arena.find(pointer);
  check<DeviceError>(block != nullptr && block->data() == pointer && !block->is_free(),
                     "[allocate] got {} to use again, wanted a block that is retired or fresh",
                     pointer);
  arena.reuse(*block, bytes);
  begin_life(stream, *block);
}

}  // namespace warptape::gpu::emulated
