// A layer and a model of one's own, around an op of one's own, trained for some steps.
#include <iostream>

#include "ops/softsign/softsign.h"
#include "warptape.h"

namespace mine {

struct Softsign : warptape::Module {
  warptape::Tensor forward(const warptape::Operand& x) override { return softsign(x); }
};

struct Curve : warptape::Module {
  warptape::Linear first{1, 16};
  Softsign bend;
  warptape::Linear last{16, 1};
  void fields(warptape::Visitor& visit) override {
    visit("first", first)("bend", bend)("last", last);
  }
  warptape::Tensor forward(const warptape::Operand& x) override { return last(bend(first(x))); }
};

// The losses of the first and the last step.
std::pair<double, double> train(warptape::Device device) {
  warptape::manual_seed(1);
  Curve curve;
  curve.to(device);
  warptape::Adam optimizer(warptape::parameters(curve), {.lr = 0.02});
  const warptape::Tensor x = warptape::randn({32, 1}).to(device);
  const warptape::Tensor y = warptape::mul(x, x);
  double first = 0;
  double last = 0;
  for (int step = 0; step < 30; ++step) {
    optimizer.zero_grad();
    warptape::Tape tape;
    const warptape::Tensor loss = warptape::mse_loss(curve(x), y);
    tape.backward(loss);
    optimizer.step();
    last = loss.item();
    first = step == 0 ? last : first;
  }
  return {first, last};
}

}  // namespace mine

int main() {
  std::vector<warptape::Device> devices = {warptape::cpu};
  if (warptape::is_available(warptape::DeviceType::CUDA)) {
    devices.push_back({warptape::DeviceType::CUDA, 0});
  }
  for (const warptape::Device device : devices) {
    const auto [first, last] = mine::train(device);
    std::cout << to_string(device) << ": " << first << " to " << last << "\n";
    if (!(last < first / 2)) {
      return 1;
    }
  }
}
