#pragma once
// The folder of one training run: config.json, metrics.csv (a row per epoch), steps.csv (a row per
// step), last.safetensors, best.safetensors.

#include <fstream>
#include <string>

#include "training/trainer.h"

namespace warptape {

class RunFolder {
 public:
  // Makes the folder, with its parents. FileError if it exists and is not empty, or if another run
  // takes it at the same moment: a run is never overwritten.
  RunFolder(const std::string& path, const std::string& config_json, bool with_validation);

  // Makes an empty folder that nobody else gets: "runs/simple_cnn-20261122-171500", with "-2" and
  // so on if that is taken.
  static std::string make_default(const std::string& model);
  // The same for a path of one's own.
  static std::string make_new(const std::string& base);

  void add_step(const StepMetrics& step);
  // Writes the row and last.safetensors, and best.safetensors if this is the best epoch so far;
  // returns whether it is. Of an epoch whose losses are not finite only the row. Rows are in the
  // files when these functions return.
  bool add_epoch(const EpochMetrics& epoch, Module& model);

  const std::string& path() const { return path_; }

 private:
  void check_written(std::ofstream& file, const char* name);

  std::string path_;
  std::ofstream steps_;
  std::ofstream metrics_;
  std::optional<EpochMetrics> best_;
};

}  // namespace warptape
