#pragma once
// The command line of `warptape predict`, and what its two kinds of models have in common.

#include <string>

#include "core/tensor.h"
#include "tools/commands.h"

namespace warptape::tools {

struct PredictOptions {
  std::string model;
  std::string checkpoint;
  std::string input;   // either this
  std::string data;    // or that
  std::string output;  // optional with data
  std::string names;   // of series: a file for the names of their classes
  bool every_step = false;
  std::string precision = "float32";
  MachineOptions machine;
};

// ValueError for a precision that a model of this dtype does not have.
void check_precision(const PredictOptions& options, DType dtype);

// Floating-point values of this rank; shape: how errors call it, "(N, C, L)".
Tensor load_array(const std::string& path, int rank, const char* shape);

// Writes the array, prints a line. what: "logits".
void save_array(const std::string& path, const Tensor& array, const char* what);

// Of a sequence model: --input to --output, or --data, series in a .ts file.
void predict_sequences(const PredictOptions& options, Device device);

}  // namespace warptape::tools
