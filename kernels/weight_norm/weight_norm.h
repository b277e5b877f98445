#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "core/kept_value.h"
#include "core/operand.h"
#include "kernels/weight_norm/norm_dim.h"

namespace warptape {

struct WeightNormOptions {
  NormDim dim = 0;                  // the axes along which every index has a norm of its own
  std::optional<DType> dtype = {};  // of w: v's own, or bfloat16 beside a float32 v
};

// Weight normalization (Salimans & Kingma 2016, arXiv 1602.07868):
//   w = g * v / ||v||   with a norm for each index along `dim`, over all other dimensions.
// v: rank 1 or more, floating. g: the shape of v with 1 along the other dimensions, so for dim 0, a
// norm per output channel, (O, 1, ..., 1); of WholeTensor a scalar. Returns w like v, in its memory
// format. Norms accumulate in float64,
// of float64 slices scaled, so that they neither overflow nor vanish: only a slice of zeros gives
// w = 0 and zero gradients. Nothing has an epsilon, so that every other value is PyTorch's.
// One pass over v forward; one over v and dw backward, with 1 / ||v|| saved:
//   dg = s r,  dv = g r (dw - v s r r)   where r = 1 / ||v||, s = sum of dw v per slice.
// ShapeError, too, for a dim whose axes lie in more than two places of the memory, as {0, 2, 4} of
// a rank of 6 do.
// Differentiable by both. Of a float32 v, w in bfloat16 is the float32 w rounded once, in the same
// pass; gradients are not rounded: the tape takes that of w in float32. DTypeError for another
// dtype.
Tensor weight_norm(const Operand& v, const Operand& g, WeightNormOptions options = {});

struct WeightNormPlace {
  Tensor v, g, w, inv_norm;
};

// w and 1 / ||v|| at a fixed address, and what they were computed from. Any number of threads may
// use one, as long as nothing writes to v or g meanwhile. A copy starts empty. It holds one w:
// asked for another dtype, it lets go of the last one.
struct WeightNormCache final : KeptValue {
  Tensor tensor() override;
  bool is_fresh() override;
  void refresh() override;
  void mark_fresh() override;
  void forget() override;

  // Of the parameters as they are now; none where w is not of their kind or its slices are no
  // contiguous rows.
  std::optional<WeightNormPlace> place();

  WeightNormCache() = default;
  WeightNormCache(const WeightNormCache& other) : KeptValue(other) {}

  std::mutex mutex;  // held by whoever reads or writes the rest
  Tensor w;          // carries the place of its latest record
  Tensor inv_norm;   // float64, one element per slice
  NormDim dim;       // of both
  Tensor v, g;       // handles on what was used, with the versions that were seen
  uint64_t v_version = 0;
  uint64_t g_version = 0;
  std::shared_ptr<const void> computed;  // what other streams wait for before they use w; or null
  std::weak_ptr<ParameterState> v_of, g_of;  // whose values v and g are, or null
};

// The same, computed only if v or g has been written to or replaced since the last call or the
// dtype is another one, and recorded once per tape: all uses of w on a tape share one record.
Tensor weight_norm(const Operand& v, const Operand& g, WeightNormCache& cache,
                   WeightNormOptions options = {});

// One of the weights of a model.
struct WeightNormUse {
  Operand v, g;
  WeightNormCache* cache;
  WeightNormOptions options = {};
};

// The same for several: their w are in the caches then, computed where they were not fresh, and
// recorded as one op with as many outputs. On "cuda" all of a dtype take one launch forward and one
// backward (slices that no block can hold two more each); forward, those whose w is bfloat16 beside
// a float32 v are a dtype of their own.
void weight_norm_together(std::span<const WeightNormUse> weights);

// The norms of v in the shape and the order that g has: weight_norm(v, norm_except_dim(v)) equals
// v. Not recorded: backward refuses what an op makes of it.
Tensor norm_except_dim(const Tensor& v, const NormDim& dim = 0, const Site& site = Site::here());

}  // namespace warptape
