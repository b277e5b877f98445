// Tasks of sequences: what they make, and runs of models on them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/primitives.h"
#include "core/random.h"
#include "kernels/reshape/reshape.h"
#include "models/tcn.h"
#include "tests/core/expect_throws.h"
#include "tests/temporary_folder.h"
#include "tests/training/bad_files.h"
#include "training/image_data.h"
#include "training/run.h"
#include "training/sequence_checkpoint.h"
#include "training/task_input.h"

namespace warptape {
namespace {

Recipe small_recipe(const std::string& task, OptionValues options = {}) {
  Recipe recipe;
  recipe.model = {"tcn",
                  {{"channels", std::vector<int64_t>{4, 3}},
                   {"kernel_size", std::vector<int64_t>{3}},
                   {"dropout", 0.3}}};
  recipe.task = {task, std::move(options)};
  recipe.dtype = "float64";
  recipe.batch_size = 4;
  recipe.epochs = 2;
  recipe.seed = 3;
  return recipe;
}

// All rows of a loader, in its order.
Batch whole(Loader& loader) {
  loader.start(0);
  std::vector<double> input;
  std::vector<double> target;
  Shape input_shape;
  Shape target_shape;
  while (const auto batch = loader.next_batch()) {
    const auto values = batch->input.to(cpu).to_vector<double>();
    input.insert(input.end(), values.begin(), values.end());
    const auto wanted = primitives::cast(batch->target.to(cpu), float64).to_vector<double>();
    target.insert(target.end(), wanted.begin(), wanted.end());
    input_shape = batch->input.shape();
    target_shape = batch->target.shape();
  }
  input_shape[0] = target_shape[0] = loader.size();
  return {tensor<double>(input, input_shape), tensor<double>(target, target_shape)};
}

TEST(SequenceTasks, AddingIsTheSumOfTwoMarkedNumbers) {
  TrainingRun run(
      small_recipe("adding", {{"length", 2}, {"train_sequences", 40}, {"test_sequences", 7}}));
  EXPECT_EQ(run.facts().train_rows, 40);
  EXPECT_EQ(run.facts().test_rows, 7);
  TrainingRun longer(
      small_recipe("adding", {{"length", 9}, {"train_sequences", 200}, {"test_sequences", 150}}));
  std::set<double> numbers;
  std::vector<int> marked(9);
  for (const Batch& batch :
       {whole(*run.parts().train), whole(*longer.parts().train), whole(*longer.parts().test)}) {
    const int64_t length = batch.input.size(2);
    const auto x = batch.input.to_vector<double>();
    const auto sums = batch.target.to_vector<double>();
    ASSERT_EQ(batch.target.shape(), Shape({batch.rows(), 1}));
    for (int64_t i = 0; i < batch.rows(); ++i) {
      double marks = 0;
      double sum = 0;
      for (int64_t t = 0; t < length; ++t) {
        const double number = x[static_cast<size_t>(2 * i * length + t)];
        const double mark = x[static_cast<size_t>((2 * i + 1) * length + t)];
        EXPECT_TRUE(number >= 0 && number < 1);
        EXPECT_TRUE(mark == 0 || mark == 1) << mark;
        marks += mark;
        sum += mark * number;
        marked[static_cast<size_t>(t)] += static_cast<int>(mark);
        numbers.insert(number);
      }
      EXPECT_EQ(marks, 2);
      EXPECT_EQ(sums[static_cast<size_t>(i)], sum);
    }
  }
  EXPECT_GT(numbers.size(), 3000U) << "training and test have numbers of their own";
  EXPECT_GT(*std::min_element(marked.begin(), marked.end()), 40) << "marks lie everywhere";
}

TEST(SequenceTasks, CopyMemoryHasTheDigitsAtTheEnd) {
  TrainingRun run(
      small_recipe("copy-memory", {{"length", 5}, {"train_sequences", 30}, {"test_sequences", 2}}));
  const Batch batch = whole(*run.parts().train);
  ASSERT_EQ(batch.input.shape(), Shape({30, 1, 25}));
  ASSERT_EQ(batch.target.shape(), Shape({30, 25}));
  const auto x = batch.input.to_vector<double>();
  const auto y = batch.target.to_vector<double>();
  std::set<double> seen;
  for (size_t i = 0; i < 30; ++i) {
    const double* row = x.data() + 25 * i;
    const double* wanted = y.data() + 25 * i;
    for (size_t t = 0; t < 25; ++t) {
      const double in = t < 10 ? row[t] : t < 14 ? 0 : 9;
      EXPECT_EQ(row[t], in) << t;
      EXPECT_EQ(wanted[t], t < 15 ? 0 : row[t - 15]) << t;
    }
    seen.insert(row, row + 10);
  }
  EXPECT_EQ(seen, (std::set<double>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_NE(run.parts().data_shape.find("loss 0.8318"), std::string::npos)  // 10 ln 8 / 25
      << run.parts().data_shape;
}

TEST(SequenceTasks, PixelsComeLineByLineOrPermuted) {
  const auto recipe = [](int64_t permute) {
    Recipe r = small_recipe("sequence", {{"permute", permute}});
    r.data = WARPTAPE_SOURCE_DIR "/data/digits";
    return r;
  };
  TrainingRun plain(recipe(0));
  TrainingRun permuted(recipe(5));
  TrainingRun other(recipe(6));
  const Batch a = whole(*plain.parts().test);
  ASSERT_EQ(a.input.shape(), Shape({360, 1, 64}));
  const auto x = a.input.to_vector<double>();
  const auto p = whole(*permuted.parts().test).input.to_vector<double>();
  EXPECT_NE(p, whole(*other.parts().test).input.to_vector<double>());
  EXPECT_EQ(p, whole(*TrainingRun(recipe(5)).parts().test).input.to_vector<double>());
  // What a checkpoint says makes the same of the pixels as the files have them.
  const Tensor pixels = reshape(
      primitives::cast(load_image_data(WARPTAPE_SOURCE_DIR "/data/digits").test.images, float64),
      {360, 1, 64});
  const auto input_of = [&](const TrainingRun& run) {
    const NamedTensors said{.tensors = {}, .metadata = run.parts().checkpoint_metadata};
    return model_input(pixels, task_input(said, "said"), float64).to_vector<double>();
  };
  EXPECT_EQ(input_of(plain), x);
  EXPECT_EQ(input_of(permuted), p);
  // Where the pixels of the first images went, all others go.
  std::vector<size_t> from;
  for (size_t t = 0; t < 64; ++t) {
    for (size_t s = 0; s < 64; ++s) {
      bool is_same = true;
      for (size_t i = 0; is_same && i < 360; ++i) {
        is_same = p[64 * i + t] == x[64 * i + s];
      }
      if (is_same) {
        from.push_back(s);
        break;
      }
    }
  }
  EXPECT_EQ(from.size(), 64U);
  EXPECT_FALSE(std::is_sorted(from.begin(), from.end()));
  const auto all = whole(*plain.parts().train).input.to_vector<double>();
  double sum = 0;
  double squares = 0;
  for (const double value : all) {
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / static_cast<double>(all.size()), 0, 1e-9);
  EXPECT_NEAR(squares / static_cast<double>(all.size()), 1, 1e-9);
}

std::vector<double> weights_of(Module& model) {
  std::vector<double> values;
  for (const auto& [key, value] : state_dict(model)) {
    const auto one = value.to_vector<double>();
    values.insert(values.end(), one.begin(), one.end());
  }
  return values;
}

// With dropout: what a run draws after it went on is what it would have drawn.
TEST(SequenceRuns, GoOnWithTheSameRandomNumbers) {
  const TemporaryFolder folder;
  Recipe recipe =
      small_recipe("adding", {{"length", 6}, {"train_sequences", 20}, {"test_sequences", 4}});
  recipe.ema_decay = 0.9;
  const auto folder_of = [&](TrainingRun& run, const char* name) {
    return RunFolder(folder.path(name), to_json(run.recipe(), run.facts()), run.columns());
  };
  TrainingRun unbroken(recipe);
  RunFolder first = folder_of(unbroken, "whole");
  unbroken.train(first);
  int steps = 0;
  TrainingCallbacks stopping;
  stopping.should_stop = [&] { return ++steps == 3; };
  TrainingRun stopped(recipe);
  RunFolder second = folder_of(stopped, "stopped");
  stopped.train(second, stopping);
  EXPECT_FALSE(stopped.is_complete());
  manual_seed(99);  // of another process
  TrainingRun resumed(recipe);
  const RunState state = load_run_state(folder.path("stopped/checkpoint.safetensors"));
  resumed.restore(state);
  RunFolder third = folder_of(resumed, "resumed");
  resumed.train(third);
  EXPECT_EQ(weights_of(resumed.model()), weights_of(unbroken.model()));
  EXPECT_EQ(folder.read("resumed/last.safetensors"), folder.read("whole/last.safetensors"));
  Recipe deeper = recipe;
  deeper.model.options["dilation_base"] = int64_t{3};
  TrainingRun another(deeper);
  expect_throws<ValueError>([&] { another.restore(state); }, {"dilation_base differ"});
}

// last.safetensors has the averages, checkpoint.safetensors the parameters too.
TEST(SequenceRuns, KeepTheAveragesOfTheParameters) {
  const TemporaryFolder folder;
  Recipe recipe =
      small_recipe("adding", {{"length", 6}, {"train_sequences", 20}, {"test_sequences", 4}});
  recipe.ema_decay = 0.9;
  TrainingRun run(recipe);
  RunFolder at(folder.path("run"), to_json(run.recipe(), run.facts()), run.columns());
  EpochMetrics last;
  run.train(at, {.on_epoch = [&](const EpochMetrics& epoch) { last = epoch; }});
  const RunState state = load_run_state(folder.path("run/checkpoint.safetensors"));
  std::map<std::string, std::vector<double>> averages;
  for (const auto& [key, tensor] : state.average) {
    if (key != "n_averaged") {
      averages.emplace(key.substr(std::string("module.").size()), tensor.to_vector<double>());
    }
  }
  const NamedTensors kept = load_safetensors(folder.path("run/last.safetensors"));
  ASSERT_EQ(kept.tensors.size(), averages.size());
  for (const auto& [key, tensor] : kept.tensors) {
    EXPECT_EQ(tensor.to_vector<double>(), averages.at(key)) << key;
  }
  ASSERT_EQ(state.model.size(), averages.size());
  for (const auto& [key, tensor] : state.model) {
    EXPECT_NE(tensor.to_vector<double>(), averages.at(key)) << key;
  }
  load_state_dict(run.model(), kept.tensors);
  EXPECT_EQ(evaluate(run.model(), *run.parts().test, run.parts().loss).loss, last.test->loss);
  RunState without = state;
  without.average.clear();
  TrainingRun resumed(recipe);
  resumed.restore(state);
  expect_throws<ValueError>([&] { resumed.restore(without); },
                            {"[train] the checkpoint", "average"});
}

TEST(SequenceRuns, WarnOfAShortReceptiveField) {
  const auto warnings = [](int64_t length) {
    return TrainingRun(
               small_recipe("adding",
                            {{"length", length}, {"train_sequences", 1}, {"test_sequences", 1}}))
        .parts()
        .warnings;
  };
  EXPECT_TRUE(warnings(13).empty());  // 1 + 2 (3 - 1) (1 + 2)
  ASSERT_EQ(warnings(14).size(), 1U);
  EXPECT_NE(warnings(14)[0].find("13 elements"), std::string::npos);
  EXPECT_NE(warnings(14)[0].find("have 14"), std::string::npos);
}

TEST(SequenceRuns, CheckpointsTellWhatShapesDoNot) {
  const TemporaryFolder folder;
  Recipe recipe =
      small_recipe("copy-memory", {{"length", 3}, {"train_sequences", 8}, {"test_sequences", 2}});
  recipe.epochs = 1;
  recipe.model.options["dilations"] = std::vector<int64_t>{5, 1};
  recipe.model.options["activation"] = std::string("tanh");
  recipe.model.options["block"] = std::string("darts");
  TrainingRun run(recipe);
  RunFolder at(folder.path("run"), to_json(run.recipe(), run.facts()), run.columns());
  run.train(at);
  const std::string path = folder.path("run/last.safetensors");
  const NamedTensors checkpoint = load_safetensors(path);
  const ToldSequenceModel told = told_by(checkpoint, path, "tcn");
  EXPECT_EQ(told.own, sequence_models().complete(run.recipe().model));
  EXPECT_TRUE(told.general.every_step);
  EXPECT_EQ(told.general.output_size, 10);
  EXPECT_EQ(told.general.dtype, float64);

  // Without metadata the shapes are left: dilations are powers of 2, then.
  const ToldSequenceModel bare =
      told_by({.tensors = checkpoint.tensors, .metadata = {}}, path, "tcn");
  EXPECT_EQ(bare.own.at("dilations"), OptionValue(std::vector<int64_t>{}));
  EXPECT_EQ(bare.own.at("channels"), OptionValue(std::vector<int64_t>{4, 3}));
  EXPECT_EQ(bare.own.at("kernel_size"), OptionValue(std::vector<int64_t>{3}));
  EXPECT_EQ(bare.own.at("block"), OptionValue(std::string("darts")));
  EXPECT_FALSE(bare.general.every_step);

  // A run that begins with it: as it was, but for what is given.
  Recipe again = recipe;
  again.init = path;
  again.model.options = {{"dropout", 0.0}};
  TrainingRun begun(again);
  EXPECT_EQ(weights_of(begun.model()), weights_of(run.model()));
  const OptionValues options = begun.recipe().model.options;
  EXPECT_EQ(options.at("dropout"), OptionValue(0.0));
  EXPECT_EQ(options.at("dilations"), OptionValue(std::vector<int64_t>{5, 1}));
  EXPECT_EQ(options.at("activation"), OptionValue(std::string("tanh")));
  again.task = {"adding", {{"length", 3}, {"train_sequences", 2}, {"test_sequences", 1}}};
  expect_throws<ValueError>([&] { TrainingRun{again}; }, {"takes 1 input channels", "have 2"});

  // Metadata of files are not to be trusted.
  for (const auto& [text, part] : std::vector<std::pair<std::string, const char*>>{
           {"{", "JSON object"},
           {R"({"model":"tcn"})", "not there"},
           {R"({"model":"\u001b"})", "wanted mlp, simple_cnn or tcn"}}) {
    expect_throws<FileError>(
        [&, bad = text] {
          told_by({.tensors = checkpoint.tensors, .metadata = {{"sequence_model", bad}}}, path,
                  "tcn");
        },
        {"last.safetensors", part});
  }
}

TEST(SequenceRuns, RefuseTasksThatDoNotFit) {
  Recipe images;
  images.model = "tcn";
  expect_throws<ValueError>([&] { TrainingRun{images}; },
                            {"[recipe] task", "images for tcn", "adding, copy-memory, sequence, "});
  Recipe cnn = small_recipe("adding");
  cnn.model = "simple_cnn";
  expect_throws<ValueError>([&] { TrainingRun{cnn}; }, {"adding for simple_cnn, wanted images"});
  Recipe none = small_recipe("adding", {{"length", 1}});
  expect_throws<ValueError>([&] { TrainingRun{none}; }, {"length: got 1", "2 to 2^24"});
  Recipe lists = small_recipe("adding");
  lists.model.options["dilations"] = std::vector<int64_t>{1, 2, 4};
  expect_throws<ValueError>([&] { TrainingRun{lists}; }, {"dilations", "2 blocks"});
}

}  // namespace
}  // namespace warptape
