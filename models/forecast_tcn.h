#pragma once
// The TCN with a head for forecasts of a series.

#include <optional>
#include <string>
#include <vector>

#include "layers/linear.h"
#include "models/tcn.h"

namespace warptape {

// Which steps of the output forecast what.
//   Direct: the last step, which sees the newest observation, gives all of the next `chunk` values;
//     beside it may stand a linear function of the whole window.
//   Shifted: as Darts' TCNModel, every step gives the value `chunk` steps after it. The last
//     `chunk` steps are the forecast, and the first of them has not seen the newest chunk - 1
//     observations.
enum class ForecastHead { Direct, Shifted };

// What is given for each value.
//   Point: the value (1 number).
//   Gaussian: a mean, and what softplus makes a variance of (2).
//   Quantiles: a value for each level.
enum class Likelihood { Point, Gaussian, Quantiles };

// ValueError lists the names: direct, shifted; point, gaussian, quantiles.
ForecastHead forecast_head(const std::string& name, const Site& site = Site::here());
Likelihood likelihood(const std::string& name, const Site& site = Site::here());
std::string to_string(ForecastHead head);
std::string to_string(Likelihood likelihood);

// Takes x (N, 1 + known_channels, length + chunk): channel 0 is the series up to now, with anything
// in its last `chunk` steps, which are not read; the others are what is known of all these steps,
// the future ones among them. Returns
//   Direct (N, chunk, outputs), of the next steps
//   Shifted (N, length, outputs), of the steps chunk, ..., length + chunk - 1
class ForecastTCN : public Module {
 public:
  struct Options {
    // input_channels is 1 + known_channels. A shifted head is the last block itself, as in Darts:
    // its channels are `outputs` then, whatever stands here, and all blocks have the first one's
    // between their convolutions unless hidden_channels says otherwise.
    TemporalConvNet::Options net;
    int64_t known_channels = 0;
    int64_t chunk = 1;
    int64_t outputs = 1;  // numbers for each value: 1, 2, or as many as there are levels
    // Of a direct head: the length of the windows, which a linear function then sees besides; 0: no
    // such function.
    int64_t window = 0;
    ForecastHead head = ForecastHead::Direct;
  };

  explicit ForecastTCN(Options options, const Site& site = Site::here());  // ValueError
  void fields(Visitor& visit) override {
    visit("tcn", tcn)("linear", linear)("window", window)("known", known);
  }
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "ForecastTCN"; }
  std::string settings() const override;  // "head=direct, chunk=12, outputs=1"
  int64_t receptive_field() const { return tcn.receptive_field(); }

 private:
  Options options_;

 public:
  TemporalConvNet tcn;
  std::optional<Linear> linear;  // of a direct head; begins as zeros
  std::optional<Linear> window;  // of the window's values; likewise
  std::optional<Linear> known;   // the same for all steps: what is known of a step, to its value

 private:
  Tensor direct(const Operand& x);
  Tensor shifted(const Operand& x);
};

}  // namespace warptape
