#include "models/stream_builder.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/checked_size.h"

namespace warptape {
namespace {

using streaming::Ring;
using streaming::Stage;

// Steps that the CPU takes through all stages at once, while the caches have their rows.
constexpr int64_t cpu_chunk = 48;

void keep(int64_t& history, int64_t rows) {
  history = std::max(history, rows);
}

}  // namespace

void StreamBuilder::begin(int64_t channels, DType dtype) {
  result_.dtype = dtype;
  rings_.push_back({.channels = channels});
}

size_t StreamBuilder::append(Stage stage, const Reads& reads, int64_t channels) {
  RingDraft made{.channels = channels, .delay = rings_[reads.in].delay + reads.ahead};
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
  rings_.push_back(made);
  drafts_.push_back({std::move(stage), reads.in, rings_.size() - 1, reads.residual});
  return rings_.size() - 1;
}

// One behind the other.
Ring StreamBuilder::lay_out(const RingDraft& draft, const Site& site) {
  const CheckedSize rows = CheckedSize(draft.history) + result_.stages.chunk;
  const int64_t stride = streaming::padded_row(draft.channels);
  const CheckedSize end =
      CheckedSize(result_.stages.elements) + (rows + streaming::ring_margin) * stride;
  check<ValueError>((end * 8).fits(), site,
                    "[stream] model: got more history than 64 bits count, wanted less");
  const Ring ring{.offset = result_.stages.elements,
                  .rows = rows.value(),
                  .stride = stride,
                  .channels = draft.channels,
                  .history = draft.history};
  result_.stages.elements = end.value();
  return ring;
}

StreamStages StreamBuilder::finish(const Site& site) {
  result_.in_channels = rings_.front().channels;
  result_.out_channels = rings_.back().channels;
  result_.condition_channels = condition_.channels;
  streaming::Stages& stages = result_.stages;
  stages.chunk = result_.device.type == DeviceType::CPU ? std::min(block_, cpu_chunk) : block_;
  stages.delay = rings_.back().delay;
  std::vector<Ring> rings;
  for (size_t i = 0; i + 1 < rings_.size(); ++i) {
    rings.push_back(lay_out(rings_[i], site));
  }
  rings.emplace_back();  // the output is in no ring
  stages.input = rings.front();
  stages.condition = condition_.channels > 0 ? lay_out(condition_, site) : Ring{};
  for (Draft& draft : drafts_) {
    Stage& stage = draft.stage;
    stage.in = rings[draft.in];
    stage.residual = draft.residual ? rings[*draft.residual] : Ring{};
    stage.channels = rings_[draft.out].channels;
    stage.delay = rings_[draft.out].delay;
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
