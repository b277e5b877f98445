#include "models/forecast_tcn.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "kernels/ops.h"
#include "layers/init.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

ForecastTCN::Options small(ForecastHead head) {
  ForecastTCN::Options options;
  options.net.channels = {3, 4};
  options.net.kernel_size = 2;
  options.net.block.dropout = 0;
  options.net.block.weight_norm = false;
  options.known_channels = 1;
  options.chunk = 3;
  options.outputs = 2;
  options.window = head == ForecastHead::Direct ? 8 : 0;
  options.head = head;
  return options;
}

// Which steps of which channel an output depends on, as (output step, channel, input step).
bool depends(ForecastTCN& model, int64_t out, int64_t channel, int64_t in) {
  manual_seed(4);
  const Tensor x = randn({1, 2, 11});
  Tensor changed = x.clone();
  changed.mutable_data<float>()[channel * 11 + in] += 1;
  const std::vector<float> before = model(x).to_vector<float>();
  const std::vector<float> after = model(changed).to_vector<float>();
  const auto at = static_cast<size_t>(2 * out);
  return before[at] != after[at] || before[at + 1] != after[at + 1];
}

void randomize(Module& model) {
  manual_seed(3);
  for (const NamedParameter& parameter : named_parameters(model)) {
    init::normal(*parameter.parameter, 0, 0.5);
  }
}

TEST(ForecastTCN, DirectSeesTheNewestStepAndWhatIsKnown) {
  ForecastTCN model(small(ForecastHead::Direct));
  model.eval();
  EXPECT_EQ(model(randn({5, 2, 11})).shape(), Shape({5, 3, 2}));
  for (const float y : model(randn({2, 2, 11})).to_vector<float>()) {
    EXPECT_EQ(y, 0) << "untrained, it adds nothing";
  }
  randomize(model);
  for (int64_t out = 0; out < 3; ++out) {
    EXPECT_TRUE(depends(model, out, 0, 7)) << "the newest value";
    EXPECT_TRUE(depends(model, out, 0, 0)) << "the window's linear function";
    for (int64_t in = 8; in < 11; ++in) {
      EXPECT_FALSE(depends(model, out, 0, in)) << "values to come are not read";
      EXPECT_EQ(depends(model, out, 1, in), in == 8 + out) << "known of its own step alone";
    }
    EXPECT_TRUE(depends(model, out, 1, 7)) << "known of what came before";
  }
}

TEST(ForecastTCN, ShiftedSeesWhatDartsSees) {
  ForecastTCN model(small(ForecastHead::Shifted));
  model.eval();
  randomize(model);
  EXPECT_EQ(model(randn({5, 2, 11})).shape(), Shape({5, 8, 2}));
  EXPECT_FALSE(model.linear || model.window || model.known) << "the last block is the head";
  EXPECT_EQ(model.tcn.network.size(), 2U);
  for (const NamedParameter& parameter : named_parameters(model)) {
    if (parameter.name == "tcn.network.1.conv2.weight") {
      EXPECT_EQ(parameter.parameter->value().shape(), Shape({2, 3, 2})) << "3 filters, not 2";
    }
  }
  // Step t gives the value of step t + 3.
  EXPECT_TRUE(depends(model, 5, 0, 5));
  EXPECT_FALSE(depends(model, 5, 0, 6)) << "of the newest two values it knows nothing";
  EXPECT_TRUE(depends(model, 5, 1, 8)) << "known of the step that is forecast";
  EXPECT_FALSE(depends(model, 5, 1, 9));
}

TEST(ForecastTCN, RefusesNonsense) {
  ForecastTCN::Options options = small(ForecastHead::Direct);
  ForecastTCN model(options);
  expect_throws<ShapeError>([&] { model(randn({1, 3, 11})); }, {"wanted (N, 2, more than 3)"});
  expect_throws<ShapeError>([&] { model(randn({1, 2, 3})); }, {"wanted (N, 2, more than 3)"});
  options.chunk = 0;
  expect_throws<ValueError>([&] { ForecastTCN{options}; }, {"chunk: got 0"});
  options = small(ForecastHead::Direct);
  options.net.channels.clear();
  expect_throws<ValueError>([&] { ForecastTCN{options}; }, {"channels: got none"});
  options = small(ForecastHead::Direct);
  options.net.block.causal = false;
  expect_throws<ValueError>([&] { ForecastTCN{options}; }, {"causal"});
  expect_throws<ValueError>([] { forecast_head("x"); }, {"direct or shifted"});
  expect_throws<ValueError>([] { likelihood("x"); }, {"point, gaussian or quantiles"});
}

}  // namespace
}  // namespace warptape
