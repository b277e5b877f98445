#pragma once
// Numbers of queued work on their way to the host.

#include <memory>
#include <vector>

#include "core/tensor.h"

namespace warptape {

// push() queues copies of one-element tensors behind the work that computes them; pop() waits until
// the oldest push has arrived and gives its values, in their order. Between the two the host queues
// more work, so that the device does not wait for it:
//   reader->push({loss}); ... queue the next step ...; loss = reader->pop()[0];
// On the CPU, where a value is there as soon as its op has returned, push() reads it.
class ScalarReader {
 public:
  static std::unique_ptr<ScalarReader> make(Device device);
  virtual ~ScalarReader() = default;

  virtual void push(const std::vector<Tensor>& scalars) = 0;
  // Throws what kernels reported by then (gpu::raise_report), as synchronising does.
  virtual std::vector<double> pop() = 0;
  virtual size_t waiting() const = 0;  // pushes not popped yet

  // How many pushes may wait before the caller pops one: with 1 the device has the next step to
  // work on while the host reads this one; on the CPU 0.
  virtual size_t worth_waiting() const = 0;
};

std::unique_ptr<ScalarReader> make_cuda_scalar_reader();

}  // namespace warptape
