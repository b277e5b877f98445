#pragma once
// Sequences of unequal lengths side by side, and steps that count nowhere. Sequences are padded at
// their ends, so that a causal model's outputs at their own steps are those that it has for each
// sequence alone; what stands behind is left out of losses and means.

#include "core/operand.h"
#include "training/train_step.h"

namespace warptape {

// The label of a step that counts nowhere: the ignore_index of cross_entropy.
inline constexpr int64_t no_label = -100;

// Which steps count, as losses take it for a mask: uint8 (N, steps), 1 at step t of row i where
// warm_up <= t < lengths[i]. lengths: int64 (N), on any device; the mask lies there. ValueError for
// a length outside 0 to steps.
Tensor length_mask(const Tensor& lengths, int64_t steps, int64_t warm_up = 0,
                   const Site& site = Site::here());

// The mean over the steps that count: y (N, L, K), mask uint8 (N, L) -> (N, K). What stands at
// other steps has no part in it, NaN neither, and gets a gradient of 0. A row without any gives
// NaN. Differentiable by y.
Tensor masked_mean(const Operand& y, const Operand& mask);

// What a sequence's own last step has: y (N, L, K), lengths int64 (N), each from 1 to L -> (N, K).
// Differentiable by y.
Tensor last_steps(const Operand& y, const Tensor& lengths);

// A loss of outputs (N, L, ...) and targets (N, L, ...) that leaves out the first steps of every
// sequence: those of a model that has not seen enough yet. ShapeError where nothing is left.
Loss skip_warm_up(Loss loss, int64_t steps);

}  // namespace warptape
