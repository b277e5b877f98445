// The adding problem (Hochreiter & Schmidhuber 1997), as Bai, Kolter & Koltun 2018 have it: one
// channel of numbers from [0, 1), one that marks two of them, whose sum is to be told at the end.

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "kernels/losses/losses.h"
#include "training/permutation.h"
#include "training/tasks/sequences.h"

namespace warptape {
namespace {

struct Options {
  int64_t length = 400;
  int64_t train_sequences = 50000;
  int64_t test_sequences = 1000;
};

constexpr Rule<int64_t> two_or_more{"a whole number of 2 to 2^24",
                                    [](const int64_t& v) { return v >= 2 && v <= (1 << 24); }};
constexpr Rule<int64_t> sequences{"a whole number of 1 to 2^24",
                                  [](const int64_t& v) { return v >= 1 && v <= (1 << 24); }};

OptionList<Options> list_of_options() {
  return OptionList<Options>()("length", &Options::length, two_or_more, "steps of a sequence")(
      "train_sequences", &Options::train_sequences, sequences, "made for training")(
      "test_sequences", &Options::test_sequences, sequences, "made for the test");
}

// Which numbers are drawn for; the streams of training and test differ.
TensorDataset make(int64_t count, int64_t length, DType dtype, RandomStream random) {
  Tensor input = Tensor::zeros({count, 2, length}, float64);
  Tensor target = Tensor::empty({count, 1}, float64);
  double* const x = input.mutable_data<double>();
  double* const sums = target.mutable_data<double>();
  uint64_t word = 0;
  for (int64_t i = 0; i < count; ++i) {
    double* const numbers = x + i * 2 * length;
    double* const marks = numbers + length;
    for (int64_t t = 0; t < length; ++t) {
      numbers[t] = random.uniform(word++);
    }
    const auto first = static_cast<int64_t>(random.uniform(word++) * static_cast<double>(length));
    // Of the places without the first one.
    const auto other =
        static_cast<int64_t>(random.uniform(word++) * static_cast<double>(length - 1));
    const int64_t second = other < first ? other : other + 1;
    marks[first] = 1;
    marks[second] = 1;
    sums[i] = numbers[first] + numbers[second];
  }
  return {primitives::cast(input, dtype), primitives::cast(target, dtype)};
}

TaskParts make_adding(Recipe& recipe, Device device) {
  const Options options = list_of_options().read(recipe.task.options);
  const DType dtype = dtype_of(recipe);
  const auto stream = [&](uint64_t number) {
    return RandomStream{recipe.seed, stream_of(Purpose::MadeData, number)};
  };
  return make_sequence_parts(
      recipe, device,
      {.kind = "adding problem",
       .remark = "the same answer always: loss 0.1667",
       .train = make(options.train_sequences, options.length, dtype, stream(0)),
       .test = make(options.test_sequences, options.length, dtype, stream(1)),
       .output_size = 1,
       .loss = [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); },
       .metric = {}});
}

}  // namespace

Task adding_task() {
  return {.name = "adding",
          .description = "the sum of two marked numbers",
          .options = list_of_options().options(),
          .reads_data = false,
          .make = make_adding};
}

}  // namespace warptape
