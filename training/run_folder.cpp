#include "training/run_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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

// Makes an empty file that is not there yet, by which one of two runs takes a folder that both
// found empty.
void claim(const std::string& path, const std::string& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno == EEXIST) {
    fail(path, "it exists and another run has just begun in it; give another --out");
  }
  if (descriptor < 0) {
    fail(file, fmt::format("cannot be written: {}", std::strerror(errno)));
  }
  ::close(descriptor);
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

RunFolder::RunFolder(const std::string& path, const std::string& config_json, bool with_validation)
    : path_(path) {
  make_empty_folder(path);
  claim(path, path + "/steps.csv");
  write_file_atomically(path + "/config.json", config_json);
  steps_.open(path + "/steps.csv");
  steps_ << "step,loss,learning_rate,gradient_norm\n";
  check_written(steps_, "steps.csv");
  metrics_.open(path + "/metrics.csv");
  metrics_ << "epoch,step,train_loss,test_loss,test_accuracy,learning_rate,seconds,"
              "images_per_second"
           << (with_validation ? ",validation_loss,validation_accuracy\n" : "\n");
  check_written(metrics_, "metrics.csv");
}

void RunFolder::check_written(std::ofstream& file, const char* name) {
  file.flush();
  check<FileError>(file.good(), "[run] {}/{}: cannot be written: {}", escaped(path_), name,
                   std::strerror(errno));
}

void RunFolder::add_step(const StepMetrics& step) {
  steps_ << fmt::format("{},{},{},{}\n", step.step, plain_nan(step.loss), step.learning_rate,
                        plain_nan(step.gradient_norm));
  check_written(steps_, "steps.csv");
}

bool RunFolder::add_epoch(const EpochMetrics& epoch, Module& model) {
  std::string row = fmt::format("{},{},{},{},{},{},{:.3f},{:.1f}", epoch.epoch, epoch.step,
                                plain_nan(epoch.train_loss), plain_nan(epoch.test.loss),
                                plain_nan(epoch.test.accuracy), epoch.learning_rate, epoch.seconds,
                                epoch.images_per_second);
  if (epoch.validation) {
    row += fmt::format(",{},{}", plain_nan(epoch.validation->loss),
                       plain_nan(epoch.validation->accuracy));
  }
  metrics_ << row << '\n';
  check_written(metrics_, "metrics.csv");
  if (!epoch.is_finite()) {
    return false;  // the checkpoints of earlier epochs are the last good ones
  }
  const StateDict state = state_dict(model);
  save_safetensors(path_ + "/last.safetensors", state);
  const bool is_best = !best_ || epoch.is_better_than(*best_);
  if (is_best) {
    best_ = epoch;
    save_safetensors(path_ + "/best.safetensors", state);
  }
  return is_best;
}

}  // namespace warptape
