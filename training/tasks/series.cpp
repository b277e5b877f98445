// Labelled series of unequal lengths, in the .ts format of the UCR/UEA archive.

#include "training/tasks/series.h"

#include <algorithm>
#include <span>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/argmax/argmax.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "training/step_masks.h"
#include "training/task_input.h"
#include "training/tasks/sequences.h"

namespace warptape {
namespace {

struct Options {
  std::string test_data;
  std::string pooling = "last";
  std::string normalise = "channel";
  std::string missing = "refuse";
};

constexpr Rule<std::string> last_or_mean{
    "last or mean", [](const std::string& v) { return v == "last" || v == "mean"; }};
constexpr Rule<std::string> none_series_or_channel{
    "none, series or channel",
    [](const std::string& v) { return v == "none" || v == "series" || v == "channel"; }};
constexpr Rule<std::string> refuse_or_previous{
    "refuse or previous", [](const std::string& v) { return v == "refuse" || v == "previous"; }};

OptionList<Options> list_of_options() {
  return OptionList<Options>()("test_data", &Options::test_data, any_path, test_data_help)(
      "pooling", &Options::pooling, last_or_mean,
      "what tells the class of a series: the output of its last step, or the mean over its steps")(
      "normalise", &Options::normalise, none_series_or_channel,
      "to mean 0 and deviation 1: each channel of a series by itself, or each channel by the "
      "training part")("missing", &Options::missing, refuse_or_previous,
                       "values that are missing: refused, or the one before stands for them");
}

template <class T>
void fill_padded(const TsFile& file, const SeriesMetadata& metadata, Tensor& to) {
  const int64_t longest = to.size(2);
  T* line = to.mutable_data<T>();
  for (const LabelledSeries& series : file.series) {
    for (int64_t c = 0; c < file.channels; ++c, line += longest) {
      const double* values = series.values.data() + c * series.length;
      ChannelScale by;
      if (metadata.normalise == "channel") {
        const auto at = static_cast<size_t>(c);
        by = {.mean = metadata.mean[at], .std = metadata.std[at]};
      } else if (metadata.normalise == "series") {
        by = scale_of({std::span(values, static_cast<size_t>(series.length))});
      }
      for (int64_t t = 0; t < series.length; ++t) {
        line[t] = static_cast<T>(by.scaled(values[t]));
      }
    }
  }
}

// (N, L): the class at the steps that tell it, no_label elsewhere.
Tensor labels_of_steps(const TsFile& file, const std::vector<int64_t>& labels, bool at_all_steps) {
  const int64_t longest = file.longest();
  Tensor result = Tensor::full({static_cast<int64_t>(labels.size()), longest},
                               static_cast<double>(no_label), int64);
  int64_t* row = result.mutable_data<int64_t>();
  for (size_t i = 0; i < labels.size(); ++i, row += longest) {
    const int64_t length = file.series[i].length;
    std::fill(row + (at_all_steps ? 0 : length - 1), row + length, labels[i]);
  }
  return result;
}

// Of logits (N, L, classes) the losses of those steps that have a label: one for each series.
Tensor loss_of_last(const Tensor& logits, const Tensor& labels) {
  return cross_entropy(reshape(logits, {-1, logits.size(2)}), reshape(labels, {-1}),
                       {.ignore_index = no_label});
}

Tensor mean_logits(const Tensor& logits, const Tensor& labels) {
  return masked_mean(logits, ge(labels, 0.0));
}

Tensor loss_of_mean(const Tensor& logits, const Tensor& labels) {
  return cross_entropy(mean_logits(logits, labels), reshape(slice(labels, 1, 0, 1), {-1}));
}

// Whichever steps are labelled: how many series have their largest output at the label.
Metric accuracy_of_series(bool is_mean) {
  Metric metric = accuracy();
  if (is_mean) {
    metric.prediction = [](const Tensor& logits, const Tensor& labels) {
      return argmax(mean_logits(logits, labels), 1);
    };
  } else {
    metric.prediction = [](const Tensor& logits, const Tensor&) { return argmax(logits, 2); };
  }
  metric.sum_over_rows = [](const Tensor& prediction, const Tensor& labels) {
    const std::vector<int64_t> predicted = prediction.to(cpu).to_vector<int64_t>();
    const std::vector<int64_t> wanted = labels.to(cpu).to_vector<int64_t>();
    const bool is_pooled = prediction.rank() == 1;
    const auto steps = static_cast<size_t>(labels.size(1));
    double right = 0;
    for (size_t i = 0; i < wanted.size(); i += is_pooled ? steps : 1) {
      const int64_t told = predicted[is_pooled ? i / steps : i];
      right += wanted[i] != no_label && told == wanted[i] ? 1 : 0;
    }
    return right;
  };
  return metric;
}

void check_fits(const Recipe& recipe, const TsFile& train, const TsFile& test,
                const std::string& test_path) {
  check<ValueError>(test.channels == train.channels,
                    "[train] {}: got series of {} channels, wanted {} as in {}", escaped(test_path),
                    test.channels, train.channels, escaped(recipe.data));
}

// Behind the end of a series there are zeros for the first layer alone.
void check_sees_no_padding(const Recipe& recipe, const TsFile& train, const TsFile& test) {
  const int64_t shortest = std::min(train.shortest(), test.shortest());
  const int64_t longest = std::max(train.longest(), test.longest());
  const SequenceModel& model = sequence_models().find(recipe.model.name);
  check<ValueError>(shortest == longest || model.seen(recipe.model.options).look_ahead == 0,
                    "[train] --task series: got series of {} to {} steps and a model whose outputs "
                    "see what comes after them, wanted a causal one, or series of one length",
                    shortest, longest);
}

TaskParts make_series(Recipe& recipe, Device device) {
  const Options options = list_of_options().read(recipe.task.options);
  const MissingValues missing = missing_values(options.missing);
  const TsFile train = load_ts(recipe.data, missing);
  const std::string test_path = test_data_path(options.test_data, recipe.data);
  const TsFile test = load_ts(test_path, missing);
  check_fits(recipe, train, test, test_path);
  SeriesMetadata metadata{.classes = train.classes,
                          .pooling = options.pooling,
                          .normalise = options.normalise,
                          .missing = options.missing};
  if (options.normalise == "channel") {
    const auto rows = static_cast<int64_t>(train.series.size());
    measure_channels(train, split_for(recipe, rows).train, metadata);
  }
  const bool is_mean = options.pooling == "mean";
  const DType dtype = dtype_of(recipe);
  const auto set_of = [&](const TsFile& file, const std::string& path) {
    return TensorDataset(padded_series(file, metadata, dtype),
                         labels_of_steps(file, labels_of(file, path, metadata.classes), is_mean));
  };
  TaskParts parts =
      make_sequence_parts(recipe, device,
                          {.kind = train.problem.empty() ? "series" : escaped(train.problem),
                           .remark = train.shortest() == train.longest()
                                         ? fmt::format("{} classes", train.classes.size())
                                         : fmt::format("the shortest {}; {} classes",
                                                       train.shortest(), train.classes.size()),
                           .rows = "series",
                           .train = set_of(train, recipe.data),
                           .test = set_of(test, test_path),
                           .output_size = static_cast<int64_t>(train.classes.size()),
                           .every_step = true,
                           .answers_every_step = is_mean,
                           .loss = is_mean ? Loss(loss_of_mean) : Loss(loss_of_last),
                           .metric = accuracy_of_series(is_mean),
                           .task_metadata = to_json(metadata)});
  check_sees_no_padding(recipe, train, test);
  return parts;
}

}  // namespace

void measure_channels(const TsFile& file, const std::vector<int64_t>& rows,
                      SeriesMetadata& metadata) {
  metadata.mean.clear();
  metadata.std.clear();
  for (int64_t c = 0; c < file.channels; ++c) {
    std::vector<std::span<const double>> parts;
    for (const int64_t row : rows) {
      const LabelledSeries& series = file.series[static_cast<size_t>(row)];
      parts.emplace_back(series.values.data() + c * series.length, series.length);
    }
    const ChannelScale scale = scale_of(parts);
    metadata.mean.push_back(scale.mean);
    metadata.std.push_back(scale.std);
  }
}

Tensor padded_series(const TsFile& file, const SeriesMetadata& metadata, DType dtype) {
  Tensor result = Tensor::zeros(
      {static_cast<int64_t>(file.series.size()), file.channels, file.longest()}, dtype);
  if (dtype == float64) {
    fill_padded<double>(file, metadata, result);
  } else {
    fill_padded<float>(file, metadata, result);
  }
  return result;
}

std::vector<int64_t> labels_of(const TsFile& file, const std::string& path,
                               const std::vector<std::string>& classes) {
  std::vector<int64_t> labels;
  for (const LabelledSeries& series : file.series) {
    const std::string& name = file.classes[static_cast<size_t>(series.label)];
    const auto found = std::find(classes.begin(), classes.end(), name);
    check<FileError>(found != classes.end(),
                     "[series] {}: got the class \"{}\", which is none of the {} that the model is "
                     "trained for",
                     escaped(path), excerpt(name), classes.size());
    labels.push_back(found - classes.begin());
  }
  return labels;
}

Tensor pooled(const Tensor& outputs, const TsFile& file, const SeriesMetadata& metadata) {
  std::vector<int64_t> lengths;
  for (const LabelledSeries& series : file.series) {
    lengths.push_back(series.length);
  }
  const Tensor ends =
      tensor<int64_t>(lengths, {static_cast<int64_t>(lengths.size())}).to(outputs.device());
  return metadata.pooling == "mean" ? masked_mean(outputs, length_mask(ends, outputs.size(1)))
                                    : last_steps(outputs, ends);
}

Task series_task() {
  return {.name = "series",
          .description = "classes of series of unequal lengths, from .ts files",
          .options = list_of_options().options(),
          .wanted_data = "a .ts file",
          .path_options = {"test_data"},
          .make = make_series};
}

}  // namespace warptape
