#pragma once
// Initialisers, as torch.nn.init. Numbers are drawn from the generator, and are the same for a
// tensor of one shape wherever it lies.

#include "core/random.h"
#include "layers/weight.h"

namespace warptape::init {

// What is filled: a Weight (through to what a reparametrised one is computed from), a Parameter, a
// Buffer or a tensor.
class Target {
 public:
  Target(Weight& weight) : weight_(&weight), like_(weight.value().detach()) {}
  Target(Parameter& parameter) : parameter_(&parameter), like_(parameter.value().detach()) {}
  Target(Buffer& buffer) : like_(buffer.value()) {}
  Target(Tensor& tensor) : like_(tensor.detach()) {}

  const Tensor& like() const { return like_; }  // its shape, dtype and device
  void assign(const Tensor& values) const;      // ValueError if it is undefined

 private:
  Weight* weight_ = nullptr;
  Parameter* parameter_ = nullptr;
  Tensor like_;
};

// Input connections per output, and output connections per input, of a weight (O, I, ...).
struct Fans {
  double in;
  double out;
};
Fans fans(const Shape& weight);  // ShapeError below rank 2

enum class Nonlinearity { Linear, Sigmoid, Tanh, ReLU, LeakyReLU, SELU };
// By how much weights in front of it are larger; of convolutions and linear layers as of Linear.
double gain(Nonlinearity of, double negative_slope = 0.01);

void zeros(const Target& target);
void ones(const Target& target);
void constant(const Target& target, double value);
void uniform(const Target& target, double low = 0, double high = 1,
             Generator& generator = default_generator());
void normal(const Target& target, double mean = 0, double std = 1,
            Generator& generator = default_generator());
// Normal, and drawn again where it lies outside of [low, high]. ValueError unless low < high.
void trunc_normal(const Target& target, double mean = 0, double std = 1, double low = -2,
                  double high = 2, Generator& generator = default_generator());

// Glorot & Bengio 2010: U(+-gain sqrt(6 / (fan_in + fan_out))) and
// N(0, gain^2 2 / (fan_in + fan_out)).
void xavier_uniform(const Target& target, double gain = 1,
                    Generator& generator = default_generator());
void xavier_normal(const Target& target, double gain = 1,
                   Generator& generator = default_generator());

enum class Fan { In, Out };
struct KaimingOptions {
  double a = 0;  // the negative slope of LeakyReLU
  Fan mode = Fan::In;
  Nonlinearity nonlinearity = Nonlinearity::LeakyReLU;
};
// He et al. 2015: U(+-gain sqrt(3 / fan)) and N(0, gain^2 / fan), with the gain of the
// nonlinearity.
void kaiming_uniform(const Target& target, KaimingOptions options = {},
                     Generator& generator = default_generator());
void kaiming_normal(const Target& target, KaimingOptions options = {},
                    Generator& generator = default_generator());

// Saxe et al. 2013: gain times a matrix (O, all others) whose rows, or columns where there are
// fewer, are orthonormal. ShapeError below rank 2.
void orthogonal(const Target& target, double gain = 1, Generator& generator = default_generator());

// PyTorch's default for convolutions and linear layers: weight and bias are U(+-1 / sqrt(fan_in)).
void torch_default(Weight& weight, Parameter& bias, Generator& generator = default_generator());

}  // namespace warptape::init
