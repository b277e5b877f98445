// Labelled series as a task.

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/mean/mean.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "tests/core/expect_throws.h"
#include "tests/temporary_folder.h"
#include "tests/training/labelled_runs.h"
#include "training/sequence_checkpoint.h"
#include "training/task_metadata.h"
#include "training/tasks/series.h"

namespace warptape {
namespace {

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

}  // namespace
}  // namespace warptape
