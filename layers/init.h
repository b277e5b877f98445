#pragma once
// Initialisers, as torch.nn.init. Given a Weight they reach what a reparametrised one is computed
// from.

#include "core/random.h"
#include "layers/weight.h"

namespace warptape::init {

// Input connections per output, and output connections per input, of a weight (O, I, ...).
struct Fans {
  double in;
  double out;
};
Fans fans(const Shape& weight);  // ShapeError below rank 2

void constant(Weight& weight, double value);
void constant(Parameter& parameter, double value);
void uniform(Weight& weight, double low, double high, Generator& generator = default_generator());
void uniform(Parameter& parameter, double low, double high,
             Generator& generator = default_generator());
void normal(Weight& weight, double mean, double std, Generator& generator = default_generator());
void normal(Parameter& parameter, double mean, double std,
            Generator& generator = default_generator());

// He et al. 2015, fan-in, for leaky ReLU with negative slope a: U(+-sqrt(6 / ((1 + a^2) fan_in)))
// and N(0, 2 / ((1 + a^2) fan_in)).
void kaiming_uniform(Weight& weight, double a = 0, Generator& generator = default_generator());
void kaiming_normal(Weight& weight, double a = 0, Generator& generator = default_generator());
// Glorot & Bengio 2010: U(+-sqrt(6 / (fan_in + fan_out))) and N(0, 2 / (fan_in + fan_out)).
void xavier_uniform(Weight& weight, Generator& generator = default_generator());
void xavier_normal(Weight& weight, Generator& generator = default_generator());

// PyTorch's default for convolutions and linear layers: weight and bias are U(+-1 / sqrt(fan_in)).
void torch_default(Weight& weight, Parameter& bias, Generator& generator = default_generator());

}  // namespace warptape::init
