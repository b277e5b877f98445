// warptape study.

#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

Arguments small_study(const TemporaryFolder& folder, const Arguments& more = {},
                      const std::string& epochs = "1") {
  return Arguments{"study",
                   "weight-norm",
                   folder.path("out"),
                   "--model",
                   "tcn",
                   "--methods",
                   "weight_norm",
                   "--optimizers",
                   "adam",
                   "--learning-rates",
                   "0.001,0.01",
                   "--seeds",
                   "2",
                   "--epochs",
                   epochs,
                   "--device",
                   "cpu"} +
         more;
}

TEST(StudyCommand, WritesPlanTableAndPageAndGoesOn) {
  const TemporaryFolder folder;
  const std::string out = expect_runs(small_study(folder, {"--jobs", "2"})).out;
  for (const char* part :
       {"tcn-adding plain adam 0.001 seed 0", "tcn-adding weight_norm adam 0.01 seed 1", "(8 of 8)",
        "stability", "speed", "accuracy"}) {
    EXPECT_NE(out.find(part), std::string::npos) << part << "\n" << out;
  }
  EXPECT_EQ(names_in(folder.path("out")),
            (std::vector<std::string>{"index.html", "plan.json", "results.csv"}));
  const std::string table = folder.read("out/results.csv");
  EXPECT_EQ(parse_table(table).rows.size(), 8U * 2U);
  const std::string again = expect_runs(small_study(folder)).out;
  EXPECT_NE(again.find("8 of 8 runs are there already"), std::string::npos) << again;
  EXPECT_EQ(folder.read("out/results.csv"), table);
  expect_fails(small_study(folder, {"--task", "copy-memory"}), {"another plan: recipes differ"});
}

TEST(StudyCommand, ASignalEndsItInOrder) {
  const TemporaryFolder folder;
  RunningProgram program(small_study(folder, {"--jobs", "2"}, "100000"));
  while (!std::filesystem::exists(folder.path("out/plan.json"))) {
    usleep(1000);
  }
  program.send(SIGINT);
  const CommandResult result = program.wait();
  EXPECT_EQ(result.status, 128 + SIGINT);
  EXPECT_NE(result.err.find("stopped after 0 of 8 runs"), std::string::npos) << result.err;
}

TEST(StudyCommand, SaysWhatIsWrongWithItsOptions) {
  const TemporaryFolder folder;
  expect_usage_error({"study"}, {"subcommand"});
  expect_usage_error(small_study(folder, {"--methods", "layer_norm"}), {"--methods", "layer_norm"});
  expect_usage_error(small_study(folder, {"--jobs", "0"}), {"--jobs"});
  expect_fails(small_study(folder, {"--task", "series"}),
               {"[study] task: got \"series\", wanted one of"});
}

}  // namespace
}  // namespace warptape
