#pragma once
// In which order the rows of a data set come in an epoch, and in which batches.

#include <cstdint>
#include <string>
#include <vector>

namespace warptape {

struct EpochOrder {
  int64_t batch_size = 1;
  bool drop_last = false;  // leave out a last batch that is smaller
  bool shuffle = false;    // a new order each epoch, a function of seed and epoch
  uint64_t seed = 0;

  int64_t batches_per_epoch(int64_t rows) const;

  // Of these rows, those of the epoch but for the first so many batches. ValueError, in the name of
  // `who`, for more batches than there are.
  std::vector<int64_t> rows_of(const std::vector<int64_t>& rows, uint64_t epoch, int64_t left_out,
                               const std::string& who) const;
};

}  // namespace warptape
