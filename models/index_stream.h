#pragma once
// A model over indices step by step: the next logits from the newest index, however far back the
// model sees, at the same cost.

#include <cstdint>
#include <vector>

#include "models/embedded_tcn.h"
#include "models/sequence_stream.h"

namespace warptape {

class IndexStream {
 public:
  // Takes the weights that the model has now; it lies on the CPU. ValueError or DeviceError for one
  // that cannot be streamed, or whose outputs see what comes after them.
  explicit IndexStream(EmbeddedTCN& model, const Site& site = Site::here());

  // Of the next step: the logits that the model in eval() has for it, one for each index.
  // ValueError for an index that is none leaves the stream as it is.
  const std::vector<double>& step(int64_t index, const Site& site = Site::here());
  void reset();  // to the start of a sequence
  int64_t vocabulary() const { return static_cast<int64_t>(logits_.size()); }

 private:
  SequenceStream stream_;
  StreamState state_;
  Tensor table_;    // (vocabulary, channels)
  Tensor weights_;  // (vocabulary, channels of the last block)
  Tensor bias_;
  Tensor x_;
  Tensor y_;
  std::vector<double> logits_;
};

struct SamplingOptions {
  double temperature = 1;  // 0: the largest logit
  int64_t top_k = 0;       // of so many largest ones; 0: of all
};

// One of the indices, by their probabilities softmax(logits / temperature); uniform: a number from
// [0, 1) that decides which. Of equal logits the first ones are among the top_k. ValueError for
// options that cannot be, and for logits of which none is finite.
int64_t sample_index(const std::vector<double>& logits, double uniform,
                     const SamplingOptions& options = {}, const Site& site = Site::here());

}  // namespace warptape
