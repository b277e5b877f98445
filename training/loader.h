#pragma once
// Where the batches of a training loop come from.

#include <cstdint>
#include <optional>

#include "core/tensor.h"

namespace warptape {

// The first dimension of both counts the rows: samples, images.
struct Batch {
  Tensor input;
  Tensor target;

  int64_t rows() const { return input.size(0); }
};

// Batches of one epoch at a time:
//   loader.start(epoch); while (auto batch = loader.next_batch()) ...
class Loader {
 public:
  Loader() = default;
  virtual ~Loader() = default;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Drops what is left of an earlier epoch. The first so many batches are left out, as a run does
  // that goes on in the middle of an epoch.
  virtual void start(uint64_t epoch, int64_t left_out = 0) = 0;
  virtual std::optional<Batch> next_batch() = 0;  // nothing at the end
  virtual int64_t batches_per_epoch() const = 0;
  virtual int64_t size() const = 0;  // rows in all
};

}  // namespace warptape
