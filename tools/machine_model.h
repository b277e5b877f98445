#pragma once
// How long a GPU would take for a launch, by a small model of it: the blocks of the busiest
// multiprocessor, what a block multiplies and loads, device memory by the threads that ask for it,
// and a floor per launch. The constants of a GPU are fitted to its measured kernels by
// tools/fit_machine.py; docs/performance.md has the model's error and its limits.

#include <string>
#include <vector>

#include "tools/cost_sheet.h"

namespace warptape::tools {

// What the matrix core takes on some cores; nanoseconds of a multiprocessor with two blocks on it.
struct CoreRates {
  double multiply_ns = 0;  // of a thousand products of a block's tile
  double load_ns = 0;      // of a thousand loads of its operands, of one element or one pack
  double result_ns = 0;    // of a thousand elements of a tile: filling the pipeline, writing out
  double alone = 1;        // times as long where a multiprocessor has one block only
  double floor_us = 0;
};

struct MachineModel {
  const char* name;    // "h200"
  const char* origin;  // the report, and when it was measured on what
  int multiprocessors;
  double launch_us;            // from one kernel of a queue to the next
  double event_us;             // that a clock of events adds to what it times
  double floor_us;             // of a kernel that multiplies no matrices
  double copy_gb_per_s;        // that a plain copy reached: for floors
  double memory_gb_per_s;      // with every multiprocessor asking
  double thread_gb_per_s;      // that one resident thread keeps in flight
  int resident_threads;        // of a multiprocessor, at most
  double peak_tflop_per_s[4];  // by ProductWork::Cores: for floors
  CoreRates cores[3];          // of the measured kernels: float, double, tensor

  // Assumed, not measured; machine_model.cpp says for which kernels.
  double tf32_factor;   // times as long to multiply as in bfloat16
  double staged_loads;  // of the time of loads, where the next fragments come under the products
  double ffma_ns;       // of a thousand products where only FFMA is issued
  double ffma_share;    // of the issue slots
};

const MachineModel& h200();
// Of that name; ValueError names those there are.
const MachineModel& machine_model(const std::string& name);

struct Prediction {
  double us = 0;
  double memory_us = 0;    // of it, what device memory alone would take
  double multiply_us = 0;  // and the multiplications of the busiest multiprocessor
  const char* bound = "";  // "memory", "products", "launch"
  // What no measured kernel tells, in words; empty where the model was fitted to its like.
  std::string assumed{};
};

Prediction predict(const LaunchCost& launch, const MachineModel& machine);

struct StepPrediction {
  std::vector<Prediction> launches;
  double us = 0;        // with the gaps between launches; the host is ahead, or a graph
  double floor_us = 0;  // bytes over bandwidth and FLOPs over the peak rate, whichever is more,
                        // of every launch, and nothing else
};
StepPrediction predict(const CostSheet& sheet, const MachineModel& machine);

}  // namespace warptape::tools
