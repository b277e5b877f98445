#pragma once
// What is done with each batch of a loop, as graphs on "cuda": a step of training, an evaluation.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/module.h"
#include "training/loader.h"
#include "training/optimizer.h"
#include "training/work_graph.h"

namespace warptape {

struct GraphOptions {
  // A batch's work is one graph, where the model is on a GPU; of models on the CPU it says nothing.
  // All that the work depends on then lies in tensors, in the rates of the optimizer and in the
  // default generator: a number of the host's that a loss or a module reads stays as it was at the
  // capture.
  bool use = false;
  // What a person should know: why there is no graph, once. And what else happens: captures.
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
  std::function<void(const std::string&)> on_detail = [](const std::string&) {};
};

// Does `work` with batch after batch. The first batch of a kind (of so many rows, of such shapes)
// goes without a graph, and prepares what a capture must not make: plans, state, handles. The
// second one is captured, and from then on replayed. Where a parameter was replaced, frozen or
// moved, or the optimizer took a state, it begins anew. What cannot be captured is warned of, and
// all goes on without graphs. Bits are the same in all cases.
class BatchGraphs {
 public:
  // Tensors on the device, which the next run() may overwrite.
  using Work = std::function<std::vector<Tensor>(const Batch&)>;
  // what: "a step", for messages. model: whose parameters the work reads, and writes where it has
  // an optimizer.
  struct Parts {
    const char* what;
    Module& model;
    const ParameterStates& states;
    Optimizer* optimizer = nullptr;
  };
  BatchGraphs(Parts parts, Work work, const GraphOptions& options);
  ~BatchGraphs();
  BatchGraphs(const BatchGraphs&) = delete;
  BatchGraphs& operator=(const BatchGraphs&) = delete;

  // Takes the next batch. Its rows; nothing at the end.
  std::optional<int64_t> take(Loader& data);
  // Does the work with it. Valid until the next run().
  const std::vector<Tensor>& run();
  bool last_was_replayed() const { return last_was_replayed_; }

 private:
  struct Kind;
  struct Captured;
  struct Taken {
    Loader* loader = nullptr;
    Tensor numbers;  // or a batch:
    Batch batch;
  };

  bool are_graphs_wanted() const;
  Kind& kind_of_taken();
  void run_eagerly();
  bool capture(Kind& kind);
  void replay(Kind& kind);
  std::string change_since(const Captured& captured) const;
  void mark_written(const Captured& captured) const;

  Parts parts_;
  Work work_;
  GraphOptions options_;
  Device device_;
  bool cannot_capture_ = false;
  bool has_too_many_kinds_ = false;
  bool last_was_replayed_ = false;
  Taken taken_;
  std::vector<Tensor> results_;
  std::unique_ptr<GraphMemory> memory_;  // outlives the graphs
  std::vector<std::unique_ptr<Kind>> kinds_;
};

}  // namespace warptape
