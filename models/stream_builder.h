#pragma once
#include <optional>
#include <vector>

#include "models/stream_stages.h"

namespace warptape {

// Puts stages together. A sequence that stages read or make is known by its number: 0 is the input.
class StreamBuilder {
 public:
  StreamBuilder(Device device, int64_t block) : block_(block) { result_.device = device; }

  // Before the first stage.
  void begin(int64_t channels, DType dtype);
  bool has_begun() const { return !rings_.empty(); }
  // The streams take a condition of so many channels besides.
  void take_condition(int64_t channels) { condition_.channels = channels; }

  int64_t condition_channels() const { return condition_.channels; }

  // What a stage reads besides its own fields, and what comes of it.
  struct Reads {
    size_t in = 0;
    int64_t ahead = 0;                 // elements after its own that a row depends on
    std::optional<size_t> residual{};  // of another delay, perhaps
  };
  // The number of the sequence that it makes, which has so many channels.
  size_t append(streaming::Stage stage, const Reads& reads, int64_t channels);

  bool is_empty() const { return drafts_.empty(); }
  int64_t channels(size_t sequence) const { return rings_[sequence].channels; }
  DType dtype() const { return result_.dtype; }
  Device device() const { return result_.device; }

  // The last sequence is the output. ValueError where the memory of a stream cannot be counted.
  StreamStages finish(const Site& site);

 private:
  struct RingDraft {
    int64_t channels = 0;
    int64_t delay = 0;
    int64_t history = 0;
  };
  struct Draft {
    streaming::Stage stage;
    size_t in = 0;
    size_t out = 0;
    std::optional<size_t> residual;
  };

  streaming::Ring lay_out(const RingDraft& draft, const Site& site);

  int64_t block_;
  StreamStages result_;
  std::vector<RingDraft> rings_;
  RingDraft condition_;
  std::vector<Draft> drafts_;
};

}  // namespace warptape
