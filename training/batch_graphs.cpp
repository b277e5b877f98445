#include "training/batch_graphs.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/fresh_gradients.h"
#include "core/kept_value.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "layers/state_dict.h"

namespace warptape {
namespace {

constexpr size_t most_kinds = 8;

bool are_alike(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && a.memory_format() == b.memory_format();
}

bool are_same(const Tensor& a, const Tensor& b) {
  return a.defined() == b.defined() &&
         (!a.defined() || (a.shares_storage_with(b) && a.raw_data() == b.raw_data()));
}

std::string describe(const Tensor& numbers, const Batch& batch) {
  return numbers.defined() ? fmt::format("{} rows", numbers.numel())
                           : fmt::format("{} rows of shape {}", batch.rows(), batch.input.shape());
}

}  // namespace

// A graph, and what it was captured with. It holds the tensors whose addresses it has.
struct BatchGraphs::Captured {
  struct Seen {
    Tensor value;
    Tensor grad;
    bool requires_grad;
    bool grad_is_empty;  // at the end of the work
  };
  std::vector<Seen> parameters;
  std::vector<Tensor> tensors;  // of the model: parameters and buffers
  // What is kept of the parameters (core/kept_value.h): what was fresh at the capture, so that the
  // work does not compute it, with its place; and of each parameter, or null, what is fresh when
  // the work is done.
  struct Kept {
    std::shared_ptr<KeptValue> value;
    Tensor place;
  };
  std::vector<Kept> found_fresh;
  std::vector<std::shared_ptr<KeptValue>> left_fresh;
  bool is_training = false;
  uint64_t revision = 0;  // of the optimizer
  std::vector<Tensor> results;
  std::unique_ptr<WorkGraph> graph;
};

// Batches that are alike, and where a graph has them from: numbers of rows of one loader, or inputs
// that are copied there.
struct BatchGraphs::Kind {
  Loader* loader = nullptr;
  Tensor numbers;
  Batch batch;
  bool was_run = false;  // without a graph, which prepared one
  std::unique_ptr<Captured> captured;

  bool fits(const Taken& taken) const {
    return taken.numbers.defined()
               ? loader == taken.loader && numbers.defined() &&
                     numbers.numel() == taken.numbers.numel()
               : !numbers.defined() && are_alike(batch.input, taken.batch.input) &&
                     are_alike(batch.target, taken.batch.target);
  }
};

BatchGraphs::BatchGraphs(Parts parts, Work work, const GraphOptions& options)
    : parts_(parts),
      work_(std::move(work)),
      options_(options),
      device_(parts.states.empty() ? cpu : parts.states[0]->value.device()) {
  if (parts_.optimizer != nullptr && are_graphs_wanted()) {
    parts_.optimizer->let_rates_wait(true);
  }
}

BatchGraphs::~BatchGraphs() {
  if (parts_.optimizer != nullptr) {
    parts_.optimizer->let_rates_wait(false);
  }
}

bool BatchGraphs::are_graphs_wanted() const {
  return has_gpu && options_.use && device_ != cpu && !cannot_capture_;
}

std::optional<int64_t> BatchGraphs::take(Loader& data) {
  taken_ = Taken{&data, {}, {}};
  if (are_graphs_wanted() && data.makes_batches_of_numbers()) {
    std::optional<Tensor> numbers = data.next_numbers();
    if (numbers) {
      taken_.numbers = *std::move(numbers);
      return taken_.numbers.numel();
    }
    return std::nullopt;
  }
  std::optional<Batch> batch = data.next_batch();
  if (batch) {
    taken_.batch = *std::move(batch);
    return taken_.batch.rows();
  }
  return std::nullopt;
}

const std::vector<Tensor>& BatchGraphs::run() {
  last_was_replayed_ = false;
  const bool is_on_device = taken_.numbers.defined() || (taken_.batch.input.device() == device_ &&
                                                         taken_.batch.target.device() == device_);
  if (!are_graphs_wanted() || !is_on_device) {
    run_eagerly();
    return results_;
  }
  Kind& kind = kind_of_taken();
  if (kind.captured) {
    const std::string change = change_since(*kind.captured);
    if (!change.empty()) {
      options_.on_detail(fmt::format("[graph] {}: {} with {} begins anew", change, parts_.what,
                                     describe(taken_.numbers, taken_.batch)));
      kind.captured = nullptr;
      kind.was_run = false;
    }
  }
  if (!kind.captured && (!kind.was_run || !capture(kind))) {
    run_eagerly();
    kind.was_run = true;
    return results_;
  }
  replay(kind);
  return kind.captured->results;
}

void BatchGraphs::run_eagerly() {
  results_.clear();
  results_ =
      work_(taken_.numbers.defined() ? taken_.loader->batch_of(taken_.numbers) : taken_.batch);
}

BatchGraphs::Kind& BatchGraphs::kind_of_taken() {
  const auto found = std::find_if(kinds_.begin(), kinds_.end(),
                                  [&](const auto& kind) { return kind->fits(taken_); });
  if (found != kinds_.end()) {
    std::rotate(kinds_.begin(), found, found + 1);  // the latest ones stay
    return *kinds_.front();
  }
  if (kinds_.size() == most_kinds) {
    if (!std::exchange(has_too_many_kinds_, true)) {
      options_.on_detail(fmt::format(
          "[graph] batches of more than {} shapes: the graphs of the latest are kept", most_kinds));
    }
    kinds_.pop_back();
  }
  auto kind = std::make_unique<Kind>();
  if (taken_.numbers.defined()) {
    kind->loader = taken_.loader;
    kind->numbers = Tensor::empty(taken_.numbers.shape(), int64, device_);
  } else {
    kind->batch = {Tensor::empty_like(taken_.batch.input), Tensor::empty_like(taken_.batch.target)};
  }
  kinds_.insert(kinds_.begin(), std::move(kind));
  return *kinds_.front();
}

// False where it cannot be done.
bool BatchGraphs::capture(Kind& kind) {
  if constexpr (!has_gpu) {
    return false;
  } else {
    const profile::Range range("capture");
    auto captured = std::make_unique<Captured>();
    for (const auto& [key, tensor] : state_dict(parts_.model)) {
      captured->tensors.push_back(tensor);
    }
    // What is kept of the parameters, as weights that are computed from them, is computed in the
    // graph, but for what the last step has left fresh.
    for (const auto& state : parts_.states) {
      auto kept = parts_.optimizer != nullptr ? KeptValue::of(*state) : nullptr;
      if (kept != nullptr && kept->is_fresh()) {
        captured->found_fresh.push_back({kept, kept->tensor()});
      }
    }
    mark_written(*captured);
    for (const Captured::Kept& kept : captured->found_fresh) {
      kept.value->mark_fresh();
    }
    try {
      if (memory_ == nullptr) {
        results_.clear();
        empty_cache(device_);  // of the work without a graph: its tensors now lie elsewhere
        memory_ = std::make_unique<GraphMemory>(device_);
      }
      captured->graph = capture_work(*memory_, parts_.optimizer, [&] {
        captured->results =
            work_(kind.numbers.defined() ? kind.loader->batch_of(kind.numbers) : kind.batch);
      });
    } catch (const Error& error) {
      mark_written(*captured);  // what was to be computed was not
      cannot_capture_ = true;
      options_.on_warning(
          fmt::format("[graph] {} cannot be captured as a graph, and goes without: {}", parts_.what,
                      error.what()));
      return false;
    }
    for (const auto& state : parts_.states) {
      captured->parameters.push_back(
          {state->value, state->grad, state->requires_grad, state->grad_is_empty});
      auto kept = KeptValue::of(*state);
      captured->left_fresh.push_back(kept != nullptr && kept->is_fresh() ? kept : nullptr);
    }
    captured->is_training = parts_.model.is_training();
    captured->revision = parts_.optimizer != nullptr ? parts_.optimizer->revision() : 0;
    options_.on_detail(fmt::format("[graph] {} with {} is one graph of {} kernels", parts_.what,
                                   describe(taken_.numbers, taken_.batch),
                                   captured->graph->launches()));
    kind.captured = std::move(captured);
    return true;
  }
}

void BatchGraphs::replay(Kind& kind) {
  const profile::Range range("graph");
  if (!kind.numbers.defined()) {
    primitives::copy(taken_.batch.input, kind.batch.input);
    primitives::copy(taken_.batch.target, kind.batch.target);
  }
  const Captured& captured = *kind.captured;
  for (const Captured::Kept& kept : captured.found_fresh) {
    kept.value->refresh();
  }
  captured.graph->replay(parts_.optimizer, taken_.numbers, kind.numbers);
  mark_written(captured);
  last_was_replayed_ = true;
}

// In words; empty for none.
std::string BatchGraphs::change_since(const Captured& captured) const {
  for (size_t i = 0; i < captured.parameters.size(); ++i) {
    const Captured::Seen& seen = captured.parameters[i];
    const ParameterState& now = *parts_.states[i];
    const char* what = !are_same(seen.value, now.value) ? "was replaced"
                       : seen.requires_grad != now.requires_grad
                           ? (now.requires_grad ? "was unfrozen" : "was frozen")
                       : parts_.optimizer != nullptr && !are_same(seen.grad, now.grad)
                           ? "has another gradient"
                           : nullptr;
    if (what != nullptr) {
      return fmt::format("parameter {} {}", escaped(now.name), what);
    }
  }
  for (const Captured::Kept& kept : captured.found_fresh) {
    if (!are_same(kept.place, kept.value->tensor())) {
      return "a weight is computed in another place";
    }
  }
  if (captured.is_training != parts_.model.is_training()) {
    return "the model's mode has changed";
  }
  if (parts_.optimizer != nullptr && captured.revision != parts_.optimizer->revision()) {
    return "the optimizer has loaded a state";
  }
  return {};
}

// What the host is to know after a replay, of which it saw nothing. Who keeps what was computed of
// the parameters computes it anew, but for what the work leaves fresh: a graph may have written
// there what is none of now.
void BatchGraphs::mark_written(const Captured& captured) const {
  for (const Tensor& tensor : captured.tensors) {
    tensor.bump_version();
  }
  for (size_t i = 0; i < captured.left_fresh.size(); ++i) {
    if (const auto kept = KeptValue::of(*parts_.states[i])) {
      kept == captured.left_fresh[i] ? kept->mark_fresh() : kept->forget();
    }
  }
  if (parts_.optimizer == nullptr || captured.parameters.empty()) {
    return;
  }
  fresh_gradients::clear();  // as a step does
  for (size_t i = 0; i < captured.parameters.size(); ++i) {
    ParameterState& state = *parts_.states[i];
    state.grad_is_empty = captured.parameters[i].grad_is_empty;
    if (state.grad.defined()) {
      state.grad.bump_version();
    }
  }
}

}  // namespace warptape
