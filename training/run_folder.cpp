#include "training/run_folder.h"

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

void make_empty_folder(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    check<FileError>(fs::is_directory(path, error),
                     "[run] {}: it exists and is not a folder; wanted a new one", path);
    check<FileError>(
        fs::is_empty(path, error),
        "[run] {}: it exists and is not empty; a run is never overwritten, give another "
        "--out",
        path);
  }
  fs::create_directories(path, error);
  check<FileError>(!error, "[run] {}: the folder cannot be made: {}", path, error.message());
}

}  // namespace

std::string RunFolder::default_path(const std::string& model) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &local);
  const std::string base = "runs/" + model + "-" + text;
  std::string path = base;
  for (int i = 2; fs::exists(path); ++i) {
    path = fmt::format("{}-{}", base, i);
  }
  return path;
}

RunFolder::RunFolder(const std::string& path, const std::string& config_json, bool with_validation)
    : path_(path) {
  make_empty_folder(path);
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
  check<FileError>(file.good(), "[run] {}/{}: cannot be written: {}", path_, name,
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
