#pragma once
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"),
// indexed by logical element: element i of a draw is word i % 4 of the block with counter
// {i / 4, stream}, key = seed. So a draw is the same on every device, in every memory format, for
// any number of threads, and in float32 and float64 up to rounding. Written once for the CPU and
// for CUDA kernels.

#include <array>
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

using PhiloxBlock = std::array<uint32_t, 4>;

WARPTAPE_HOST_DEVICE inline PhiloxBlock philox(uint64_t counter_low, uint64_t counter_high,
                                               uint64_t key) {
  PhiloxBlock counter{static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
                      static_cast<uint32_t>(counter_high),
                      static_cast<uint32_t>(counter_high >> 32)};
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;  // the golden ratio
    key1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

// One draw: names a stream of random words. In a graph, whose draws differ from replay to replay,
// it says where on the device the rest of its name lies (RecordedDraws in random.h).
struct RandomStream {
  uint64_t seed = 0;
  uint64_t stream = 0;
  // {seed, stream}, of which the stream is added to the one above; null: both are above.
  const uint64_t* on_device = nullptr;

  // It may be a kernel's argument.
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    if (on_device != nullptr) {
      visit(on_device);
    }
  }
  // What a kernel draws from: each thread asks once.
  WARPTAPE_HOST_DEVICE RandomStream resolved() const {
    return on_device == nullptr ? *this : RandomStream{on_device[0], on_device[1] + stream};
  }

  // Words 4 i to 4 i + 3.
  WARPTAPE_HOST_DEVICE PhiloxBlock block(uint64_t i) const { return philox(i, stream, seed); }
  // By comparisons: in a kernel an index that is not constant would put the block into memory.
  WARPTAPE_HOST_DEVICE uint32_t word(uint64_t index) const {
    const PhiloxBlock words = block(index / 4);
    const uint64_t i = index % 4;
    return i < 2 ? (i == 0 ? words[0] : words[1]) : (i == 2 ? words[2] : words[3]);
  }
  // Uniform in [0, 1), 32 random bits.
  double uniform(uint64_t index) const { return word(index) * 0x1p-32; }
};

}  // namespace warptape
