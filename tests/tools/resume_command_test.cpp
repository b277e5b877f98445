// `warptape train --resume`: runs that were stopped, killed, or met a full disk.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/device/device.h"
#include "tests/kernels/case_run.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

using Clock = std::chrono::steady_clock;

// A run in the folder `name`, with shuffling, a schedule, clipping and a validation part.
Arguments run_arguments(const TemporaryFolder& folder, const std::string& model,
                        const std::string& name, const Arguments& more) {
  return Arguments{"train",        model,
                   "--data",       folder.path("data"),
                   "--out",        folder.path(name),
                   "--image-size", "8",
                   "--threads",    "1",
                   "--batch-size", "5",
                   "--validation", "0.2",
                   "--schedule",   "cosine",
                   "--clip-norm",  "1"} +
         more;
}

Arguments resume_arguments(const TemporaryFolder& folder, const std::string& name) {
  return {"train", "--resume", folder.path(name)};
}

// Rows but for the columns that tell times.
std::vector<std::vector<std::string>> rows_without_times(const Table& table) {
  std::vector<std::vector<std::string>> rows = table.rows;
  for (auto& row : rows) {
    for (size_t i = table.columns.size(); i-- > 0;) {
      if (table.columns[i] == "seconds" || table.columns[i] == "images_per_second") {
        row.erase(row.begin() + static_cast<int64_t>(i));
      }
    }
  }
  return rows;
}

void expect_same_run(const TemporaryFolder& folder, const std::string& got,
                     const std::string& wanted) {
  for (const char* name : {"/last.safetensors", "/best.safetensors", "/steps.csv"}) {
    EXPECT_TRUE(folder.read(got + name) == folder.read(wanted + name)) << got << name;
  }
  EXPECT_EQ(rows_without_times(parse_table(folder.read(got + "/metrics.csv"))),
            rows_without_times(parse_table(folder.read(wanted + "/metrics.csv"))));
  EXPECT_EQ(read_weights(folder.path(got + "/checkpoint.safetensors")),
            read_weights(folder.path(wanted + "/checkpoint.safetensors")));
  EXPECT_EQ(names_in(folder.path(got)), names_in(folder.path(wanted))) << "something is left over";
}

int64_t steps_of(const TemporaryFolder& folder, const std::string& run) {
  return static_cast<int64_t>(parse_table(folder.read(run + "/steps.csv")).rows.size());
}

// Kills runs of this model so often, at random, and resumes them each time: by SIGTERM now and
// then, else by SIGKILL.
void expect_survives_kills(const std::string& model, const Arguments& more, int kills,
                           unsigned seed) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  const auto start = Clock::now();
  expect_runs(run_arguments(folder, model, "whole", more));
  const auto whole = Clock::now() - start;
  std::mt19937 random(seed);
  int killed = 0;
  int misses = 0;
  for (int run = 0; killed < kills; ++run) {
    const std::string name = "killed" + std::to_string(run);
    int status = -1;
    while (status != 0) {
      // Killed before its recipe was written, it has to begin again.
      const bool has_begun = std::filesystem::exists(folder.path(name + "/config.json"));
      if (!has_begun) {
        std::filesystem::remove_all(folder.path(name));
      }
      RunningProgram program(has_begun ? resume_arguments(folder, name)
                                       : run_arguments(folder, model, name, more));
      if (killed < kills) {  // the last run may go on to its end
        std::this_thread::sleep_for(whole * (random() % 1000) / 1000);
        program.send(random() % 4 == 0 ? SIGTERM : SIGKILL);
        ++killed;
      }
      status = program.wait_for_status();
      // While clients of a real driver are killed, one that starts may not find the GPU.
      if (status == 1 && misses < 10 &&
          program.errors().find("finds no GPU") != std::string::npos) {
        ++misses;
        continue;
      }
      ASSERT_TRUE(status == 0 || status == 128 + SIGTERM || status == 128 + SIGKILL)
          << "status " << status << ": " << program.errors();
    }
    expect_same_run(folder, name, "whole");
  }
}

// Each costs a start of the program and half a run. When they strike differs from run to run of
// this test, so that what few do not meet one day others do.
int kills() {
  return is_sanitized() ? 5 : 20;
}

TEST(ResumeKills, OnTheCpu) {
  expect_survives_kills("simple_cnn", {"--epochs", "25", "--checkpoint-every", "7"}, kills(), 1);
}

TEST(ResumeKills, InBFloat16) {
  expect_survives_kills("simple_cnn",
                        {"--epochs", "12", "--checkpoint-every", "3", "--precision", "bf16"},
                        kills() / 3, 3);
}

TEST(ResumeKillsOnCuda, OrItsEmulation) {
  if (!is_available(DeviceType::CUDA)) {
    GTEST_SKIP() << "there is no device cuda";
  }
  expect_survives_kills("mlp",
                        {"--epochs", "12", "--checkpoint-every", "2", "--device", "cuda",
                         "--optimizer", "sgd", "--momentum", "0.9"},
                        kills(), 2);
  expect_survives_kills(
      "mlp",
      {"--epochs", "6", "--checkpoint-every", "3", "--device", "cuda", "--precision", "bf16"},
      kills() / 4, 4);
}

// So many steps, and then SIGTERM.
CommandResult stop_after(RunningProgram& program, const TemporaryFolder& folder,
                         const std::string& run, int64_t steps) {
  const auto end = Clock::now() + std::chrono::seconds(50);
  while (Clock::now() < end) {
    if (std::filesystem::exists(folder.path(run + "/steps.csv")) &&
        steps_of(folder, run) >= steps) {
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  program.send(SIGTERM);
  return program.wait();
}

TEST(ResumeCommand, GoesOnAfterSigtermAndFromAnywhere) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  const Arguments many = {"--epochs",       "400", "--optimizer", "adamw",
                          "--weight-decay", "0.1", "--ema-decay", "0.9"};
  expect_runs(run_arguments(folder, "mlp", "whole", many));
  {
    RunningProgram program(run_arguments(folder, "mlp", "run", many));
    const CommandResult stopped = stop_after(program, folder, "run", 20);
    ASSERT_EQ(stopped.status, 143) << stopped.err;
    EXPECT_NE(stopped.out.find("to go on: warptape train --resume " + folder.path("run")),
              std::string::npos)
        << stopped.out;
  }
  const int64_t stopped_at = steps_of(folder, "run");
  EXPECT_LT(stopped_at, steps_of(folder, "whole"));
  {
    RunningProgram program(resume_arguments(folder, "run"));
    const CommandResult stopped = stop_after(program, folder, "run", stopped_at + 20);
    ASSERT_EQ(stopped.status, 143) << stopped.err;
    EXPECT_NE(stopped.out.find("going on after step " + std::to_string(stopped_at)),
              std::string::npos)
        << stopped.out;
  }
  // Its data were given relative to another folder than this one.
  std::filesystem::create_directory(folder.path("elsewhere"));
  expect_runs({"train", "--resume", "../run"}, folder.path("elsewhere"));
  expect_same_run(folder, "run", "whole");
  // What is complete stays as it is.
  const std::string metrics = folder.read("run/metrics.csv");
  const CommandResult again = expect_runs(resume_arguments(folder, "run"));
  EXPECT_NE(again.out.find("the run is complete: "), std::string::npos) << again.out;
  EXPECT_EQ(folder.read("run/metrics.csv"), metrics);
}

TEST(ResumeCommand, GoesOnAfterAFullDisk) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  const Arguments every_two = {"--checkpoint-every", "2"};
  expect_runs(run_arguments(folder, "mlp", "whole", every_two));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto size = [&](const char* name) {
    return std::filesystem::file_size(folder.path(std::string("whole/") + name));
  };
  const auto checkpoint = size("checkpoint.safetensors");
  ASSERT_LT(size("last.safetensors"), checkpoint);
  // No room for a checkpoint; for one, but not for its last bytes; for no further rows.
  constexpr rlim_t no_rows = 0;
  for (const rlim_t room : {rlim_t{checkpoint / 2}, rlim_t{checkpoint - 1}, no_rows}) {
    SCOPED_TRACE(room);
    const std::string name = "run" + std::to_string(room);
    {
      RunningProgram program(
          run_arguments(folder, "mlp", name, every_two + Arguments{"--epochs", "500"}));
      EXPECT_EQ(stop_after(program, folder, name, 60).status, 143);
    }
    const std::string saved = folder.read(name + "/checkpoint.safetensors");
    ASSERT_FALSE(saved.empty());
    rlimit low = before;
    low.rlim_cur = room == no_rows ? folder.read(name + "/steps.csv").size() + 10 : room;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const CommandResult full = run_program(resume_arguments(folder, name));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(full.status, 1);
    EXPECT_NE(full.err.find("File too large"), std::string::npos) << full.err;
    EXPECT_TRUE(folder.read(name + "/checkpoint.safetensors") == saved);
    for (const std::string& file : names_in(folder.path(name))) {
      EXPECT_FALSE(file.ends_with(".tmp")) << file;
    }
    RunningProgram program(resume_arguments(folder, name));
    EXPECT_EQ(stop_after(program, folder, name, steps_of(folder, name) + 5).status, 143);
    EXPECT_GE(steps_of(folder, name), 65);
  }
}

TEST(ResumeCommand, RefusesWhatCannotGoOn) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  const auto fails = [&](const std::vector<std::string>& parts) {
    expect_fails(resume_arguments(folder, "run"), parts);
  };
  fails({folder.path("run/config.json"), "No such file"});
  expect_runs(run_arguments(folder, "mlp", "run", {"--epochs", "2"}));
  const std::string config = folder.read("run/config.json");
  const auto with = [&](const std::string& key, const nlohmann::json& value) {
    auto json = nlohmann::ordered_json::parse(config);
    json[key] = value;
    folder.write("run/config.json", json.dump());
  };
  with("lr", 0.5);
  fails({"checkpoint.safetensors: [train] the checkpoint is of another recipe: lr differ"});
  with("epochs", "many");
  fails({"[recipe] ", "config.json: epochs: got \"many\", wanted a whole number"});
  with("model", "n\x1b");
  fails({"model: got \"n\\u001b\", wanted mlp, simple_cnn or tcn"});
  folder.write("run/config.json", "{");
  fails({"config.json: got {, wanted the JSON object"});
  folder.write("run/config.json", config);
  folder.write("run/checkpoint.safetensors", folder.read("run/last.safetensors"));
  fails({"checkpoint.safetensors: metadata warptape_run: not there"});
  for (const Arguments& more :
       {Arguments{"mlp"}, {"--epochs", "3"}, {"--out", "x"}, {"--device", "cpu"}}) {
    expect_usage_error(resume_arguments(folder, "run") + more, {"excludes"});
  }
  expect_usage_error({"train"}, {"model is required"});
}

TEST(ResumeCommand, IsRefusedWhileAnotherProcessTrains) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  RunningProgram program(
      run_arguments(folder, "mlp", "run", {"--epochs", "100000", "--checkpoint-every", "1"}));
  const auto end = Clock::now() + std::chrono::seconds(50);
  while (!std::filesystem::exists(folder.path("run/checkpoint.safetensors")) &&
         Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const CommandResult second = run_program(resume_arguments(folder, "run"));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("run/steps.csv: another process is training there"), std::string::npos)
      << second.err;
  program.send(SIGTERM);
  EXPECT_EQ(program.wait().status, 143);
}

}  // namespace
}  // namespace warptape
