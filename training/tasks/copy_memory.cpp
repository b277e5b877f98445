// The copy memory task (Hochreiter & Schmidhuber 1997), as Bai, Kolter & Koltun 2018 have it: ten
// digits of 1 to 8, T - 1 zeros, eleven nines; at the last ten steps the digits are to be told
// again, before them 0.

#include <cmath>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/reshape/reshape.h"
#include "training/permutation.h"
#include "training/step_masks.h"
#include "training/tasks/sequences.h"

namespace warptape {
namespace {

constexpr int64_t digits = 10;
constexpr int64_t kinds = 8;     // of digits
constexpr int64_t classes = 10;  // 0, the digits, and the nine

struct Options {
  int64_t length = 1000;
  int64_t train_sequences = 10000;
  int64_t test_sequences = 1000;
  int64_t warm_up = 0;
};

constexpr Rule<int64_t> up_to_2_24{"a whole number of 1 to 2^24",
                                   [](const int64_t& v) { return v >= 1 && v <= (1 << 24); }};

OptionList<Options> list_of_options() {
  return OptionList<Options>()("length", &Options::length, up_to_2_24,
                               "steps that the digits are to be kept")(
      "train_sequences", &Options::train_sequences, up_to_2_24, "made for training")(
      "test_sequences", &Options::test_sequences, up_to_2_24, "made for the test")(
      "warm_up", &Options::warm_up, warm_up_steps, warm_up_help);
}

TensorDataset make(int64_t count, int64_t kept, DType dtype, RandomStream random) {
  const int64_t length = kept + 2 * digits;
  Tensor input = Tensor::zeros({count, 1, length}, float64);
  Tensor target = Tensor::zeros({count, length}, int64);
  double* const x = input.mutable_data<double>();
  int64_t* const y = target.mutable_data<int64_t>();
  uint64_t word = 0;
  for (int64_t i = 0; i < count; ++i) {
    double* const row = x + i * length;
    for (int64_t t = 0; t < digits; ++t) {
      const int64_t digit = 1 + static_cast<int64_t>(random.uniform(word++) * kinds);
      row[t] = static_cast<double>(digit);
      y[(i + 1) * length - digits + t] = digit;
    }
    std::fill(row + length - digits - 1, row + length, double{kinds + 1});
  }
  return {primitives::cast(input, dtype), target};
}

// Logits (N, L, classes) of every step.
Tensor loss_of_steps(const Tensor& logits, const Tensor& target) {
  return cross_entropy(reshape(logits, {-1, logits.size(2)}), reshape(target, {-1}));
}

TaskParts make_copy_memory(Recipe& recipe, Device device) {
  const Options options = list_of_options().read(recipe.task.options);
  const DType dtype = dtype_of(recipe);
  const auto stream = [&](uint64_t number) {
    return RandomStream{recipe.seed, stream_of(Purpose::MadeData, number)};
  };
  // All that is to be told comes in the last ten steps.
  check_warm_up(options.warm_up, options.length + digits + 1);
  const double guess =
      digits * std::log(kinds) / static_cast<double>(options.length + 2 * digits - options.warm_up);
  return make_sequence_parts(
      recipe, device,
      {.kind = "copy memory task",
       .remark = fmt::format("guessing the digits: loss {:.4f}", guess),
       .train = make(options.train_sequences, options.length, dtype, stream(0)),
       .test = make(options.test_sequences, options.length, dtype, stream(1)),
       .output_size = classes,
       .every_step = true,
       .loss = skip_warm_up(loss_of_steps, options.warm_up),
       .metric = {}});
}

}  // namespace

Task copy_memory_task() {
  return {.name = "copy-memory",
          .description = "ten digits told again at the end",
          .options = list_of_options().options(),
          .reads_data = false,
          .make = make_copy_memory};
}

}  // namespace warptape
