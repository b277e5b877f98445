// Polyphonic music, as Bai, Kolter & Koltun 2018 have it (after Boulanger-Lewandowski et al. 2012):
// from the frames of a piece so far, which of the 88 keys sound in the next one.

#include <algorithm>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/losses/losses.h"
#include "kernels/pointwise/pointwise.h"
#include "training/piano_roll.h"
#include "training/step_masks.h"
#include "training/tasks/sequences.h"

namespace warptape {
namespace {

// A key of a frame that counts nowhere, in targets.
constexpr double no_key = -1;

struct Options {
  std::string test_data;
  int64_t warm_up = 0;
};

OptionList<Options> list_of_options() {
  return OptionList<Options>()("test_data", &Options::test_data, any_path, test_data_help)(
      "warm_up", &Options::warm_up, warm_up_steps, warm_up_help);
}

int64_t longest(const std::vector<PianoRoll>& rolls) {
  return std::max_element(rolls.begin(), rolls.end(),
                          [](const auto& a, const auto& b) { return a.frames() < b.frames(); })
      ->frames();
}

// Inputs (N, 88, L), all frames but the last of each piece, zeros behind; targets (N, L, 88), the
// frame behind each, no_key where a frame does not count.
TensorDataset set_of(const std::vector<PianoRoll>& rolls, int64_t warm_up, DType dtype) {
  const auto count = static_cast<int64_t>(rolls.size());
  const int64_t steps = longest(rolls) - 1;
  Tensor input = Tensor::zeros({count, piano_keys, steps}, float32);
  Tensor target = Tensor::full({count, steps, piano_keys}, no_key, float32);
  float* x = input.mutable_data<float>();
  float* y = target.mutable_data<float>();
  for (const PianoRoll& roll : rolls) {
    const uint8_t* frame = roll.keys.data();
    for (int64_t t = 0; t + 1 < roll.frames(); ++t, frame += piano_keys) {
      for (int64_t key = 0; key < piano_keys; ++key) {
        x[key * steps + t] = frame[key];
        y[t * piano_keys + key] =
            t < warm_up ? static_cast<float>(no_key) : frame[piano_keys + key];
      }
    }
    x += piano_keys * steps;
    y += piano_keys * steps;
  }
  return {primitives::cast(input, dtype), primitives::cast(target, dtype)};
}

// Of the frames that count: their losses, each summed over the keys.
Tensor loss_of_frames(const Tensor& logits, const Tensor& target, Reduction reduction) {
  return bce_with_logits_loss(logits, target, {.reduction = reduction}, ge(target, 0.0));
}

Metric nll_per_frame() {
  return {.name = "nll",
          .sum_over_rows = [](const Tensor& sum, const Tensor&) { return sum.item(); },
          .higher_is_better = false,
          .prediction =
              [](const Tensor& logits, const Tensor& target) {
                return loss_of_frames(logits, target, Reduction::Sum);
              },
          .count =
              [](const Tensor& target) {
                const std::vector<double> keys =
                    primitives::cast(target.to(cpu), float64).to_vector<double>();
                const auto counted =
                    std::count_if(keys.begin(), keys.end(), [](double v) { return v >= 0; });
                return static_cast<double>(counted) / piano_keys;
              }};
}

void check_lengths(const std::vector<PianoRoll>& rolls, int64_t warm_up) {
  for (const PianoRoll& roll : rolls) {
    check_warm_up(warm_up, roll.frames() - 1);
  }
}

TaskParts make_music(Recipe& recipe, Device device) {
  const Options options = list_of_options().read(recipe.task.options);
  const std::vector<PianoRoll> train = load_piano_rolls(recipe.data);
  const std::vector<PianoRoll> test =
      load_piano_rolls(test_data_path(options.test_data, recipe.data));
  check_lengths(train, options.warm_up);
  check_lengths(test, options.warm_up);
  TaskParts parts = make_sequence_parts(
      recipe, device,
      {.kind = "music",
       .remark = "",
       .rows = "pieces",
       .train = set_of(train, options.warm_up, dtype_of(recipe)),
       .test = set_of(test, options.warm_up, dtype_of(recipe)),
       .output_size = piano_keys,
       .every_step = true,
       .loss =
           [](const Tensor& logits, const Tensor& target) {
             return loss_of_frames(logits, target, Reduction::Mean) * double{piano_keys};
           },
       .metric = nll_per_frame()});
  check_is_causal(recipe);
  return parts;
}

}  // namespace

Task music_task() {
  return {.name = "music",
          .description = "the next frame of pieces of music, 88 keys",
          .options = list_of_options().options(),
          .wanted_data = "a text file of frames, or a folder of .npy files",
          .path_options = {"test_data"},
          .make = make_music};
}

}  // namespace warptape
