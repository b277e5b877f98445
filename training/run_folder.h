#pragma once
// The folder of one training run: config.json (its recipe), metrics.csv (a row per epoch),
// steps.csv (a row per step), last.safetensors, best.safetensors, and checkpoint.safetensors, from
// which the run can go on.

#include <map>
#include <string>

#include "training/row_file.h"
#include "training/trainer.h"

namespace warptape {

// What metrics.csv says of an epoch, beside its loss in training.
struct RunColumns {
  bool test = true;
  bool validation = false;
  std::string metric = "accuracy";  // its name; empty for none
  std::string rows = "images";      // what is counted per second
};

class RunFolder {
 public:
  // Makes the folder, with its parents. FileError if it exists and is not empty, or if another run
  // takes it at the same moment: a run is never overwritten.
  RunFolder(const std::string& path, const std::string& config_json, const RunColumns& columns);

  // The folder of a run that goes on from there. Rows of what comes after are taken out, and what a
  // killed process had not finished writing. FileError where another process is in it.
  static RunFolder reopen(const std::string& path, const TrainingPosition& from,
                          const RunColumns& columns);

  // Makes an empty folder that nobody else gets: "runs/simple_cnn-20261122-171500", with "-2" and
  // so on if that is taken.
  static std::string make_default(const std::string& model);
  // The same for a path of one's own.
  static std::string make_new(const std::string& base);

  void add_step(const StepMetrics& step);
  // Writes the row and last.safetensors, and best.safetensors if this is the best epoch so far,
  // both with the metadata. Of an epoch whose losses are not finite only the row. Rows are in the
  // files when these functions return.
  void add_epoch(const EpochMetrics& epoch, Module& model,
                 const std::map<std::string, std::string>& metadata = {});
  // Writes rows to the disk: before a checkpoint, which counts on them.
  void sync();

  const std::string& path() const { return path_; }
  std::string checkpoint_path() const { return path_ + "/checkpoint.safetensors"; }

 private:
  struct Tables {
    RowFile steps;
    RowFile metrics;
  };
  RunFolder(const std::string& path, const RunColumns& columns, Tables tables)
      : path_(path), columns_(columns), tables_(std::move(tables)) {}

  std::string path_;
  RunColumns columns_;
  Tables tables_;
};

}  // namespace warptape
