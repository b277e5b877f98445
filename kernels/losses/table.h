#pragma once
// Every loss that goes element by element, a line each. From a line come the public function
// (losses.h), its kernels (a source file each, made by warptape_add_losses), its case table and the
// test op.NAME. PyTorch's values for it are in tests/golden/generate_losses.py.
//
// X(function, functor)

// clang-format off
// Of an input and a target.
#define WARPTAPE_LOSSES_OF_TWO(X)                 \
  X(huber_loss, Huber)                            \
  X(l1_loss, L1)                                  \
  X(mse_loss, Mse)                                \
  X(smooth_l1_loss, SmoothL1)

// Those that take more have a function of their own in losses.cpp.
#define WARPTAPE_LOSSES_OF_MORE(X)                \
  X(bce_with_logits_loss, BceWithLogits)          \
  X(gaussian_nll_loss, GaussianNll)               \
  X(quantile_loss, Quantile)
// clang-format on

#define WARPTAPE_LOSSES(X)  \
  WARPTAPE_LOSSES_OF_TWO(X) \
  WARPTAPE_LOSSES_OF_MORE(X)
