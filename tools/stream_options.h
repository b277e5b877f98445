#pragma once
// The command line of `warptape stream`, and what its two kinds of input have in common.

#include <string>
#include <vector>

#include "models/sequence_stream.h"
#include "tools/commands.h"
#include "tools/sequence_model.h"

namespace warptape::tools {

struct StreamOptions {
  std::string checkpoint;
  std::vector<std::string> wav;  // none, or input and output
  std::vector<double> steady;
  std::string load_state;
  std::string save_state;
  int64_t block = 64;
  bool quiet = false;
  MachineOptions machine;
};

// The checkpoint's model on its device. ValueError for one that cannot go on step by step.
struct StreamedModel {
  LoadedSequenceModel loaded;
  Device device = cpu;
};
StreamedModel load_streamed_model(const StreamOptions& options);

// The mean of the outputs so far, of each stream: what a model answers whose head is the mean over
// the steps.
class RunningMeans {
 public:
  RunningMeans(int64_t streams, int64_t outputs);
  // rows: (streams, steps, outputs), of which all but the first `left_out` steps are outputs. Each
  // becomes the mean of those up to it.
  void add(std::vector<double>& rows, int64_t left_out);
  void add_to(StateDict& state) const;     // "outputs.sum", "outputs.count"
  void take_from(const StateDict& state);  // ValueError names what is missing

 private:
  int64_t streams_;
  int64_t outputs_;
  std::vector<double> sums_;
  int64_t count_ = 0;
};

// Whether a model of this dtype has room for the numbers of a step, as its task scales them: what
// is larger would be infinite in its state for ever. And how large they may be: "3.403e+38".
bool fit(const std::vector<double>& numbers, const TaskInput& input, DType dtype);
std::string room(const TaskInput& input, DType dtype);

// How a stream begins, as --steady or --load-state say, and what --save-state writes at its end.
struct StreamProgress {
  StreamState state;
  int64_t silent = 0;  // of the next outputs so many are of times before the sequence
};
// means: nullptr of a model without them.
StreamProgress begin_stream(const StreamOptions& options, const StreamedModel& model,
                            const SequenceStream& stream, RunningMeans* means);
void save_stream(const StreamOptions& options, const SequenceStream& stream,
                 const StreamProgress& progress, const RunningMeans* means);

// The exit status.
int stream_lines(const StreamOptions& options);
int stream_wav(const StreamOptions& options);

}  // namespace warptape::tools
