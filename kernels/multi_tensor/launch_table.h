#pragma once
// Many tensors in one launch: a table of what is to be done, passed by value as a kernel parameter.
// Every entry owns a run of blocks; a block finds its entry by its number.

#include "core/simt/host_device.h"

namespace warptape {

// Entry lists its pointers (for_each_pointer). The kernel takes the table as
// `const __grid_constant__`, so that it is read in place, from constant memory. CUDA allows 32,764
// bytes of parameters.
template <class Entry, int Capacity>
struct LaunchTable {
  static constexpr int capacity = Capacity;

  int count = 0;
  unsigned blocks = 0;  // of all entries
  unsigned first_block[Capacity];
  Entry entries[Capacity];

  bool is_full() const { return count == Capacity; }

  void add(const Entry& entry, unsigned entry_blocks) {
    first_block[count] = blocks;
    entries[count] = entry;
    blocks += entry_blocks;
    ++count;
  }

  // The entry that owns a block: the last one whose first block is not behind it.
  WARPTAPE_HOST_DEVICE int entry_of(unsigned block) const {
    int low = 0;
    int high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_block[middle] <= block) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    for (int i = 0; i < count; ++i) {
      entries[i].for_each_pointer(visit);
    }
  }
};

// Calls run(table) with as many tables as the entries fill. blocks_of(entry): how many it owns; it
// may complete the entry. Entries with none take no part.
template <class Table, class Entries, class BlocksOf, class Run>
void for_each_table(const Entries& entries, const BlocksOf& blocks_of, const Run& run) {
  Table table;
  const auto flush = [&] {
    if (table.count > 0) {
      run(table);
    }
    table.count = 0;
    table.blocks = 0;
  };
  for (auto entry : entries) {
    if (const unsigned blocks = blocks_of(entry); blocks > 0) {
      table.add(entry, blocks);
    }
    if (table.is_full()) {
      flush();
    }
  }
  flush();
}

}  // namespace warptape
