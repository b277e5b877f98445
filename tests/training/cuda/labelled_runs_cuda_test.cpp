// Runs on series, texts and music on a GPU: as on the CPU.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/device/gpu_test.h"
#include "tests/temporary_folder.h"
#include "training/run.h"

namespace warptape {
namespace {

struct Trained {
  Evaluation before;
  EpochMetrics after;
};

Trained train_on(const std::string& device, Recipe recipe) {
  const TemporaryFolder folder;
  recipe.device = device;
  TrainingRun run(recipe);
  Trained result;
  result.before = evaluate(run.model(), *run.parts().test, run.parts().loss, run.parts().metric);
  RunFolder at(folder.path("run"), to_json(run.recipe(), run.facts()), run.columns());
  result.after = run.train(at);
  return result;
}

class GpuLabelledRuns : public GpuTest {};

TEST_F(GpuLabelledRuns, AreThoseOfTheCpu) {
  const TemporaryFolder folder;
  const std::string series = folder.write(
      "s", "@classLabel true a b\n@data\n1,2,4:0,1,1:a\n3:2:b\n5,3:1,1:a\n1,0,0,2:0,2,1,1:b\n");
  const std::string text = folder.write("t", "abcdabcaabcdcbaabcdabcdda");
  const std::string music = folder.write("m", "60\n61 62\n\n60\n---\n64\n65\n");
  const auto recipe = [](const std::string& task, const std::string& data, OptionValues options) {
    Recipe made;
    made.model = {"tcn",
                  {{"channels", std::vector<int64_t>{3}},
                   {"kernel_size", std::vector<int64_t>{2}},
                   {"dropout", 0.0}}};
    made.task = {task, std::move(options)};
    made.data = data;
    made.dtype = "float64";
    made.batch_size = 2;
    made.epochs = 1;
    return made;
  };
  for (const Recipe& one :
       {recipe("series", series, {{"test_data", series}, {"pooling", std::string("last")}}),
        recipe("series", series, {{"test_data", series}, {"pooling", std::string("mean")}}),
        recipe("char", text,
               {{"length", int64_t{4}},
                {"warm_up", int64_t{1}},
                {"embedding", int64_t{3}},
                {"embedding_dropout", 0.0},
                {"tied", true},
                {"test_part", 0.3}}),
        recipe("music", music, {{"test_data", music}})}) {
    const Trained cpu_run = train_on("cpu", one);
    const Trained cuda_run = train_on("cuda", one);
    EXPECT_NEAR(cuda_run.before.loss, cpu_run.before.loss, 1e-10) << one.task.name;
    EXPECT_NEAR(cuda_run.before.metric.value(), cpu_run.before.metric.value(), 1e-10);
    EXPECT_NEAR(cuda_run.after.train_loss, cpu_run.after.train_loss, 1e-10) << one.task.name;
    EXPECT_NEAR(cuda_run.after.test->loss, cpu_run.after.test->loss, 1e-8) << one.task.name;
    EXPECT_NE(cpu_run.after.test->loss, cpu_run.before.loss);
  }
}

}  // namespace
}  // namespace warptape
