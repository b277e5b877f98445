#pragma once
// Work on the device "cuda" that is queued again and again, as one graph.

#include <functional>
#include <memory>

#include "core/graph_memory.h"
#include "core/tensor.h"

namespace warptape {

class Optimizer;

class WorkGraph {
 public:
  virtual ~WorkGraph() = default;
  // Queues it on the current stream. Before it, in one launch: the next streams of this thread's
  // default generator, which gives away as many as the work draws; what has changed of the
  // optimizer's rates, of null nothing; and int64 elements, where `to` is defined.
  virtual void replay(Optimizer* optimizer, const Tensor& from, Tensor& to) = 0;
  virtual uint64_t launches() const = 0;  // of kernels
};

// Captures what `work` queues, which runs once and has been run before: nothing runs on the device,
// but that rates of the optimizer (or null) are written that have changed. Tensors that it makes
// lie in `memory`, which outlives the graph. Throws what cannot be captured.
std::unique_ptr<WorkGraph> capture_work(GraphMemory& memory, Optimizer* optimizer,
                                        const std::function<void()>& work);

}  // namespace warptape
