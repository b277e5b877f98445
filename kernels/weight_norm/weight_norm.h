#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "core/kept_value.h"
#include "core/operand.h"

namespace warptape {

struct WeightNormOptions {
  std::optional<DType> dtype = {};  // of w: v's own, or bfloat16 beside a float32 v
};

// Weight normalization (Salimans & Kingma 2016, arXiv 1602.07868), one norm per output channel:
//   w = g * v / ||v||   with the norm over all dimensions but the first.
// v: (O, ...), rank 1 or more, floating. g: (O, 1, ..., 1), the rank of v. Returns w like
// v, in its memory format: channels lie behind each other in all of them. Norms accumulate in
// float64, of float64 rows scaled, so that they neither overflow nor vanish: only a row of zeros
// gives w = 0 and zero gradients. Nothing has an epsilon, so that every other value is PyTorch's.
// One pass over v forward; one over v and dw backward, with 1 / ||v|| saved:
//   dg = s r,  dv = g r (dw - v s r r)   where r = 1 / ||v||, s = sum of dw v per row.
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

  // Of the parameters as they are now; none where w is not of their kind.
  std::optional<WeightNormPlace> place();

  WeightNormCache() = default;
  WeightNormCache(const WeightNormCache& other) : KeptValue(other) {}

  std::mutex mutex;  // held by whoever reads or writes the rest
  Tensor w;          // carries the place of its latest record
  Tensor inv_norm;   // float64, one element per row
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
// backward (rows that no block can hold two more each); forward, those whose w is bfloat16 beside a
// float32 v are a dtype of their own.
void weight_norm_together(std::span<const WeightNormUse> weights);

// The norm of every row of v in the shape that g has: weight_norm(v, norm_per_channel(v)) equals v.
// Not recorded: backward refuses what an op makes of it.
Tensor norm_per_channel(const Tensor& v);

}  // namespace warptape
