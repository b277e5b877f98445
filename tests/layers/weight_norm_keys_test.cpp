#include "layers/weight_norm_keys.h"

#include <gtest/gtest.h>

#include "tests/core/expect_throws.h"
#include "tests/kernels/norm_reference.h"

namespace warptape {
namespace {

using Keys = std::vector<std::string>;

Keys keys_of(const StateDict& state) {
  Keys keys;
  for (const auto& [key, tensor] : state) {
    keys.push_back(key);
  }
  return keys;
}

// Two pairs, one of each spelling, and what is none.
struct Mixed {
  NormReference first{{4, 3, 2}, 0};
  NormReference second{{4, 3, 2}, 1};
  StateDict state{
      {"conv.bias", Tensor::zeros({4})},
      {"conv.weight_g", first.on<float>(cpu, first.g, first.norms)},
      {"conv.weight_v", first.on<float>(cpu, first.v, first.shape)},
      {"up.parametrizations.weight.original0", second.on<float>(cpu, second.g, second.norms)},
      {"up.parametrizations.weight.original1", second.on<float>(cpu, second.v, second.shape)},
      {"lonely_g", Tensor::ones({4, 1})},
      {"odd_g", Tensor::ones({2, 2})},
      {"odd_v", Tensor::ones({4, 3})},
      {"step", tensor<int64_t>({3}, {1})}};
};

TEST(WeightNormKeys, EveryPairGetsThem) {
  const Mixed mixed;
  const WithWeightNormKeys old = with_weight_norm_keys(mixed.state, WeightNormKeys::Old);
  EXPECT_EQ(keys_of(old.state), (Keys{"conv.bias", "conv.weight_g", "conv.weight_v", "up.weight_g",
                                      "up.weight_v", "lonely_g", "odd_g", "odd_v", "step"}));
  EXPECT_EQ(old.weights, (Keys{"conv.weight", "up.weight"}));
  const WithWeightNormKeys newer = with_weight_norm_keys(mixed.state, WeightNormKeys::New);
  EXPECT_EQ(keys_of(newer.state)[1], "conv.parametrizations.weight.original0");
  EXPECT_EQ(keys_of(newer.state)[3], "up.parametrizations.weight.original0");
  EXPECT_EQ(keys_of(with_weight_norm_keys(newer.state, WeightNormKeys::Old).state),
            keys_of(old.state));
  EXPECT_EQ(newer.state[2].second.to_vector<float>(), mixed.state[2].second.to_vector<float>());
}

TEST(WeightNormKeys, FoldedOnesAreTheWeights) {
  const Mixed mixed;
  const WithWeightNormKeys folded = with_weight_norm_keys(mixed.state, WeightNormKeys::Folded);
  EXPECT_EQ(keys_of(folded.state),
            (Keys{"conv.bias", "conv.weight", "up.weight", "lonely_g", "odd_g", "odd_v", "step"}));
  EXPECT_EQ(folded.state[1].second.dtype(), float32);
  EXPECT_LE(NormReference::error(folded.state[1].second, mixed.first.w), 1e-7);
  EXPECT_LE(NormReference::error(folded.state[2].second, mixed.second.w), 1e-7);
}

TEST(WeightNormKeys, OfARootAreWithoutAPath) {
  const StateDict root{{"weight_g", Tensor::ones({4, 1})}, {"weight_v", Tensor::ones({4, 3})}};
  EXPECT_EQ(keys_of(with_weight_norm_keys(root, WeightNormKeys::New).state),
            (Keys{"parametrizations.weight.original0", "parametrizations.weight.original1"}));
  EXPECT_EQ(keys_of(with_weight_norm_keys(root, WeightNormKeys::Folded).state), Keys{"weight"});
}

TEST(WeightNormKeys, AKeyThatIsThereAlreadyIsRefused) {
  Mixed mixed;
  mixed.state.emplace_back("conv.weight", Tensor::ones({1}));
  EXPECT_NO_THROW(with_weight_norm_keys(mixed.state, WeightNormKeys::Old));
  expect_throws<ValueError>([&] { with_weight_norm_keys(mixed.state, WeightNormKeys::Folded); },
                            {"conv.weight"});
}

}  // namespace
}  // namespace warptape
