// The next frame of music as a task, and losses that skip a warm-up.

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/losses/losses.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "tests/core/expect_throws.h"
#include "tests/temporary_folder.h"
#include "tests/training/labelled_runs.h"

namespace warptape {
namespace {

struct MusicFiles {
  TemporaryFolder folder;
  std::string train = folder.write("m_TRAIN.txt", "21\n22 30\n\n40\n---\n50\n51\n");
  std::string test = folder.write("m_TEST.txt", "60\n61\n62\n63\n64\n---\n\n21\n");
};

TEST(MusicTask, TellsTheNextFrame) {
  const MusicFiles files;
  TrainingRun run(small_recipe("music", files.train));
  const Batch batch = first_batch(*run.parts().train);
  ASSERT_EQ(batch.input.shape(), Shape({2, 88, 3}));
  ASSERT_EQ(batch.target.shape(), Shape({2, 3, 88}));
  const std::vector<double> x = batch.input.to_vector<double>();
  const std::vector<double> y = batch.target.to_vector<double>();
  const std::vector<std::vector<std::vector<size_t>>> frames{{{0}, {1, 9}, {}, {19}}, {{29}, {30}}};
  for (size_t piece = 0; piece < 2; ++piece) {
    for (size_t t = 0; t < 3; ++t) {
      const bool is_there = t + 1 < frames[piece].size();
      for (size_t key = 0; key < 88; ++key) {
        const auto sounds = [&](size_t frame) {
          const auto& keys = frames[piece][frame];
          return std::find(keys.begin(), keys.end(), key) != keys.end() ? 1.0 : 0.0;
        };
        EXPECT_EQ(x[(piece * 88 + key) * 3 + t], is_there ? sounds(t) : 0) << piece << t << key;
        EXPECT_EQ(y[(piece * 3 + t) * 88 + key], is_there ? sounds(t + 1) : -1) << piece << t;
      }
    }
  }
}

TEST(MusicTask, CountsTheLossOfFramesThatAreThere) {
  const MusicFiles files;
  for (const int64_t warm_up : {0, 2}) {
    files.folder.write("m_TEST.txt", warm_up == 0 ? "60\n61\n62\n63\n64\n---\n\n21\n"
                                                  : "60\n61\n62\n63\n64\n---\n\n21\n\n23\n");
    files.folder.write("m_TRAIN.txt", "21\n22 30\n\n40\n---\n50\n51\n52\n53\n");
    Recipe recipe = small_recipe("music", files.train, {{"warm_up", warm_up}});
    recipe.batch_size = 1;  // pieces of unequal length, each a batch: a mean of means is not enough
    TrainingRun run(recipe);
    run.model().eval();
    const std::vector<int64_t> steps =
        warm_up == 0 ? std::vector<int64_t>{4, 1} : std::vector<int64_t>{4, 3};
    double sum = 0;
    int64_t frames = 0;
    run.parts().test->start(0);
    for (const int64_t count : steps) {
      const Batch batch = run.parts().test->next_batch().value();
      const Tensor logits = run.model()(slice(batch.input, 2, 0, count));
      sum += bce_with_logits_loss(slice(logits, 1, warm_up), slice(batch.target, 1, warm_up, count),
                                  {.reduction = Reduction::Sum})
                 .item();
      frames += count - warm_up;
    }
    const Evaluation evaluation =
        evaluate(run.model(), *run.parts().test, run.parts().loss, run.parts().metric);
    EXPECT_NEAR(evaluation.metric.value(), sum / static_cast<double>(frames), 1e-11) << warm_up;
    EXPECT_NEAR(evaluation.loss, evaluation.metric.value(), 1e-11) << warm_up;
  }
  expect_throws<ValueError>(
      [&] {
        TrainingRun{small_recipe("music", files.train, {{"warm_up", 3}})};
      },
      {"--warm-up: got 3 steps, wanted fewer than the 3"});
  Recipe centred = small_recipe("music", files.train);
  centred.model.options["centred"] = true;
  expect_throws<ValueError>([&] { TrainingRun{centred}; }, {"--task music", "causal"});
}

TEST(CopyMemoryTask, CanLeaveItsWarmUpOut) {
  const auto loss = [](int64_t warm_up) {
    TrainingRun run(small_recipe("copy-memory", "",
                                 {{"length", int64_t{5}},
                                  {"train_sequences", int64_t{6}},
                                  {"test_sequences", int64_t{4}},
                                  {"warm_up", warm_up}}));
    const Batch batch = first_batch(*run.parts().test);
    run.model().eval();
    const Tensor logits = run.model()(batch.input);
    const double by_task = run.parts().loss(logits, batch.target).item();
    const Tensor kept = slice(logits, 1, warm_up);
    const double by_hand =
        cross_entropy(reshape(kept, {-1, 10}), reshape(slice(batch.target, 1, warm_up), {-1}))
            .item();
    EXPECT_NEAR(by_task, by_hand, 1e-14);
    return by_task;
  };
  EXPECT_NE(loss(0), loss(12));
  expect_throws<ValueError>([&] { loss(16); },
                            {"--warm-up: got 16 steps, wanted fewer than the 16"});
}

}  // namespace
}  // namespace warptape
