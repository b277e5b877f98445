// The tasks series, char and music: what they make of their files, and runs on them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/primitives.h"
#include "core/random.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/losses/losses.h"
#include "kernels/mean/mean.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "models/embedded_tcn.h"
#include "tests/core/expect_throws.h"
#include "tests/temporary_folder.h"
#include "training/run.h"
#include "training/sequence_checkpoint.h"
#include "training/task_metadata.h"
#include "training/tasks/series.h"

namespace warptape {
namespace {

Recipe small_recipe(const std::string& task, const std::string& data, OptionValues options = {}) {
  Recipe recipe;
  recipe.model = {"tcn",
                  {{"channels", std::vector<int64_t>{4, 3}},
                   {"kernel_size", std::vector<int64_t>{3}},
                   {"dropout", 0.0}}};
  recipe.task = {task, std::move(options)};
  recipe.data = data;
  recipe.dtype = "float64";
  recipe.batch_size = 3;
  recipe.epochs = 1;
  recipe.shuffle = false;
  recipe.seed = 3;
  return recipe;
}

RunFolder folder_of(const TemporaryFolder& folder, TrainingRun& run, const std::string& name) {
  return RunFolder(folder.path(name), to_json(run.recipe(), run.facts()), run.columns());
}

Batch first_batch(Loader& loader) {
  loader.start(0);
  return loader.next_batch().value();
}

const std::string train_series =
    "@problemName Tiny\n@classLabel true up down flat\n@data\n"
    "1,2,3,5:0,0,1,1:up\n5,3:1,0:down\n4:1:flat\n2,4,8:1,1,0:up\n9,7,4,2,1:0,1,0,1,0:down\n";
const std::string test_series =
    "@classLabel true down "
    "up\n@data\n3,2,1:0,1,1:down\n1,2:0,0:up\n0,1,2,4,5,6,7:0,0,0,0,0,1,0:up\n";

struct SeriesFiles {
  TemporaryFolder folder;
  std::string train = folder.write("Tiny_TRAIN.ts", train_series);
  std::string test = folder.write("Tiny_TEST.ts", test_series);
};

// The answer for each series is the one that it has alone, without padding.
TEST(SeriesTask, AnswersAsForEachSeriesAlone) {
  const SeriesFiles files;
  for (const std::string pooling : {"last", "mean"}) {
    TrainingRun run(small_recipe("series", files.train, {{"pooling", pooling}}));
    EXPECT_EQ(run.parts().train->size(), 5);
    EXPECT_EQ(run.parts().test->size(), 3);
    EXPECT_EQ(run.parts().rows, "series");
    EXPECT_EQ(run.parts().data_kind, "Tiny");
    const NamedTensors told{.tensors = {}, .metadata = run.parts().checkpoint_metadata};
    const SeriesMetadata metadata = series_metadata(told, "path").value();
    EXPECT_EQ(metadata.classes, (std::vector<std::string>{"up", "down", "flat"}));
    EXPECT_EQ(metadata.pooling, pooling);
    const TsFile test = load_ts(files.test);
    const std::vector<int64_t> labels = labels_of(test, files.test, metadata.classes);
    EXPECT_EQ(labels, (std::vector<int64_t>{1, 0, 0})) << "by their names";
    const Batch batch = first_batch(*run.parts().test);
    ASSERT_EQ(batch.input.shape(), Shape({3, 2, 7}));
    run.model().eval();
    const Tensor together = run.model()(batch.input);
    double loss = 0;
    double right = 0;
    std::vector<double> answers;
    for (size_t i = 0; i < 3; ++i) {
      const LabelledSeries& series = test.series[i];
      Tensor x = Tensor::empty({1, 2, series.length}, float64);
      for (int64_t c = 0; c < 2; ++c) {
        for (int64_t t = 0; t < series.length; ++t) {
          x.mutable_data<double>()[c * series.length + t] =
              (series.values[static_cast<size_t>(c * series.length + t)] - metadata.mean[c]) /
              metadata.std[c];
        }
      }
      const Tensor steps = run.model()(x);
      const Tensor answer =
          pooling == "mean" ? mean(steps, {1}) : reshape(slice(steps, 1, -1), {1, 3});
      loss += cross_entropy(answer, tensor<int64_t>({labels[i]}, {1})).item() / 3;
      const std::vector<double> values = answer.to_vector<double>();
      answers.insert(answers.end(), values.begin(), values.end());
      right += std::max_element(values.begin(), values.end()) - values.begin() == labels[i] ? 1 : 0;
    }
    EXPECT_NEAR(run.parts().loss(together, batch.target).item(), loss, 1e-13) << pooling;
    const std::vector<double> got = pooled(together, test, metadata).to_vector<double>();
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_NEAR(got[i], answers[i], 1e-13) << pooling << " " << i;
    }
    const Evaluation evaluation =
        evaluate(run.model(), *run.parts().test, run.parts().loss, run.parts().metric);
    EXPECT_NEAR(evaluation.loss, loss, 1e-13);
    EXPECT_EQ(evaluation.metric, right / 3) << pooling;
  }
}

TEST(SeriesTask, NormalisesByTheTrainingPartOrEachSeries) {
  const SeriesFiles files;
  const auto input = [&](const std::string& by) {
    Recipe recipe = small_recipe("series", files.train, {{"normalise", by}});
    recipe.batch_size = 5;
    return first_batch(*TrainingRun(recipe).parts().train).input.to_vector<double>();
  };
  const std::vector<double> plain = input("none");
  EXPECT_EQ(std::vector<double>(plain.begin(), plain.begin() + 10),
            (std::vector<double>{1, 2, 3, 5, 0, 0, 0, 1, 1, 0}));
  const std::vector<double> by_channel = input("channel");
  const std::vector<double> by_series = input("series");
  const std::vector<size_t> lengths{4, 2, 1, 3, 5};
  double sum = 0;
  double squares = 0;
  for (size_t i = 0; i < 5; ++i) {
    double own = 0;
    double own_squares = 0;
    for (size_t t = 0; t < 5; ++t) {
      const size_t at = i * 10 + t;
      if (t >= lengths[i]) {
        EXPECT_EQ(by_channel[at], 0) << "padding";
      }
      sum += by_channel[at];
      squares += by_channel[at] * by_channel[at];
      own += by_series[at];
      own_squares += by_series[at] * by_series[at];
    }
    EXPECT_NEAR(own, 0, 1e-12);
    EXPECT_NEAR(own_squares, i == 2 ? 0 : static_cast<double>(lengths[i]), 1e-12)
        << "a constant one is 0";
  }
  EXPECT_NEAR(sum, 0, 1e-12);
  EXPECT_NEAR(squares, 15, 1e-12);
}

TEST(SeriesTask, RefusesWhatDoesNotFit) {
  const SeriesFiles files;
  const auto refuse = [&](const std::string& test, const std::vector<std::string>& parts) {
    const std::string path = files.folder.write("other.ts", test);
    expect_throws<ValueError>(
        [&] {
          TrainingRun{small_recipe("series", files.train, {{"test_data", path}})};
        },
        parts);
  };
  refuse("@classLabel true up down\n@data\n1,2:up\n",
         {"other.ts: got series of 1 channels, wanted 2"});
  const std::string unknown =
      files.folder.write("other.ts", "@classLabel true up left\n@data\n1:2:left\n");
  expect_throws<FileError>(
      [&] {
        TrainingRun{small_recipe("series", files.train, {{"test_data", unknown}})};
      },
      {"other.ts: got the class \"left\"", "none of the 3"});
  const std::string alone = files.folder.write("alone.ts", train_series);
  expect_throws<ValueError>([&] { TrainingRun{small_recipe("series", alone)}; },
                            {"--test-data: not given", "alone.ts"});
  Recipe centred = small_recipe("series", files.train);
  centred.model.options["centred"] = true;
  expect_throws<ValueError>([&] { TrainingRun{centred}; }, {"series of 1 to 7 steps", "causal"});
  // Behind series of one length there is nothing to see.
  const std::string equal = "@classLabel true a b\n@data\n1,2:a\n3,1:b\n";
  centred.data = files.folder.write("equal_TRAIN.ts", equal);
  files.folder.write("equal_TEST.ts", equal);
  EXPECT_EQ(TrainingRun(centred).parts().train->size(), 2);
}

// Metadata of files are not to be trusted.
TEST(SeriesTask, RefusesMetadataThatAreNone) {
  const auto read = [](const std::string& text) {
    const NamedTensors file{.tensors = {}, .metadata = {{task_metadata_key, text}}};
    return series_metadata(file, "some.safetensors");
  };
  const SeriesMetadata good{.classes = {"a\x1b", "b"}, .mean = {0.5}, .std = {2}};
  EXPECT_EQ(read(to_json(good))->classes, good.classes);
  EXPECT_FALSE(read(to_json(CharMetadata{{'a'}})).has_value());
  EXPECT_FALSE(series_metadata({}, "x").has_value());
  for (
      const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
          {"{", "a JSON object with a name"},
          {R"({"name":"series","classes":[1]})", "classes"},
          {R"({"name":"series"})", "classes"},
          {R"({"name":"series","classes":["a"],"pooling":"first","normalise":"none","missing":"refuse","mean":[],"std":[]})",
           "pooling: got first, wanted last or mean"},
          {R"({"name":"series","classes":["a"],"pooling":"last","normalise":"channel","missing":"refuse","mean":[1],"std":[0]})",
           "std above 0"}}) {
    expect_throws<FileError>([&, bad = text] { read(bad); }, {"some.safetensors: ", part});
  }
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
