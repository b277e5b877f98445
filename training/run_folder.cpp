#include "training/run_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "layers/state_dict.h"
#include "training/file.h"
#include "training/plain_nan.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw FileError(fmt::format("[run] {}: {}", escaped(path), message));
}

void make_parents(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    fail(path, "got a zero byte in the path, wanted none");
  }
  const fs::path parent = fs::path(path).parent_path();
  std::error_code error;
  fs::create_directories(parent, error);
  if (error && !parent.empty()) {
    fail(path, "the folder cannot be made: " + error.message());
  }
}

// Makes the folder, or does nothing where something of that name is there: one step, in which one
// of many processes succeeds.
bool make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) {
    return true;
  }
  if (errno != EEXIST) {
    fail(path, fmt::format("the folder cannot be made: {}", std::strerror(errno)));
  }
  return false;
}

void make_empty_folder(const std::string& given) {
  std::string path = given;
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  make_parents(path);
  if (make_folder(path)) {
    return;
  }
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    fail(given, "it exists and is not a folder; wanted a new one");
  }
  if (!fs::is_empty(path, error)) {
    fail(given, "it exists and is not empty; a run is never overwritten, give another --out");
  }
}

constexpr std::string_view steps_line = "step,loss,learning_rate,gradient_norm";

// Columns of an evaluation, with a comma before each.
std::string names_of(const char* of, const RunColumns& columns) {
  return fmt::format(",{}_loss", of) +
         (columns.metric.empty() ? "" : fmt::format(",{}_{}", of, columns.metric));
}

std::string values_of(const std::optional<Evaluation>& evaluation, const RunColumns& columns) {
  const double none = std::nan("");
  return fmt::format(",{}", plain_nan(evaluation ? evaluation->loss : none)) +
         (columns.metric.empty()
              ? ""
              : fmt::format(",{}",
                            plain_nan(evaluation ? evaluation->metric.value_or(none) : none)));
}

std::string metrics_line(const RunColumns& columns) {
  return fmt::format("epoch,step,train_loss{},learning_rate,seconds,{}_per_second{}",
                     columns.test ? names_of("test", columns) : "", columns.rows,
                     columns.validation ? names_of("validation", columns) : "");
}

// Makes the folder and its first file, by which one of two runs takes a folder that both found
// empty.
RowFile claim(const std::string& path) {
  make_empty_folder(path);
  return RowFile::create(path + "/steps.csv", steps_line);
}

// Files that a killed process had not finished: write_file_atomically names them so.
void remove_unfinished(const std::string& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".tmp") && name.find(".safetensors.") != std::string::npos) {
      fs::remove(entry.path(), error);
    }
  }
}

}  // namespace

std::string RunFolder::make_default(const std::string& model) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &local);
  return make_new("runs/" + model + "-" + text);
}

std::string RunFolder::make_new(const std::string& base) {
  make_parents(base);
  std::string path = base;
  for (int64_t i = 2; !make_folder(path); ++i) {
    path = fmt::format("{}-{}", base, i);
  }
  return path;
}

// A list in braces is made in its order: whoever has steps.csv has the folder.
RunFolder::RunFolder(const std::string& path, const std::string& config_json,
                     const RunColumns& columns)
    : RunFolder(
          path, columns,
          Tables{claim(path), RowFile::create(path + "/metrics.csv", metrics_line(columns))}) {
  write_file_atomically(path + "/config.json", config_json);
}

RunFolder RunFolder::reopen(const std::string& path, const TrainingPosition& from,
                            const RunColumns& columns) {
  RunFolder folder(
      path, columns,
      Tables{RowFile::reopen(path + "/steps.csv", steps_line, from.step),
             RowFile::reopen(path + "/metrics.csv", metrics_line(columns), from.epoch - 1)});
  remove_unfinished(path);
  return folder;
}

void RunFolder::add_step(const StepMetrics& step) {
  tables_.steps.add(fmt::format("{},{},{},{}", step.step, plain_nan(step.loss), step.learning_rate,
                                plain_nan(step.gradient_norm)));
}

void RunFolder::sync() {
  tables_.steps.sync();
  tables_.metrics.sync();
}

void RunFolder::add_epoch(const EpochMetrics& epoch, Module& model,
                          const std::map<std::string, std::string>& metadata) {
  const std::string row = fmt::format(
      "{},{},{}{},{},{:.3f},{:.1f}{}", epoch.epoch, epoch.step, plain_nan(epoch.train_loss),
      columns_.test ? values_of(epoch.test, columns_) : "", epoch.learning_rate, epoch.seconds,
      epoch.rows_per_second, columns_.validation ? values_of(epoch.validation, columns_) : "");
  tables_.metrics.add(row);
  if (!epoch.is_finite()) {
    return;  // the checkpoints of earlier epochs are the last good ones
  }
  const StateDict state = state_dict(model);
  save_safetensors(path_ + "/last.safetensors", state, metadata);
  if (epoch.is_best) {
    save_safetensors(path_ + "/best.safetensors", state, metadata);
  }
}

}  // namespace warptape
