#pragma once
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

// Sizes of an embedding's gradient: `count` rows of dy are summed into `rows` of the weight.
struct EmbeddingRows {
  int64_t count, rows, columns;
  int64_t padding;  // the row that gets none, or -1

  // The rows of dy are sorted by the row that they go to, equal ones in their order. Of these
  // `piece` at a time, counted from the first, are summed by themselves.
  static constexpr int64_t piece = 32;
  WARPTAPE_HOST_DEVICE int64_t pieces() const { return (count + piece - 1) / piece; }

  // Where an index sends its row of dy; `rows`: nowhere.
  WARPTAPE_HOST_DEVICE int64_t target(int64_t index) const {
    return index >= 0 && index < rows && index != padding ? index : rows;
  }

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

}  // namespace warptape
