// The next character as a task.

#include <gtest/gtest.h>

#include <cmath>

#include "core/primitives.h"
#include "tests/core/expect_throws.h"
#include "tests/temporary_folder.h"
#include "tests/training/labelled_runs.h"
#include "training/task_metadata.h"

namespace warptape {
namespace {

RunFolder folder_of(const TemporaryFolder& folder, TrainingRun& run, const std::string& name) {
  return RunFolder(folder.path(name), to_json(run.recipe(), run.facts()), run.columns());
}

const std::string text = "abcabdabe\nabcab\xc3\xa4xyzabcabcabcde";  // 30 characters

OptionValues char_options(int64_t length, int64_t warm_up) {
  return {{"length", length},
          {"warm_up", warm_up},
          {"embedding", int64_t{3}},
          {"embedding_dropout", 0.0},
          {"test_part", 0.3}};
}

TEST(CharTask, TellsEachCharacterOnce) {
  const TemporaryFolder folder;
  const std::string path = folder.write("text", text);
  Recipe recipe = small_recipe("char", path, char_options(5, 2));
  recipe.validation = 0.33;
  TrainingRun run(recipe);
  const NamedTensors told{.tensors = {}, .metadata = run.parts().checkpoint_metadata};
  const std::vector<uint32_t> codes = char_metadata(told, "path")->vocabulary;
  EXPECT_EQ(codes, (std::vector<uint32_t>{'\n', 'a', 'b', 'c', 'd', 'e', 'x', 'y', 'z', 0xe4}));
  const std::vector<uint32_t> all = {'a', 'b', 'c', 'a', 'b', 'd',  'a', 'b', 'e', '\n',
                                     'a', 'b', 'c', 'a', 'b', 0xe4, 'x', 'y', 'z', 'a',
                                     'b', 'c', 'a', 'b', 'c', 'a',  'b', 'c', 'd', 'e'};
  // 9 of 30 for the test, a third of the others for validation.
  size_t begin = 0;
  for (const auto& [loader, count] : {std::pair(run.parts().train.get(), size_t{14}),
                                      std::pair(run.parts().validation.get(), size_t{7}),
                                      std::pair(run.parts().test.get(), size_t{9})}) {
    std::vector<int> counted(count);
    loader->start(0);
    while (const auto batch = loader->next_batch()) {
      ASSERT_EQ(batch->input.shape(), Shape({batch->rows(), 5}));
      const std::vector<int64_t> x = batch->input.to_vector<int64_t>();
      const std::vector<int64_t> y = batch->target.to_vector<int64_t>();
      for (size_t row = 0; row < x.size(); row += 5) {
        // Where the window begins: its five characters are those of the part.
        size_t at = begin;
        const auto fits = [&] {
          for (size_t t = 0; t < 5; ++t) {
            if (codes[static_cast<size_t>(x[row + t])] != all[at + t]) {
              return false;
            }
          }
          return y[row + 4] == -100 || codes[static_cast<size_t>(y[row + 4])] == all[at + 5];
        };
        while (at + 5 < begin + count && !fits()) {
          ++at;
        }
        ASSERT_LT(at + 5, begin + count);
        for (size_t t = 0; t < 5; ++t) {
          if (y[row + t] != -100) {
            EXPECT_GE(t, 2U) << "the warm-up";
            EXPECT_EQ(codes[static_cast<size_t>(y[row + t])], all[at + t + 1]);
            ++counted[at + t + 1 - begin];
          }
        }
      }
    }
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(counted[i], i < 3 ? 0 : 1) << begin << " " << i;
    }
    begin += count;
  }
}

// All alike at the start: each character costs as much as a choice among equals.
TEST(CharTask, CountsBitsPerCharacter) {
  const TemporaryFolder folder;
  TrainingRun run(small_recipe("char", folder.write("text", text), char_options(4, 1)));
  for (const auto& state : parameters(run.model())) {
    Tensor value = state->value;
    primitives::fill(value, 0);
  }
  const Evaluation evaluation =
      evaluate(run.model(), *run.parts().test, run.parts().loss, run.parts().metric);
  EXPECT_NEAR(evaluation.metric.value(), std::log2(10.0), 1e-12);
  EXPECT_NEAR(evaluation.loss, std::log(10.0), 1e-12);
  EXPECT_FALSE(run.parts().metric->higher_is_better);
}

TEST(CharTask, GoesOnAndBeginsWithACheckpoint) {
  const TemporaryFolder folder;
  const std::string path = folder.write("text", text);
  OptionValues options = char_options(4, 1);
  options["tied"] = true;
  Recipe recipe = small_recipe("char", path, options);
  recipe.epochs = 2;
  TrainingRun run(recipe);
  RunFolder whole = folder_of(folder, run, "whole");
  run.train(whole);
  int steps = 0;
  TrainingCallbacks stopping;
  stopping.should_stop = [&] { return ++steps == 3; };
  TrainingRun stopped(recipe);
  RunFolder second = folder_of(folder, stopped, "stopped");
  stopped.train(second, stopping);
  TrainingRun resumed(recipe);
  resumed.restore(load_run_state(folder.path("stopped/checkpoint.safetensors")));
  RunFolder third = folder_of(folder, resumed, "resumed");
  resumed.train(third);
  const auto weights = [](TrainingRun& of) {
    std::vector<double> all;
    for (const auto& [key, value] : state_dict(of.model())) {
      const auto values = value.to_vector<double>();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  EXPECT_EQ(weights(resumed), weights(run));
  recipe.init = folder.path("whole/last.safetensors");
  TrainingRun again(recipe);
  EXPECT_EQ(weights(again), weights(run));
  recipe.data = folder.write("other", std::string(text).replace(0, 1, "q"));
  expect_throws<ValueError>([&] { TrainingRun{recipe}; }, {"knows 10 characters", "other"});
}

TEST(CharTask, RefusesWhatDoesNotFit) {
  const TemporaryFolder folder;
  const std::string path = folder.write("text", text);
  expect_throws<ValueError>([&] { TrainingRun{small_recipe("char", path, char_options(9, 1))}; },
                            {"--length: got windows of 9 characters", "the 9 of the test part"});
  expect_throws<ValueError>([&] { TrainingRun{small_recipe("char", path, char_options(4, 4))}; },
                            {"--warm-up: got 4 steps, wanted fewer than the 4"});
  Recipe centred = small_recipe("char", path, char_options(4, 1));
  centred.model.options["centred"] = true;
  expect_throws<ValueError>([&] { TrainingRun{centred}; }, {"--task char", "causal"});
  OptionValues tied = char_options(4, 1);
  tied["tied"] = true;
  tied["embedding"] = int64_t{7};
  expect_throws<ValueError>([&] { TrainingRun{small_recipe("char", path, tied)}; },
                            {"tied", "of 7 channels"});
}

}  // namespace
}  // namespace warptape
