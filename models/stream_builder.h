#pragma once
#include <optional>
#include <vector>

#include "models/stream_stages.h"

namespace warptape {

// Puts stages together. A sequence that stages read or make is known by its number: 0 is the input.
class StreamBuilder {
 public:
  // site: of all errors.
  StreamBuilder(Device device, int64_t block, const Site& site) : block_(block), site_(site) {
    result_.device = device;
  }

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

  // A convolution that gives an output for every stage.stride elements, the last of its taps
  // `reach` elements behind the first; or the transpose of one, which gives so many for every
  // element. before: zeros in front of the sequence, or elements cut from the result's begin.
  size_t append_strided(streaming::Stage stage, size_t in, int64_t before, int64_t reach);
  size_t append_transposed(streaming::Stage stage, size_t in, int64_t before, int64_t reach);

  bool is_empty() const { return drafts_.empty(); }
  int64_t channels(size_t sequence) const { return rings_[sequence].channels; }
  DType dtype() const { return result_.dtype; }
  Device device() const { return result_.device; }

  // The last sequence is the output. ValueError where the memory of a stream cannot be counted.
  StreamStages finish();

 private:
  struct RingDraft {
    int64_t channels = 0;
    int64_t delay = 0;  // in its own rows
    int64_t history = 0;
    streaming::Rate rate{};
  };
  struct Draft {
    streaming::Stage stage;
    size_t in = 0;
    size_t out = 0;
    std::optional<size_t> residual;
  };

  // Of a sequence that has up / down times as many rows as that one.
  RingDraft resampled(const RingDraft& from, int64_t up, int64_t down, int64_t channels) const;
  size_t add(streaming::Stage stage, const Reads& reads, const RingDraft& made);
  void set_pace();
  streaming::Ring lay_out(const RingDraft& draft);

  int64_t block_;
  Site site_;
  StreamStages result_;
  std::vector<RingDraft> rings_;
  RingDraft condition_;
  std::vector<Draft> drafts_;
};

}  // namespace warptape
