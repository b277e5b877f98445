// The next character of a text, as Bai, Kolter & Koltun 2018 have it: windows that overlap, so that
// each character is told once, by a model that has seen a warm-up in front of it.

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/reshape/reshape.h"
#include "training/characters.h"
#include "training/step_masks.h"
#include "training/task_metadata.h"
#include "training/tasks/sequences.h"

namespace warptape {
namespace {

struct Options {
  int64_t length = 400;
  int64_t warm_up = 80;
  double test_part = 0.1;
  int64_t embedding = 100;
  double embedding_dropout = 0.1;
  bool tied = false;
};

constexpr Rule<int64_t> up_to_2_24{"a whole number of 1 to 2^24",
                                   [](const int64_t& v) { return v >= 1 && v <= (1 << 24); }};
constexpr Rule<double> a_part{"a number above 0 and below 1",
                              [](const double& v) { return v > 0 && v < 1; }};

OptionList<Options> list_of_options() {
  return OptionList<Options>()("length", &Options::length, up_to_2_24, "characters of a window")(
      "warm_up", &Options::warm_up, warm_up_steps, warm_up_help)(
      "test_part", &Options::test_part, a_part, "part at the end of the text that is for the test")(
      "embedding", &Options::embedding, up_to_2_24, "channels that a character becomes")(
      "embedding_dropout", &Options::embedding_dropout, rules::below_one,
      "part of these that is dropped")("tied", &Options::tied, rules::flag,
                                       "the output's weights are the embedding's; the last block "
                                       "has as many channels, then");
}

// Windows of `length` steps over a part of the text. Each character but the first `warm_up` and one
// is the target of one counted step; the last window ends with the part.
TensorDataset windows_of(const char* part, const int64_t* text, int64_t count,
                         const Options& options) {
  const int64_t length = options.length;
  check<ValueError>(count > length,
                    "[train] --length: got windows of {} characters, wanted fewer than the {} of "
                    "the {} part",
                    length, count, part);
  const int64_t stride = length - options.warm_up;
  const int64_t last = count - 1 - length;  // where the last one begins
  const int64_t windows = (last + stride - 1) / stride + 1;
  Tensor input = Tensor::empty({windows, length}, int64);
  Tensor target = Tensor::empty({windows, length}, int64);
  int64_t* x = input.mutable_data<int64_t>();
  int64_t* y = target.mutable_data<int64_t>();
  int64_t told = options.warm_up;  // the first step that no window before has counted
  for (int64_t i = 0; i < windows; ++i, x += length, y += length) {
    const int64_t begin = std::min(i * stride, last);
    for (int64_t t = 0; t < length; ++t) {
      x[t] = text[begin + t];
      y[t] = begin + t < told ? no_label : text[begin + t + 1];
    }
    told = begin + length;
  }
  return {input, target};
}

Tensor sum_or_mean(const Tensor& logits, const Tensor& target, Reduction reduction) {
  return cross_entropy(reshape(logits, {-1, logits.size(2)}), reshape(target, {-1}),
                       {.reduction = reduction, .ignore_index = no_label});
}

Metric bits_per_character() {
  return {
      .name = "bits_per_character",
      .sum_over_rows = [](const Tensor& sum, const Tensor&) { return sum.item() / std::log(2.0); },
      .higher_is_better = false,
      .prediction =
          [](const Tensor& logits, const Tensor& target) {
            return sum_or_mean(logits, target, Reduction::Sum);
          },
      .count =
          [](const Tensor& target) {
            const std::vector<int64_t> labels = target.to(cpu).to_vector<int64_t>();
            return static_cast<double>(std::count_if(labels.begin(), labels.end(),
                                                     [](int64_t v) { return v != no_label; }));
          }};
}

// A checkpoint's indices mean what it says that they mean.
void check_vocabulary(const Recipe& recipe, const Vocabulary& vocabulary) {
  if (!recipe.init) {
    return;
  }
  const auto known = char_metadata(load_safetensors(*recipe.init), *recipe.init);
  check<ValueError>(!known || known->vocabulary == vocabulary.codes(),
                    "[train] {}: the checkpoint knows {} characters, which are not the {} of {}; "
                    "wanted the same",
                    escaped(*recipe.init), known->vocabulary.size(), vocabulary.size(),
                    escaped(recipe.data));
}

TaskParts make_char(Recipe& recipe, Device device) {
  const Options options = list_of_options().read(recipe.task.options);
  check_warm_up(options.warm_up, options.length);
  const std::vector<uint32_t> text = load_characters(recipe.data);
  const Vocabulary vocabulary(vocabulary_of(text));
  check_vocabulary(recipe, vocabulary);
  const std::vector<int64_t> all = vocabulary.indices(text);
  const auto count = static_cast<int64_t>(all.size());
  const auto test =
      static_cast<int64_t>(std::round(static_cast<double>(count) * options.test_part));
  const auto validation =
      static_cast<int64_t>(std::round(static_cast<double>(count - test) * recipe.validation));
  const int64_t train = count - test - validation;
  const auto part = [&](const char* name, int64_t begin, int64_t size) {
    return windows_of(name, all.data() + begin, size, options);
  };
  TaskParts parts = make_sequence_parts(
      recipe, device,
      {.kind = "text",
       .remark = fmt::format("{} characters, {} for training", count, train),
       .rows = "windows",
       .train = part("training", 0, train),
       .test = part("test", count - test, test),
       .validation =
           validation > 0 ? std::optional(part("validation", train, validation)) : std::nullopt,
       .splits_itself = true,
       .output_size = vocabulary.size(),
       .every_step = true,
       .indices = IndexInput{.vocabulary = vocabulary.size(),
                             .embedding_size = options.embedding,
                             .dropout = options.embedding_dropout,
                             .tied = options.tied},
       .loss = [](const Tensor& logits,
                  const Tensor& target) { return sum_or_mean(logits, target, Reduction::Mean); },
       .metric = bits_per_character(),
       .task_metadata = to_json(CharMetadata{vocabulary.codes()})});
  check_is_causal(recipe);
  return parts;
}

}  // namespace

Task char_task() {
  return {.name = "char",
          .description = "the next character of a text file",
          .options = list_of_options().options(),
          .wanted_data = "a text file",
          .make = make_char};
}

}  // namespace warptape
