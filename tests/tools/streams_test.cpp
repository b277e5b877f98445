// What the program does with its standard streams, with terminals and with signals.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

Arguments train_arguments(const TemporaryFolder& folder, const std::string& epochs) {
  return {"train",        "simple_cnn",
          "--data",       folder.path("data"),
          "--out",        folder.path("run"),
          "--epochs",     epochs,
          "--image-size", "8",
          "--threads",    "1",
          "--batch-size", "8"};
}

// The files of a run: rows of numbers, JSON, checkpoints that load.
void expect_whole_run(const TemporaryFolder& folder) {
  const Table steps = parse_table(folder.read("run/steps.csv"));
  EXPECT_EQ(steps.columns,
            (std::vector<std::string>{"step", "loss", "learning_rate", "gradient_norm"}));
  EXPECT_FALSE(steps.rows.empty());
  for (const auto& row : steps.rows) {
    EXPECT_EQ(row.size(), 4U) << testing::PrintToString(row);
  }
  const Table metrics = parse_table(folder.read("run/metrics.csv"));
  ASSERT_FALSE(metrics.rows.empty());
  EXPECT_EQ(metrics.column("step").back(), static_cast<double>(steps.rows.size()));
  EXPECT_TRUE(nlohmann::json::accept(folder.read("run/config.json")));
  for (const char* name : {"run/last.safetensors", "run/best.safetensors"}) {
    EXPECT_EQ(read_weights(folder.path(name)).size(), 10U);
  }
}

TEST(Streams, ThatAreClosedAreNoFilesOfTheRun) {
  const std::vector<std::vector<int>> cases = {{1}, {0, 1, 2}, {0}, {2}};
  for (const std::vector<int>& closed : cases) {
    SCOPED_TRACE(testing::PrintToString(closed));
    const TemporaryFolder folder;
    write_tiny_cifar10(folder);
    EXPECT_EQ(RunningProgram(train_arguments(folder, "1"), "", closed).wait().status, 0);
    expect_whole_run(folder);
  }
}

TEST(Streams, ThatAreClosedGetNoMessage) {
  const TemporaryFolder folder;
  write_state(folder, "c.safetensors", tiny_state());
  save_npy(folder.path("x.npy"), tiny_images(2));
  const Arguments predict = {
      "predict", "simple_cnn",         "--checkpoint", folder.path("c.safetensors"),
      "--input", folder.path("x.npy"), "--output",     folder.path("y.npy")};
  EXPECT_EQ(RunningProgram(predict, "", {0, 1, 2}).wait().status, 0);
  EXPECT_EQ(load_npy(folder.path("y.npy")).shape(), (Shape{2, 10}));
  const Arguments wrong = predict + Arguments{"--threads", "none"};
  EXPECT_EQ(RunningProgram(wrong, "", {0, 1, 2}).wait().status, 2);
}

// Waits until the run has taken so many steps.
bool reaches_step(const TemporaryFolder& folder, size_t step) {
  const std::string path = folder.path("run/steps.csv");
  for (int i = 0; i < 30'000; ++i) {
    if (std::filesystem::exists(path) &&
        parse_table(folder.read("run/steps.csv")).rows.size() >= step) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(Signals, EndARunInOrder) {
  struct Case {
    int signal;
    int status;
  };
  for (const Case& wanted : {Case{SIGTERM, 143}, Case{SIGINT, 130}, Case{SIGHUP, 129}}) {
    SCOPED_TRACE(wanted.signal);
    const TemporaryFolder folder;
    write_tiny_cifar10(folder);
    RunningProgram program(train_arguments(folder, "1000000"));
    ASSERT_TRUE(reaches_step(folder, 3));
    program.send(wanted.signal);
    const CommandResult result = program.wait();
    EXPECT_EQ(result.status, wanted.status) << result.err;
    EXPECT_NE(result.out.find("best: epoch "), std::string::npos) << result.out;
    expect_whole_run(folder);
  }
}

// What /proc says in this field of a thread: a set of signals, as bits.
uint64_t signals_of(const std::filesystem::path& thread, const std::string& field) {
  std::ifstream status(thread / "status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) {
      return std::stoull(line.substr(field.size() + 1), nullptr, 16);
    }
  }
  throw std::runtime_error(thread.string() + "/status has no " + field);
}

// A handler's frame would lie on the stack of whichever thread the signal interrupts, and oneDNN's
// products keep theirs on the heap.
TEST(Signals, InterruptNoThread) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  RunningProgram program(train_arguments(folder, "1000000"));
  ASSERT_TRUE(reaches_step(folder, 3));
  const auto bit = [](int signal) { return uint64_t{1} << (signal - 1); };
  const uint64_t wanted = bit(SIGINT) | bit(SIGTERM) | bit(SIGHUP);
  const auto threads = fmt::format("/proc/{}/task", program.process());
  int count = 0;
  for (const auto& thread : std::filesystem::directory_iterator(threads)) {
    try {
      EXPECT_EQ(signals_of(thread, "SigCgt") & wanted, 0U) << "a handler";
      // The thread that waits for them shows them as not blocked while it does.
      count += (signals_of(thread, "SigBlk") & wanted) == wanted ? 0 : 1;
    } catch (const std::runtime_error&) {
      continue;  // a loader's thread, which has ended
    }
  }
  EXPECT_EQ(count, 1) << "threads that the signals reach";
}

TEST(Signals, EndAtOnceWhatIsNoRun) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    RunningProgram program({"bench", "step", "simple_cnn", "--batch-size", "512"});
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    program.send(signal);
    EXPECT_EQ(program.wait_for_signal(), signal);
  }
}

TEST(Signals, EndAtOnceTheSecondTime) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  RunningProgram program(train_arguments(folder, "1000000"));
  ASSERT_TRUE(reaches_step(folder, 3));
  program.send(SIGSTOP);  // both come before the next step ends
  program.send(SIGINT);
  program.send(SIGTERM);
  program.send(SIGCONT);
  EXPECT_NE(program.wait_for_signal(), 0);
}

class OnTerminal : public testing::Test {
 protected:
  OnTerminal() { write_tiny_cifar10(folder_); }

  // What two epochs write after the lines about data and model.
  std::string progress(unsigned short columns, const Arguments& more = {}) {
    std::filesystem::remove_all(folder_.path("run"));
    const CommandResult result = run_on_terminal(train_arguments(folder_, "2") + more, columns);
    EXPECT_EQ(result.status, 0) << result.err;
    const size_t begin = result.out.find('\n', result.out.find(" parameters, "));
    const size_t end = result.out.find("best: epoch ");
    EXPECT_TRUE(begin != std::string::npos && end != std::string::npos) << result.out;
    return result.out.substr(begin + 1, end - begin - 1);
  }

  static void expect_short_plain_lines(const std::string& text, size_t columns) {
    EXPECT_EQ(text.find_first_of("\r\x1b"), std::string::npos) << text;
    for (const char* part : {"epoch 1/2", "epoch 2/2", "train_loss", "test_accuracy"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      EXPECT_LE(end - begin, columns) << text.substr(begin, end - begin);
      begin = end + 1;
    }
  }

  TemporaryFolder folder_;
  EnvironmentVariable term_{"TERM", "xterm"};
  EnvironmentVariable columns_{"COLUMNS", ""};
  EnvironmentVariable no_color_{"NO_COLOR", ""};
};

TEST_F(OnTerminal, ABarMovesWhereThereIsRoom) {
  const std::string text = progress(100);
  EXPECT_NE(text.find("\r      1/2  ["), std::string::npos) << text;
  EXPECT_NE(text.find("\x1b[K"), std::string::npos) << text;
  EXPECT_NE(text.find("test_accuracy"), std::string::npos) << text;
}

TEST_F(OnTerminal, NarrowOnesGetShortPlainLines) {
  expect_short_plain_lines(progress(40), 40);
  expect_short_plain_lines(progress(30), 30);
  // Columns for validation make the table wider than this.
  expect_short_plain_lines(progress(80, {"--validation", "0.5"}), 80);
  const EnvironmentVariable columns("COLUMNS", "033");
  expect_short_plain_lines(progress(100), 33);
}

TEST_F(OnTerminal, DumbOnesGetShortPlainLines) {
  {
    const EnvironmentVariable term("TERM", "dumb");
    expect_short_plain_lines(progress(100), 100);
  }
  {
    const EnvironmentVariable term("TERM", "");
    expect_short_plain_lines(progress(100), 100);
  }
  const EnvironmentVariable no_color("NO_COLOR", "1");
  expect_short_plain_lines(progress(100), 100);
}

TEST_F(OnTerminal, PipesGetTheTable) {
  const EnvironmentVariable columns("COLUMNS", "20");
  const std::string out = expect_runs(train_arguments(folder_, "1")).out;
  EXPECT_NE(out.find("    epoch  train_loss  test_loss  test_accuracy"), std::string::npos) << out;
  EXPECT_EQ(out.find_first_of("\r\x1b"), std::string::npos) << out;
}

}  // namespace
}  // namespace warptape
