#include "emulator/profile/request.h"

#include <algorithm>
#include <bit>

namespace warptape::simt::profile {
namespace {

constexpr uintptr_t bank_bytes = 4;
constexpr size_t banks = 32;

// Up to N values; distinct() sorts them.
template <size_t N>
struct SmallSet {
  std::array<uintptr_t, N> values;
  size_t count = 0;

  void add(uintptr_t value) { values[count++] = value; }
  size_t distinct() {
    std::sort(values.begin(), values.begin() + count);
    count =
        static_cast<size_t>(std::unique(values.begin(), values.begin() + count) - values.begin());
    return count;
  }
};

// Accesses of up to 16 bytes that need no alignment touch at most two sectors.
void count_sectors(const Request& request, unsigned bytes, Counts& counts) {
  SmallSet<32> addresses;
  SmallSet<64> sectors;
  for (uint32_t lanes = request.lanes; lanes != 0; lanes &= lanes - 1) {
    const uintptr_t address = request.address[static_cast<size_t>(std::countr_zero(lanes))];
    addresses.add(address);
    sectors.add(address / sector_bytes);
    sectors.add((address + bytes - 1) / sector_bytes);
  }
  counts.sectors = sectors.distinct();
  counts.sectors_by_16 = bytes == 16 ? counts.sectors : 0;
  counts.ideal_sectors = (addresses.distinct() * bytes + sector_bytes - 1) / sector_bytes;
}

// Passes over 32 banks of one word that some lanes need: the same word goes to all that ask for it.
size_t wavefronts(const Request& request, uint32_t lanes, unsigned bytes) {
  SmallSet<32 * 2> words;
  for (; lanes != 0; lanes &= lanes - 1) {
    const uintptr_t address = request.address[static_cast<size_t>(std::countr_zero(lanes))];
    for (uintptr_t word = address / bank_bytes; word <= (address + bytes - 1) / bank_bytes;
         ++word) {
      words.add(word);
    }
  }
  std::array<size_t, banks> words_of_bank{};
  for (size_t i = 0, count = words.distinct(); i < count; ++i) {
    ++words_of_bank[words.values[i] % banks];
  }
  return *std::max_element(words_of_bank.begin(), words_of_bank.end());
}

// A pass serves 32 words: accesses of 8 bytes go by half warps, those of 16 by quarters.
void count_wavefronts(const Request& request, unsigned bytes, Counts& counts) {
  const unsigned group = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  for (unsigned first = 0; first < 32; first += group) {
    const uint32_t lanes = request.lanes & (~uint32_t{0} >> (32 - group) << first);
    if (lanes != 0) {
      counts.wavefronts += wavefronts(request, lanes, bytes);
      ++counts.ideal_wavefronts;
    }
  }
}

}  // namespace

Counts cost(const Request& request, Space space, unsigned bytes_per_lane) {
  Counts counts;
  counts.requests = 1;
  counts.lanes = static_cast<uint64_t>(std::popcount(request.lanes));
  counts.bytes = counts.lanes * bytes_per_lane;
  if (space == Space::Device) {
    count_sectors(request, bytes_per_lane, counts);
  } else {
    count_wavefronts(request, bytes_per_lane, counts);
  }
  return counts;
}

int64_t lane_stride(const Request& request) {
  const uint32_t pairs = request.lanes & (request.lanes >> 1);
  if (pairs == 0) {
    return 0;
  }
  const auto first = static_cast<size_t>(std::countr_zero(pairs));
  return static_cast<int64_t>(request.address[first + 1] - request.address[first]);
}

}  // namespace warptape::simt::profile
