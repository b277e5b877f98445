#pragma once
// What recorded training steps say: time, bytes and FLOPs of each op in each layer, of each kernel,
// the device's idle time, and what holds the most memory. Made of a Recording (core/profile.h) and
// of what the device did (core/device/activity.h); shown as text, JSON, a page and a trace.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/profile.h"
#include "layers/module.h"

namespace warptape::profiling {

// The most that this machine does, measured in the same run; 0: not measured.
struct Ceilings {
  double copy_gb_per_s = 0;    // bytes read and bytes written by a plain copy
  double fma_tflop_per_s = 0;  // independent multiplications with additions, two FLOPs each
};

// What a block of memory is, where its holder has a name: a parameter's value or gradient.
struct BlockName {
  std::string layer;
  std::string what;  // "parameter weight_v"
};

struct Captured {
  // "simple_cnn, images 3x32x32, SGD with momentum", "cpu with 2 threads".
  std::string model;
  std::string machine;
  std::string precision;
  int64_t batch_size = 0;
  int64_t steps = 0;  // the last so many ranges "step" are looked at
  Device device;
  profile::Recording recording;
  // On a device with kernels; times since the recording's start.
  std::vector<gpu::Activity> activities;
  std::string source;  // where times come from, in words
  bool is_emulated = false;
  bool times_kernels = false;
  std::map<const void*, std::string> layers;  // their paths
  std::map<const void*, BlockName> blocks;
  Ceilings ceilings;
  std::vector<double> plain_ms;  // of steps that were not recorded, in the same run
};

// Paths of a model and all modules below it; its own is "".
std::map<const void*, std::string> layer_paths(const Module& model);
// The blocks of its parameters and their gradients.
std::map<const void*, BlockName> block_names(Module& model);

struct Figures {
  double calls = 0;                   // per step, as all below
  double ms = 0;                      // of the device where it has times, else of the host
  std::optional<profile::Work> work;  // absent where not every call told

  double gb_per_s() const;
  double tflop_per_s() const;
};

struct OpRow {
  std::string op;     // "conv2d"
  std::string layer;  // "layers.2.fc1", "" of the model itself
  profile::Phase phase = profile::Phase::Forward;
  Figures figures;
  double host_ms = 0;  // without the ranges inside
};

struct KernelRow {
  std::string kernel;
  std::string op;
  std::string layer;
  profile::Phase phase = profile::Phase::Forward;
  gpu::LaunchSize size;  // of the last launch; no blocks: not one of ours
  Figures figures;
};

struct Gap {
  double ms = 0;
  std::string after;   // what ran before it
  std::string before;  // and what behind it
};

struct Holder {
  std::string layer;
  std::string what;  // "conv2d", "conv2d backward", "parameter weight", "before the recording"
  int64_t blocks = 0;
  int64_t bytes = 0;
};

struct Memory {
  int64_t peak_bytes = 0;  // of blocks allocated since the recording began
  double peak_ms = 0;      // since the last step began
  std::string peak_op;     // that ran then, and its layer
  std::string peak_layer;
  std::vector<Holder> holders;                       // at the peak, the largest first
  std::vector<std::pair<double, int64_t>> timeline;  // (ms, live bytes) of the last step
};

struct Report {
  double step_ms = 0;              // median of the recorded steps, from end to end
  double plain_ms = 0;             // median of those that were not; 0: there were none
  double device_ms = 0;            // busy, per step; 0: no device
  double idle_ms = 0;              // between the first and the last of a step, per step
  std::vector<Gap> gaps;           // the longest of the last step
  std::vector<OpRow> ops;          // the longest first
  std::vector<KernelRow> kernels;  // likewise; copies and fills too
  Memory memory;
};

Report analyse(const Captured& captured);

// For a terminal, at most so many rows a table (0: all).
std::string as_text(const Captured& captured, const Report& report, size_t most_rows);
std::string as_json(const Captured& captured, const Report& report);
// In the Chrome trace event format, which Perfetto and chrome://tracing show.
std::string as_trace(const Captured& captured);
// One self-contained page: well-formed XML without anything from outside.
std::string as_page(const Captured& captured, const Report& report);

}  // namespace warptape::profiling
