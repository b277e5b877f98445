// warptape stream: its model, and where its streams begin and end.

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/reshape/reshape.h"
#include "tools/latencies.h"
#include "tools/stream_options.h"

namespace warptape::tools {
namespace {

constexpr const char* sum_key = "outputs.sum";
constexpr const char* count_key = "outputs.count";
constexpr const char* silent_key = "outputs.silent";

const Tensor* find(const StateDict& state, const char* key) {
  const auto found = std::find_if(state.begin(), state.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  return found == state.end() ? nullptr : &found->second;
}

// A state of the library's says it by its steps.
int64_t silent_in(const StateDict& state, int64_t delay) {
  const Tensor* own = find(state, silent_key);
  if (own == nullptr) {
    return std::max<int64_t>(0, delay - find(state, "steps")->to_vector<int64_t>()[0]);
  }
  const bool is_number = own->dtype() == int64 && own->numel() == 1;
  const int64_t silent = is_number ? own->to_vector<int64_t>()[0] : -1;
  check<ValueError>(silent >= 0 && silent <= delay, "[stream] {}: got {} of {}, wanted 0 to {}",
                    silent_key, own->shape(), to_string(own->dtype()), delay);
  return silent;
}

double largest_number(DType dtype) {
  return dtype == float64 ? std::numeric_limits<double>::max()
                          : static_cast<double>(std::numeric_limits<float>::max());
}

}  // namespace

std::string Latencies::summary() const {
  return count_ == 0 ? "none"
                     : fmt::format("median {:.1f} us, 99 % below {:.1f}, longest {:.1f}",
                                   below(count_ / 2), below(count_ * 99 / 100), longest_);
}

StreamedModel load_streamed_model(const StreamOptions& options) {
  StreamedModel model;
  model.device = apply(options.machine);
  model.loaded = load_sequence_model(options.checkpoint, {.who = "stream"});
  const LoadedSequenceModel& loaded = model.loaded;
  check<ValueError>(!loaded.general.indices,
                    "[stream] --checkpoint {}: takes indices of characters, wanted a model of "
                    "numbers; warptape sample goes on with a text",
                    escaped(options.checkpoint));
  check<ValueError>(
      loaded.input.is_step_by_step(),
      "[stream] --checkpoint {}: {}, which is not known before its last step; wanted "
      "a model that takes each step by itself; warptape predict takes whole sequences",
      escaped(options.checkpoint), loaded.input.needs_whole_sequence());
  loaded.module->to(model.device);
  return model;
}

bool fit(const std::vector<double>& numbers, const TaskInput& input, DType dtype) {
  for (size_t c = 0; c < numbers.size(); ++c) {
    const double number =
        input.channels.empty() ? numbers[c] : input.channels[c].scaled(numbers[c]);
    if (std::abs(number) > largest_number(dtype)) {
      return false;
    }
  }
  return true;
}

std::string room(const TaskInput& input, DType dtype) {
  return fmt::format("{:.4g}{}", largest_number(dtype),
                     input.channels.empty() ? "" : " once normalised");
}

RunningMeans::RunningMeans(int64_t streams, int64_t outputs)
    : streams_(streams), outputs_(outputs), sums_(static_cast<size_t>(streams * outputs)) {}

void RunningMeans::add(std::vector<double>& rows, int64_t left_out) {
  const int64_t steps = static_cast<int64_t>(rows.size()) / (streams_ * outputs_);
  for (int64_t t = left_out; t < steps; ++t) {
    ++count_;
    for (int64_t stream = 0; stream < streams_; ++stream) {
      for (int64_t i = 0; i < outputs_; ++i) {
        double& output = rows[static_cast<size_t>((stream * steps + t) * outputs_ + i)];
        double& sum = sums_[static_cast<size_t>(stream * outputs_ + i)];
        sum += output;
        output = sum / static_cast<double>(count_);
      }
    }
  }
}

void RunningMeans::add_to(StateDict& state) const {
  state.emplace_back(sum_key, Tensor::from_vector(sums_, {streams_, outputs_}));
  state.emplace_back(count_key, tensor<int64_t>({count_}, {1}));
}

void RunningMeans::take_from(const StateDict& state) {
  const auto wanted = [&](const char* key, const Shape& shape, DType dtype) {
    const Tensor* found = find(state, key);
    check<ValueError>(found != nullptr && found->shape() == shape && found->dtype() == dtype,
                      "[stream] {}: got none of this shape among {} tensors, wanted {} of {}: the "
                      "model answers with the mean of its outputs so far",
                      key, state.size(), shape, to_string(dtype));
    return *found;
  };
  const Tensor sums = wanted(sum_key, {streams_, outputs_}, float64);
  const int64_t count = wanted(count_key, {1}, int64).to_vector<int64_t>()[0];
  check<ValueError>(count >= 0, "[stream] {}: got {}, wanted a number of outputs", count_key,
                    count);
  sums_ = sums.to_vector<double>();
  count_ = count;
}

StreamProgress begin_stream(const StreamOptions& options, const StreamedModel& model,
                            const SequenceStream& stream, RunningMeans* means) {
  StreamProgress progress{.state = stream.zeros(), .silent = stream.delay()};
  if (!options.steady.empty()) {
    const auto count = static_cast<int64_t>(options.steady.size());
    check<ValueError>(count == stream.in_channels(),
                      "[stream] --steady: got {} numbers, the model takes {} channels", count,
                      stream.in_channels());
    check<ValueError>(fit(options.steady, model.loaded.input, stream.dtype()),
                      "[stream] --steady: got {:g}, wanted numbers of at most {}",
                      fmt::join(options.steady, ","), room(model.loaded.input, stream.dtype()));
    const Tensor one = reshape(model_input(tensor<double>(options.steady, {1, count, 1}),
                                           model.loaded.input, stream.dtype()),
                               {1, count});
    Tensor all = Tensor::empty({stream.batch(), count}, stream.dtype());
    for (int64_t i = 0; i < stream.batch(); ++i) {
      Tensor row = all.slice(i, i + 1);
      primitives::copy(one, row);
    }
    stream.settle(progress.state, all.to(stream.device()));
  }
  if (!options.load_state.empty()) {
    try {
      const StateDict saved = load_safetensors(options.load_state).tensors;
      stream.load_state_dict(progress.state, saved);
      progress.silent = silent_in(saved, stream.delay());
      if (means != nullptr) {
        means->take_from(saved);
      }
    } catch (const ValueError& error) {
      throw ValueError(escaped(options.load_state) + ": " + error.what());
    }
  }
  return progress;
}

void save_stream(const StreamOptions& options, const SequenceStream& stream,
                 const StreamProgress& progress, const RunningMeans* means) {
  if (options.save_state.empty()) {
    return;
  }
  StateDict saved = stream.state_dict(progress.state);
  saved.emplace_back(silent_key, tensor<int64_t>({progress.silent}, {1}));
  if (means != nullptr) {
    means->add_to(saved);
  }
  save_safetensors(options.save_state, saved);
}

}  // namespace warptape::tools
