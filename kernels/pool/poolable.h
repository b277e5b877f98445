#pragma once
#include "core/deferred.h"
#include "kernels/pool/gradient_sums.h"
#include "kernels/pool/pool_windows.h"

namespace warptape {

// A call whose result may be pooled in the pass that makes it.
class PoolableWork : public Deferred {
 public:
  bool can_wait_longer() const override { return true; }

  // y, channels-last or row-major, and the indices (undefined: not wanted), channels-last, as
  // max_pool2d makes them of the result, or of its ReLU. False, and nothing is done, where there is
  // no such pass.
  virtual bool compute_pooled(const PoolGeometry& pool, bool with_relu, Tensor& y,
                              Tensor& indices) = 0;

  // Where the record of this call wants sums of the gradient that a pooling makes; null: nowhere.
  std::shared_ptr<GradientSums> gradient_sums;
};

}  // namespace warptape
