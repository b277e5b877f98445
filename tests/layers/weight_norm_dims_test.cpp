// Weight norm along other dimensions than the first: the op on the CPU, layers and checkpoints. The
// kernels of "cuda" are in tests/kernels/cuda/weight_norm_columns_cuda_test.cpp.

#include <gtest/gtest.h>

#include "core/check.h"
#include "core/parallel.h"
#include "layers/conv_transpose1d.h"
#include "layers/embedding.h"
#include "layers/linear.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/norm_reference.h"
#include "tests/layers/near.h"

namespace warptape {
namespace {

struct Case {
  Shape shape;
  NormDim dim;
};

// Short and long slices, in one tile of the CPU's and in several.
std::vector<Case> cases() {
  return {{{9, 20, 7}, 1},
          {{33, 5}, -1},
          {{6, 5, 3}, {0, 2}},
          {{4, 3, 70}, 1},
          {{3000, 40}, 1},
          {{700, 3, 90}, 1},
          {{2, 700, 3, 40}, {0, 2}},
          {{2, 90'000}, 0},
          {{3, 2, 50'000}, 1},
          {{300, 350}, WholeTensor},
          {{40, 3, 50, 2, 3}, {1, 3}},
          {{2, 3, 4, 5, 6}, {1, 3}}};
}

template <class T>
void check(const Case& each, const NormReference& reference, MemoryFormat format) {
  SCOPED_TRACE(fmt::format("{} dim {} {} {}", each.shape, each.dim.to_string(),
                           to_string(dtype_of<T>()), to_string(format)));
  const double bound = sizeof(T) == 4 ? 1e-6 : 1e-13;
  const Parameter v(reference.on<T>(cpu, reference.v, each.shape, format));
  const Parameter g(reference.on<T>(cpu, reference.g, reference.norms));
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    const Tensor w = weight_norm(v, g, {.dim = each.dim});
    EXPECT_LE(NormReference::error(w, reference.w), bound);
    tape.backward(w, reference.on<T>(cpu, reference.dw, each.shape, format));
    EXPECT_LE(NormReference::error(v.grad(), reference.dv, pass * reference.dv_terms, pass),
              4 * bound);
    EXPECT_LE(NormReference::error(g.grad(), reference.dg, 1, pass), 100 * bound);
  }
}

TEST(WeightNormDims, AllAreTheFormula) {
  for (const Case& each : cases()) {
    const NormReference reference(each.shape, each.dim, true);
    check<float>(each, reference, MemoryFormat::RowMajor);
    check<double>(each, reference, normalized(MemoryFormat::ChannelsLast, each.shape.rank()));
  }
}

TEST(WeightNormDims, TheBitsDoNotDependOnThreads) {
  const int before = num_threads();
  for (const Case& each : cases()) {
    const NormReference reference(each.shape, each.dim);
    std::vector<std::vector<float>> results;
    for (int threads : {1, 3}) {
      set_num_threads(threads);
      Tensor v = reference.on<float>(cpu, reference.v, each.shape);
      const Tensor g = reference.on<float>(cpu, reference.g, reference.norms);
      Tape tape;
      tape.watch(v);
      tape.backward(weight_norm(v, g, {.dim = each.dim}),
                    reference.on<float>(cpu, reference.dw, each.shape));
      results.push_back(tape.gradient(v).to_vector<float>());
    }
    EXPECT_EQ(results[0], results[1]) << each.shape;
  }
  set_num_threads(before);
}

TEST(WeightNormDims, SlicesOfAnySizeAreNormalised) {
  for (const Case& each : cases()) {
    const NormReference reference(each.shape, each.dim);
    const Tensor g = reference.on<double>(cpu, reference.g, reference.norms);
    for (double size : {0x1p-1000, 0x1p-540, 0x1p+540, 0x1p+1000}) {
      std::vector<double> v = reference.v;
      for (double& value : v) {
        value *= size;
      }
      const Tensor w = weight_norm(reference.on<double>(cpu, v, each.shape), g, {.dim = each.dim});
      EXPECT_LE(NormReference::error(w, reference.w), 1e-13) << each.shape << " " << size;
    }
  }
}

TEST(WeightNormDims, ACacheOfAnotherDimIsStale) {
  const NormReference rows({3, 3}, 0);
  NormReference columns({3, 3}, 1);
  ASSERT_EQ(rows.v, columns.v);
  const Tensor v = rows.on<double>(cpu, rows.v, {3, 3});
  const Tensor g = rows.on<double>(cpu, rows.g, {3, 1});
  columns.g = rows.g;
  columns.compute();
  WeightNormCache cache;
  EXPECT_LE(NormReference::error(weight_norm(v, g, cache), rows.w), 1e-14);
  EXPECT_LE(NormReference::error(weight_norm(v, g.view({1, 3}), cache, {.dim = 1}), columns.w),
            1e-14);
}

const Shape& shape_of(Module& layer, const std::string& name) {
  for (const NamedParameter& named : named_parameters(layer)) {
    if (named.name == name) {
      return named.parameter->value().shape();
    }
  }
  throw ValueError("no parameter " + name);
}

ConvTranspose1d transposed() {
  return ConvTranspose1d({.in_channels = 4, .out_channels = 3, .kernel_size = 5, .dtype = float64});
}

TEST(WeightNormDims, OfALayerLeaveTheFunctionAsItIs) {
  const Tensor x = randn({2, 4, 6}, float64);
  const std::vector<std::pair<NormDim, Shape>> dims{
      {0, {4, 1, 1}}, {1, {1, 3, 1}}, {-1, {1, 1, 5}}, {{0, 1}, {4, 3, 1}}, {WholeTensor, Shape{}}};
  for (const auto& [dim, norms] : dims) {
    ConvTranspose1d layer = transposed();
    const Tensor before = layer(x);
    EXPECT_EQ(&weight_norm(layer, {.dim = dim}), &layer);
    expect_near(layer(x), before);
    EXPECT_EQ(shape_of(layer, "weight_g"), norms);
    EXPECT_EQ(layer.weight.reparametrization()->settings(),
              "weight_norm(dim=" + dim.to_string() + ")");
    const ConvTranspose1d copy = layer;
    EXPECT_EQ(copy.weight.reparametrization()->settings(),
              layer.weight.reparametrization()->settings());
    remove_weight_norm(layer);
    expect_near(layer(x), before);
  }
}

TEST(WeightNormDims, AnEmbeddingCanHaveOnePerFeature) {
  Embedding layer({.num_embeddings = 6, .embedding_dim = 4, .dtype = float64});
  const Tensor before = layer.weight.value().clone();
  weight_norm(layer, {.name = "weight", .dim = 1});
  EXPECT_EQ(shape_of(layer, "weight_g"), Shape({1, 4}));
  expect_near(layer.weight.value(), before);
}

TEST(WeightNormDims, AnotherNameListsTheWeights) {
  Linear layer({.in_features = 3, .out_features = 2});
  expect_throws<ValueError>(
      [&] { weight_norm(layer, {.name = "kernel"}); },
      {"[weight_norm] Linear", "kernel", "weight", "weight_norm_dims_test.cpp"});
  expect_throws<ShapeError>([&] { weight_norm(layer, {.dim = 2}); },
                            {"dim: got 2", "-2 to 1", "(2, 3)", "weight_norm_dims_test.cpp"});
  EXPECT_EQ(shape_of(layer, "weight"), Shape({2, 3})) << "nothing has changed";
  weight_norm(layer);
  expect_throws<ValueError>([&] { weight_norm(layer, {.dim = 1}); }, {"already", "dim=0"});
}

// ---- checkpoints ------------------------------------------------------------------------------

StateDict pair_of(const NormReference& reference, bool newer) {
  const std::string key = newer ? "parametrizations.weight.original" : "weight_";
  return {{key + (newer ? "0" : "g"), reference.on<double>(cpu, reference.g, reference.norms)},
          {key + (newer ? "1" : "v"), reference.on<double>(cpu, reference.v, reference.shape)},
          {"bias", Tensor::zeros({3}, float64)}};
}

TEST(WeightNormDims, ALoaderTakesThemFromTheShapeOfG) {
  for (const NormDim& dim : std::vector<NormDim>{0, 1, 2, {0, 2}, WholeTensor}) {
    const NormReference reference({4, 3, 5}, dim);
    for (bool newer : {false, true}) {
      ConvTranspose1d plain = transposed();
      load_state_dict(plain, pair_of(reference, newer));
      EXPECT_LE(NormReference::error(plain.weight.value(), reference.w), 1e-14);
      for (const NormDim& before : std::vector<NormDim>{0, -2, WholeTensor}) {
        ConvTranspose1d normed =
            weight_norm(*std::make_unique<ConvTranspose1d>(transposed()), {.dim = before});
        load_state_dict(normed, pair_of(reference, newer));
        EXPECT_LE(NormReference::error(normed.weight.value(), reference.w), 1e-14);
        EXPECT_EQ(shape_of(normed, "weight_g"), reference.norms);
        for (const auto& [key, value] : state_dict(normed)) {
          if (key == "weight_g") {
            EXPECT_LE(NormReference::error(value, reference.g), 0.0);
          }
        }
      }
    }
  }
}

TEST(WeightNormDims, AGOfNoDimIsMisShaped) {
  ConvTranspose1d layer = transposed();
  const NormReference reference({4, 3, 5}, 0);
  StateDict state = pair_of(reference, false);
  state[0].second = Tensor::ones({1, 1, 3}, float64);
  expect_throws<ValueError>([&] { load_state_dict(layer, state); },
                            {"weight_g", "(1, 1, 3)", "(4, 1, 1)"});
  weight_norm(layer, {.dim = 1});
  expect_throws<ValueError>([&] { load_state_dict(layer, state); },
                            {"weight_g", "(1, 1, 3)", "(1, 3, 1)"});
}

}  // namespace
}  // namespace warptape
