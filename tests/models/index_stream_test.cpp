// A TCN over indices: its keys, its outputs, and the same step by step.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/sum/sum.h"
#include "layers/state_dict.h"
#include "models/image_models.h"
#include "models/index_stream.h"
#include "models/sequence_models.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

EmbeddedTCN::Options small() {
  EmbeddedTCN::Options options;
  options.vocabulary = 5;
  options.net.input_channels = 3;
  options.net.channels = {4, 3};
  options.net.kernel_size = 3;
  options.net.block.dtype = float64;
  options.dropout = 0.5;
  return options;
}

TEST(EmbeddedTcn, HasLocuslabsKeys) {
  manual_seed(1);
  EmbeddedTCN model(small());
  std::set<std::string> keys;
  for (const auto& [key, value] : state_dict(model)) {
    keys.insert(key);
  }
  for (const char* key : {"encoder.weight", "tcn.network.0.conv1.weight_g", "decoder.weight",
                          "tcn.network.1.downsample.weight", "decoder.bias"}) {
    EXPECT_TRUE(keys.contains(key)) << key;
  }
  const TCN::Options told = tcn_options_for(state_dict(model));
  EXPECT_EQ(told.output_size, 5);
  EXPECT_EQ(told.net.input_channels, 3);
  for (const double weight : model.decoder.weight.value().to_vector<double>()) {
    EXPECT_LT(std::abs(weight), 0.1);
  }
  EXPECT_EQ(model.decoder.bias.value().to_vector<double>(), std::vector<double>(5, 0.0));
}

TEST(EmbeddedTcn, IsToldByACheckpointThatHasItsTiedWeightsOnce) {
  manual_seed(7);
  EmbeddedTCN::Options options = small();
  options.tied = true;
  EmbeddedTCN model(options);
  StateDict once;
  for (const auto& [key, value] : state_dict(model)) {
    if (key != "encoder.weight") {
      once.emplace_back("module." + key, value);
    }
  }
  ASSERT_TRUE(has_key(once, "module.decoder.weight"));
  SequenceModelOptions general;
  OptionValues own = sequence_models().complete({"tcn"});
  sequence_models().find("tcn").take_from(once, general, own);
  ASSERT_TRUE(general.indices.has_value());
  EXPECT_EQ(general.indices->vocabulary, 5);
  const auto loaded = sequence_models().find("tcn").make(general, own);
  load_state_dict(*loaded, without_duplicates(once));
  model.eval();
  loaded->eval();
  const Tensor index = tensor<int64_t>({0, 4, 2}, {1, 3});
  EXPECT_EQ((*loaded)(index).to_vector<double>(), model(index).to_vector<double>());
}

TEST(EmbeddedTcn, TiesItsOutputToItsEmbedding) {
  manual_seed(5);
  EmbeddedTCN::Options options = small();
  EmbeddedTCN apart(options);
  options.tied = true;
  EmbeddedTCN model(options);
  EXPECT_EQ(count_parameters(apart) - count_parameters(model), 15);
  const Tensor index = tensor<int64_t>({0, 1, 2}, {1, 3});
  model.eval();
  Tape tape;
  tape.backward(sum(model(index)));
  // Rows that no index names get a gradient as outputs.
  const auto states = parameters(model);
  const std::vector<double> gradient = states[0]->grad.to_vector<double>();
  EXPECT_NE(std::count(gradient.begin() + 4 * 3, gradient.end(), 0.0), 3);
  options.net.channels = {3, 4};
  expect_throws<ValueError>([&] { EmbeddedTCN{options}; },
                            {"tied", "an embedding of 3", "last block of 4"});
  options.vocabulary = 0;
  expect_throws<ValueError>([&] { EmbeddedTCN{options}; }, {"vocabulary: got 0"});
  expect_throws<ShapeError>([&] { model(tensor<int64_t>({0}, {1})); }, {"(N, L)"});
  expect_throws<ValueError>([&] { model(tensor<int64_t>({5}, {1, 1})); }, {"5"});
}

TEST(EmbeddedTcn, DropsElementsOfTheEmbeddingInTraining) {
  EmbeddedTCN::Options options = small();
  options.net.block.dropout = 0;
  EmbeddedTCN model(options);
  const Tensor index = tensor<int64_t>({0, 1, 2, 3}, {1, 4});
  EXPECT_NE(model(index).to_vector<double>(), model(index).to_vector<double>());
  model.eval();
  EXPECT_EQ(model(index).to_vector<double>(), model(index).to_vector<double>());
}

TEST(IndexStream, HasTheLogitsOfTheWholePass) {
  manual_seed(4);
  EmbeddedTCN model(small());
  model.eval();
  const std::vector<int64_t> text{0, 3, 3, 1, 4, 2, 0, 0, 1, 2, 3, 4, 4, 4, 0, 1};
  const std::vector<double> whole = model(tensor<int64_t>(text, {1, 16})).to_vector<double>();
  IndexStream stream(model);
  EXPECT_EQ(stream.vocabulary(), 5);
  for (int round = 0; round < 2; ++round) {
    for (size_t t = 0; t < text.size(); ++t) {
      if (t == 7) {
        expect_throws<ValueError>([&] { stream.step(5); }, {"index: got 5, wanted 0 to 4"});
        expect_throws<ValueError>([&] { stream.step(-1); }, {"[IndexStream] index: got -1"});
      }
      const std::vector<double>& logits = stream.step(text[t]);
      for (size_t i = 0; i < 5; ++i) {
        EXPECT_NEAR(logits[i], whole[t * 5 + i], 1e-12) << t << " " << i;
      }
    }
    stream.reset();
  }
  EmbeddedTCN::Options centred = small();
  centred.net.block.causal = false;
  EmbeddedTCN ahead(centred);
  expect_throws<ValueError>([&] { IndexStream{ahead}; }, {"6 steps after them", "causal"});
}

TEST(SampleIndex, TakesIndicesByTheirProbabilities) {
  const std::vector<double> logits{std::log(1.0), std::log(4.0), std::log(3.0), std::log(2.0)};
  const auto counts = [&](const SamplingOptions& options) {
    std::vector<int> result(4);
    for (int i = 0; i < 1000; ++i) {
      ++result[static_cast<size_t>(sample_index(logits, i / 1000.0, options))];
    }
    return result;
  };
  const auto expect_near = [](const std::vector<int>& got, const std::vector<int>& wanted) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(got[i], wanted[i], wanted[i] == 0 ? 0 : 1) << i;
    }
  };
  expect_near(counts({}), {100, 400, 300, 200});
  expect_near(counts({.temperature = 0.5}), {33, 533, 300, 133});  // 1, 16, 9, 4 of 30
  expect_near(counts({.temperature = 0}), {0, 1000, 0, 0});
  expect_near(counts({.top_k = 2}), {0, 571, 429, 0});
  expect_near(counts({.top_k = 9}), {100, 400, 300, 200});
  EXPECT_EQ(sample_index({2, 7, 7}, 0.99, {.temperature = 0}), 1) << "the first of equal ones";
  EXPECT_EQ(sample_index({7, 2, 7, 7}, 0.9999, {.top_k = 2}), 2);
  EXPECT_EQ(sample_index({1000, -1000}, 0.5), 0);
  expect_throws<ValueError>([&] { sample_index(logits, 0, {.temperature = -1}); }, {"got -1"});
  expect_throws<ValueError>([&] { sample_index(logits, 0, {.top_k = -2}); }, {"top_k: got -2"});
  expect_throws<ValueError>(
      [&] {
        sample_index({1, std::numeric_limits<double>::quiet_NaN()}, 0);
      },
      {"logits"});
  expect_throws<ValueError>([&] { sample_index({}, 0); }, {"logits"});
}

}  // namespace
}  // namespace warptape
