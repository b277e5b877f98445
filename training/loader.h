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

  // Whether batches are made on a device of rows that lie there. Then the next one may be had in
  // two parts, so that a graph can do the second one again and again: the numbers of its rows
  // (int64, on the device; nothing at the end), and the batch of such numbers, which is queued.
  virtual bool makes_batches_of_numbers() const { return false; }
  virtual std::optional<Tensor> next_numbers() { return std::nullopt; }
  virtual Batch batch_of(const Tensor& /*numbers*/) { return {}; }
  virtual int64_t batches_per_epoch() const = 0;
  virtual int64_t size() const = 0;  // rows in all
};

}  // namespace warptape
