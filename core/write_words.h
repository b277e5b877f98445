#pragma once
// What changes between the replays of a graph, written by one launch whose arguments carry it: no
// staging memory, no event, no wait.

#include <cstdint>

#include "core/device/gpu.h"

namespace warptape {

// Words of 8 bytes on the device, and what they are to hold; a kernel's argument.
struct WordTable {
  static constexpr int capacity = 64;

  int count = 0;
  uint64_t* places[capacity];
  uint64_t values[capacity];

  bool is_full() const { return count == capacity; }
  void add(uint64_t* place, uint64_t value) {
    places[count] = place;
    values[count] = value;
    ++count;
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    for (int i = 0; i < count; ++i) {
      visit(places[i]);
    }
  }
};

// Queues those, and to[i] = from[i] for i < count. Nothing where there is neither.
void write_words(gpu::StreamHandle stream, const WordTable& words, const int64_t* from, int64_t* to,
                 int64_t count);

}  // namespace warptape
