// The sunspots of a month from those of two years: a weight-normalised MLP, trained until its error
// on later years has not fallen for 5 epochs, saved and loaded again.
#include <iostream>
#include "warptape.h"
using namespace warptape;

Sequential make_model() {
  Linear hidden(24, 32);
  Linear output(32, 1);
  return Sequential(weight_norm(hidden), ReLU(), weight_norm(output));
}

int main(int, char** argv) {
  const std::vector<double> spots = read_csv(argv[1]).numbers("Sunspots");
  std::vector<double> inputs;
  std::vector<double> targets;
  for (size_t i = 24; i < spots.size(); ++i) {
    inputs.insert(inputs.end(), &spots[i - 24], &spots[i]);
    targets.push_back(spots[i]);
  }
  const auto months = static_cast<int64_t>(targets.size());
  const TensorDataset data((tensor(inputs, {months, 24}) / 100.0).to(float32),
                           (tensor(targets, {months, 1}) / 100.0).to(float32));
  DataLoader earlier(data.slice(0, 2200), {.batch_size = 64, .shuffle = true});
  DataLoader later(data.slice(2200, months), {.batch_size = 256});

  Sequential model = make_model();
  Adam optimizer(parameters(model), {.lr = 3e-3});
  const Loss loss = [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); };
  const EpochMetrics best = train(
      model, optimizer, earlier,
      {.loss = loss, .validation = &later, .epochs = 60, .patience = 5, .restore_best = true});
  save_safetensors("sunspots.safetensors", state_dict(model));

  Sequential again = make_model();
  load_state_dict(again, load_safetensors("sunspots.safetensors").tensors);
  const double loaded = evaluate(again, later, loss).loss;
  std::cout << "epoch " << best.epoch << ", loss " << loaded << " (as this month: 0.039)\n";
  return loaded == best.validation->loss && loaded < 0.039 ? 0 : 1;
}
