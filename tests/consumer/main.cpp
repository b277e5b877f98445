// A layer and a model of one's own, around an op of one's own, trained for some steps.
#include <iostream>

#include "ops/softsign/softsign.h"
#include "warptape.h"
#include "weight_standardization.h"

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

struct StandardizedCurve : Curve {
  StandardizedCurve() { standardize(last); }
};

// Checkpoints, copies, printing and folding know a reparametrisation of one's own by its fields.
bool is_a_weight_like_others() {
  StandardizedCurve curve;
  const warptape::Tensor x = warptape::randn({4, 1});
  const std::vector<float> y = curve(x).to_vector<float>();
  const warptape::StateDict state = warptape::state_dict(curve);
  StandardizedCurve loaded;
  warptape::load_state_dict(loaded, state);
  StandardizedCurve copy = curve;
  const bool has_key = state[2].first == "last.parametrizations.weight.original";
  const bool is_printed =
      warptape::to_string(curve).find("weight_standardization()") != std::string::npos;
  const bool is_same = loaded(x).to_vector<float>() == y && copy(x).to_vector<float>() == y;
  warptape::Folded folded = warptape::fold(curve);
  const bool is_folded =
      folded.size() == 1 && folded[0].name == "last.weight" && curve(x).to_vector<float>() == y;
  warptape::unfold(curve, std::move(folded));
  return has_key && is_printed && is_same && is_folded && curve(x).to_vector<float>() == y;
}

}  // namespace mine

int main() {
  if (!mine::is_a_weight_like_others()) {
    std::cout << "the weight standardization is not what a weight is\n";
    return 1;
  }
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
