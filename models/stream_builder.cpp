#include "models/stream_builder.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/check.h"
#include "core/checked_size.h"

namespace warptape {
namespace {

using streaming::Ring;
using streaming::Stage;

// Steps that the CPU takes through all stages at once, while the caches have their rows.
constexpr int64_t cpu_chunk = 48;
constexpr int64_t most_group = int64_t{1} << 20;

void keep(int64_t& history, int64_t rows) {
  history = std::max(history, rows);
}

}  // namespace

void StreamBuilder::begin(int64_t channels, DType dtype) {
  result_.dtype = dtype;
  rings_.push_back({.channels = channels});
}

size_t StreamBuilder::append(Stage stage, const Reads& reads, int64_t channels) {
  const RingDraft made{.channels = channels,
                       .delay = rings_[reads.in].delay + reads.ahead,
                       .rate = rings_[reads.in].rate};
  if (stage.source == streaming::Source::Filters) {
    keep(rings_[reads.in].history, (stage.filters.taps - 1) * stage.filters.dilation);
  }
  if (reads.residual) {
    stage.lag = made.delay - rings_[*reads.residual].delay;
    keep(rings_[*reads.residual].history, stage.lag);
  }
  if (stage.conditioning.taps != 0) {
    stage.condition_lag = made.delay;
    keep(condition_.history, stage.condition_lag);
  }
  return add(std::move(stage), reads, made);
}

StreamBuilder::RingDraft StreamBuilder::resampled(const RingDraft& from, int64_t up, int64_t down,
                                                  int64_t channels) const {
  constexpr int64_t most = int64_t{1} << 20;
  RingDraft made{.channels = channels,
                 .rate = {.up = from.rate.up * up, .down = from.rate.down * down}};
  const int64_t common = std::gcd(made.rate.up, made.rate.down);
  made.rate = {.up = made.rate.up / common, .down = made.rate.down / common};
  check<ValueError>(made.rate.up <= most && made.rate.down <= most && from.delay <= most * most,
                    site_,
                    "[stream] model: got {} steps for {} of the input, {} later, wanted no more "
                    "than {} and {}",
                    made.rate.up, made.rate.down, from.delay, most, most * most);
  return made;
}

// Row n of the result is element n - delay, whose last tap meets element (n - delay) stride -
// before
// + reach; it has to be there when as many rows of stride are.
size_t StreamBuilder::append_strided(Stage stage, size_t in, int64_t before, int64_t reach) {
  const int64_t stride = stage.stride;
  RingDraft& from = rings_[in];
  RingDraft made = resampled(from, 1, stride, stage.filters.out_channels);
  const int64_t behind = from.delay + reach - before + 1 - stride;
  made.delay = behind > 0 ? (behind + stride - 1) / stride : 0;
  stage.newest = from.delay + reach - before - made.delay * stride;
  keep(from.history, reach - stage.newest);
  return add(std::move(stage), {.in = in}, made);
}

size_t StreamBuilder::append_transposed(Stage stage, size_t in, int64_t before, int64_t reach) {
  const int64_t stride = stage.stride;
  RingDraft& from = rings_[in];
  RingDraft made = resampled(from, stride, 1, stage.filters.out_channels);
  made.delay = from.delay * stride + before;
  keep(from.history, reach / stride);
  return add(std::move(stage), {.in = in}, made);
}

size_t StreamBuilder::add(Stage stage, const Reads& reads, const RingDraft& made) {
  rings_.push_back(made);
  drafts_.push_back({std::move(stage), reads.in, rings_.size() - 1, reads.residual});
  return rings_.size() - 1;
}

// How many steps go through the stages at once.
void StreamBuilder::set_pace() {
  streaming::Stages& stages = result_.stages;
  int64_t most_up = 1;
  for (const RingDraft& ring : rings_) {
    const int64_t group = std::lcm(stages.group, ring.rate.down);
    stages.group = std::min(group, most_group);  // more than any block has
    most_up = std::max(most_up, ring.rate.up / ring.rate.down);
  }
  check<ValueError>(stages.group <= block_, site_,
                    "[stream] block: got {}, wanted {} or more: the model gives an output for so "
                    "many steps",
                    block_, stages.group);
  const bool is_cpu = result_.device.type == DeviceType::CPU;
  const int64_t chunk = is_cpu ? std::min(block_, cpu_chunk / most_up) : block_;
  stages.chunk = std::max(chunk / stages.group, int64_t{1}) * stages.group;
  for (const RingDraft& ring : rings_) {
    stages.chunk_rows = std::max(stages.chunk_rows, ring.rate.rows(stages.chunk));
    // The least number of groups that make as many rows as lie before the sequence.
    const int64_t rows = ring.rate.rows(stages.group);
    stages.settled = std::max(stages.settled, (ring.delay + rows - 1) / rows * stages.group);
  }
}

// One behind the other.
Ring StreamBuilder::lay_out(const RingDraft& draft) {
  // Whole groups, of which steady inputs give one over and over.
  const int64_t group = draft.rate.rows(result_.stages.group);
  const CheckedSize least =
      CheckedSize(draft.history) + draft.rate.rows(result_.stages.chunk) + (group - 1);
  const CheckedSize rows = least.fits() ? CheckedSize(least.value() / group * group) : least;
  const int64_t stride = streaming::padded_row(draft.channels);
  const CheckedSize end =
      CheckedSize(result_.stages.elements) + (rows + streaming::ring_margin) * stride;
  check<ValueError>((end * 8).fits(), site_,
                    "[stream] model: got more history than 64 bits count, wanted less");
  const Ring ring{.offset = result_.stages.elements,
                  .rows = rows.value(),
                  .stride = stride,
                  .channels = draft.channels,
                  .history = draft.history,
                  .rate = draft.rate};
  result_.stages.elements = end.value();
  return ring;
}

StreamStages StreamBuilder::finish() {
  result_.in_channels = rings_.front().channels;
  result_.out_channels = rings_.back().channels;
  result_.condition_channels = condition_.channels;
  streaming::Stages& stages = result_.stages;
  set_pace();
  stages.delay = rings_.back().delay;
  stages.rate = rings_.back().rate;
  std::vector<Ring> rings;
  for (size_t i = 0; i + 1 < rings_.size(); ++i) {
    rings.push_back(lay_out(rings_[i]));
  }
  rings.emplace_back();  // the output is in no ring
  stages.input = rings.front();
  stages.condition = condition_.channels > 0 ? lay_out(condition_) : Ring{};
  for (Draft& draft : drafts_) {
    Stage& stage = draft.stage;
    stage.in = rings[draft.in];
    stage.residual = draft.residual ? rings[*draft.residual] : Ring{};
    stage.channels = rings_[draft.out].channels;
    stage.delay = rings_[draft.out].delay;
    stage.rate = rings_[draft.out].rate;
    stage.out = rings[draft.out];
    for (int64_t channels : {stage.channels, stage.in.channels, stage.filters.out_channels,
                             stage.conditioning.out_channels}) {
      stages.row_elements = std::max(stages.row_elements, streaming::padded_row(channels));
    }
    stages.list.push_back(std::move(stage));
  }
  return std::move(result_);
}

}  // namespace warptape
