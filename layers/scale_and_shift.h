#pragma once
// What layers that normalise share: a weight of ones and a bias of zeros, which need not be there.

#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// ValueError unless finite and 0 or more.
void check_eps(const char* type, double eps, const Site& site);

void make_scale_and_shift(Weight& weight, Parameter& bias, const Shape& shape, DType dtype,
                          bool has_weight, bool has_bias);

// The weight for an op that reads it in its own dtype; undefined if there is none.
Operand scale_of(Weight& weight, const Site& site);

inline const char* python(bool value) {
  return value ? "True" : "False";
}

}  // namespace warptape
