// Weight norm's CUDA kernels over all their geometries, against plain loops in double.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/weight_norm/weight_norm.h"
#include "kernels/weight_norm/weight_norm_cuda.h"
#include "kernels/weight_norm/weight_norm_geometry.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"

namespace warptape {
namespace {

class WeightNormCuda : public GpuTest {};

// Everything about one weight on the host, in double.
struct Reference {
  std::vector<double> v, g, dw, w, dv, dg;
  double dv_terms = 0;  // the largest of the terms whose difference is dv

  Reference(int64_t rows, int64_t length, bool with_zero_row) {
    manual_seed(static_cast<uint64_t>(length));
    const auto count = static_cast<size_t>(rows * length);
    v = randn({rows * length}, float64).to_vector<double>();
    dw = randn({rows * length}, float64).to_vector<double>();
    g = randn({rows}, float64).to_vector<double>();
    if (with_zero_row) {
      std::fill_n(v.end() - static_cast<std::ptrdiff_t>(length), length, 0.0);
    }
    // What float32 can hold, so that both dtypes start from the same numbers.
    for (auto* values : {&v, &dw, &g}) {
      std::transform(values->begin(), values->end(), values->begin(),
                     [](double value) { return static_cast<float>(value); });
    }
    w.resize(count);
    dv.resize(count);
    dg.resize(static_cast<size_t>(rows));
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      double square = 0;
      double dot = 0;
      const size_t begin = row * static_cast<size_t>(length);
      const size_t end = begin + static_cast<size_t>(length);
      for (size_t i = begin; i < end; ++i) {
        square += v[i] * v[i];
        dot += v[i] * dw[i];
      }
      const double r = square == 0 ? 0 : 1 / std::sqrt(square);
      dg[row] = dot * r;
      for (size_t i = begin; i < end; ++i) {
        w[i] = g[row] * r * v[i];
        dv[i] = g[row] * r * (dw[i] - v[i] * r * r * dot);
        dv_terms = std::max(dv_terms, std::abs(g[row] * r * dw[i]));
      }
    }
  }
};

template <class T>
Tensor on_cuda(const std::vector<double>& values, const Shape& shape) {
  return tensor(std::vector<T>(values.begin(), values.end()), shape).to(cuda);
}

// The same elements at an address that is no multiple of 16 bytes.
template <class T>
Tensor misaligned(const std::vector<double>& values, const Shape& shape) {
  std::vector<double> longer(1, 0.0);
  longer.insert(longer.end(), values.begin(), values.end());
  const auto count = static_cast<int64_t>(longer.size());
  return on_cuda<T>(longer, {count}).slice(1, count).view(shape);
}

// Largest difference from `times` what is wanted, over the largest value, or over `magnitude` where
// that is larger: the size of the terms of a difference that may vanish.
template <class T>
double error(const Tensor& got, const std::vector<double>& wanted, double magnitude,
             double times = 1) {
  const std::vector<T> values = got.to(cpu).to_vector<T>();
  double difference = 0;
  double largest = magnitude;
  EXPECT_EQ(values.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double delta = std::abs(static_cast<double>(values[i]) - times * wanted[i]);
    difference = std::isnan(delta) ? INFINITY : std::max(difference, delta);
    largest = std::max(largest, std::abs(wanted[i]));
  }
  return difference / largest;
}

// What one check computes on: the reference, and the same numbers on the device.
template <class T>
struct Weight {
  Reference reference;
  Tensor v, g, dw;

  Weight(int64_t rows, int64_t length, bool aligned, bool with_zero_row = false)
      : reference(rows, length, with_zero_row), g(on_cuda<T>(reference.g, {rows, 1})) {
    const Shape shape{rows, length};
    v = aligned ? on_cuda<T>(reference.v, shape) : misaligned<T>(reference.v, shape);
    dw = aligned ? on_cuda<T>(reference.dw, shape) : misaligned<T>(reference.dw, shape);
  }
  double bound() const { return sizeof(T) == 4 ? 2e-6 : 1e-13; }
  double bound_of_sums() const {  // of dg, a sum over a row
    return bound() * std::sqrt(static_cast<double>(v.size(1)));
  }
};

// Forward and backward, both gradients wanted.
template <class T>
void check(int64_t rows, int64_t length, bool aligned, bool with_zero_row = false) {
  SCOPED_TRACE(fmt::format("{} rows of {} {}{}", rows, length, to_string(dtype_of<T>()),
                           aligned ? "" : ", misaligned"));
  Weight<T> weight(rows, length, aligned, with_zero_row);
  Tape tape;
  tape.watch(weight.v);
  tape.watch(weight.g);
  const Tensor w = weight_norm(weight.v, weight.g);
  tape.backward(w, weight.dw);
  EXPECT_LE(error<T>(w, weight.reference.w, 0), weight.bound());
  EXPECT_LE(error<T>(tape.gradient(weight.v), weight.reference.dv, weight.reference.dv_terms),
            weight.bound());
  EXPECT_LE(error<T>(tape.gradient(weight.g), weight.reference.dg, 1), weight.bound_of_sums());
}

TEST_F(WeightNormCuda, OneGradientAloneIsComputedAlone) {
  for (int64_t length : {27, 64, 577, 16'385}) {
    for (bool aligned : {true, false}) {
      Weight<float> weight(3, length, aligned);
      for (Tensor* wanted : {&weight.v, &weight.g}) {
        Tape tape;
        tape.watch(*wanted);
        tape.backward(weight_norm(weight.v, weight.g), weight.dw);
        const bool is_v = wanted == &weight.v;
        EXPECT_LE(
            error<float>(tape.gradient(*wanted), is_v ? weight.reference.dv : weight.reference.dg,
                         is_v ? weight.reference.dv_terms : 1),
            weight.bound_of_sums());
        *wanted = wanted->detach();
      }
    }
  }
}

TEST_F(WeightNormCuda, GradientsAreAddedToWhatIsThere) {
  for (int64_t length : {27, 64, 577, 16'385}) {
    const Weight<float> weight(3, length, true);
    const Parameter v(weight.v);
    const Parameter g(weight.g);
    for (int pass = 0; pass < 2; ++pass) {
      Tape tape;
      tape.backward(weight_norm(v, g), weight.dw);
    }
    EXPECT_LE(error<float>(v.grad(), weight.reference.dv, weight.reference.dv_terms, 2),
              4 * weight.bound());
    EXPECT_LE(error<float>(g.grad(), weight.reference.dg, 1, 2), 4 * weight.bound_of_sums());
  }
}

TEST_F(WeightNormCuda, NormsAlone) {
  for (int64_t length : {1, 27, 64, 577, 16'385}) {
    const Weight<double> weight(3, length, true);
    std::vector<double> norms;
    for (int64_t row = 0; row < 3; ++row) {
      double square = 0;
      for (int64_t i = row * length; i < (row + 1) * length; ++i) {
        const double value = weight.reference.v[static_cast<size_t>(i)];
        square += value * value;
      }
      norms.push_back(std::sqrt(square));
    }
    EXPECT_LE(error<double>(norm_except_dim(weight.v), norms, 0), weight.bound());
  }
}

TEST_F(WeightNormCuda, ShortRows) {
  for (int64_t length : {1, 2, 3, 4, 5, 6, 7, 8, 12, 20, 26, 27, 31, 32, 33, 62, 63, 64}) {
    check<float>(67, length, true);
    check<double>(35, length, true);
  }
}

TEST_F(WeightNormCuda, RowsOfAWarpAndMore) {
  for (int64_t length :
       {65, 66, 100, 127, 128, 129, 131, 132, 383, 385, 510, 512, 513, 576, 577, 1023, 1025}) {
    check<float>(9, length, true);
    check<double>(5, length, true);
  }
}

TEST_F(WeightNormCuda, RowsOfABlock) {
  for (int64_t length : {4096, 4097, 13'824, 16'383, 16'384}) {
    check<float>(2, length, true);
  }
  for (int64_t length : {4097, 8191, 8192}) {
    check<double>(2, length, true);
  }
}

TEST_F(WeightNormCuda, RowsThatNoBlockHolds) {
  for (int64_t length : {16'385, 40'003}) {
    check<float>(2, length, true);
  }
  check<double>(2, 8193, true);
  check<float>(1, is_sanitized() ? 100'000 : 1'000'000, true);
}

TEST_F(WeightNormCuda, SlicesThatStartAnywhere) {
  for (int64_t length : {1, 5, 27, 64, 577, 16'385}) {
    check<float>(3, length, false);
    check<double>(3, length, false);
  }
}

TEST_F(WeightNormCuda, ARowOfZerosGivesZeros) {
  for (int64_t length : {5, 27, 576, 17'000}) {
    check<float>(2, length, true, true);
    check<double>(2, length, true, true);
  }
}

TEST_F(WeightNormCuda, NothingOverflowsThatTheResultDoesNot) {
  for (int64_t length : {5, 576, 17'000}) {
    const std::vector<float> tiny(static_cast<size_t>(length), 1e-30f);
    Tensor v = tensor(tiny, {1, length}).to(cuda);
    const Tensor g = Tensor::ones({1, 1}, float32, cuda);
    const std::vector<double> expected(static_cast<size_t>(length),
                                       1 / std::sqrt(static_cast<double>(length)));
    EXPECT_LE(error<float>(weight_norm(v, g), expected, 0), 1e-6);
  }
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values) {
    value *= factor;
  }
  return values;
}

// Neither w nor dg depends on the size of v, and dv is as its inverse. size: a power of two.
template <class T>
void check_size(double size, int64_t length, bool aligned) {
  SCOPED_TRACE(fmt::format("rows of {} {} of size {}{}", length, to_string(dtype_of<T>()), size,
                           aligned ? "" : ", misaligned"));
  Weight<T> weight(2, length, aligned);
  const std::vector<double> v = times(weight.reference.v, size);
  const Shape shape{2, length};
  weight.v = aligned ? on_cuda<T>(v, shape) : misaligned<T>(v, shape);
  Tape tape;
  tape.watch(weight.v);
  tape.watch(weight.g);
  const Tensor w = weight_norm(weight.v, weight.g);
  tape.backward(w, weight.dw);
  EXPECT_LE(error<T>(w, weight.reference.w, 0), weight.bound());
  EXPECT_LE(error<T>(tape.gradient(weight.g), weight.reference.dg, 1), weight.bound_of_sums());
  const Tensor on_host = tape.gradient(weight.v).to(cpu);
  const std::vector<T> dv = on_host.to_vector<T>();
  const Tensor scaled = tensor(times(std::vector<double>(dv.begin(), dv.end()), size), shape);
  EXPECT_LE(error<double>(scaled, weight.reference.dv, weight.reference.dv_terms), weight.bound());
}

TEST_F(WeightNormCuda, RowsOfAnySizeAreNormalised) {
  for (bool aligned : {true, false}) {
    for (int64_t length : {2, 5, 27, 64, 147, 577, 8193}) {
      for (double size : {0x1p-1000, 0x1p-700, 0x1p+700, 0x1p+1000}) {
        check_size<double>(size, length, aligned);
      }
    }
    for (int64_t length : {2, 5, 27, 64, 147, 577, 16'385}) {
      for (double size : {0x1p-115, 0x1p+115}) {
        check_size<float>(size, length, aligned);
      }
    }
  }
}

TEST_F(WeightNormCuda, NormsOfRowsOfAnySize) {
  for (int64_t length : {2, 27, 147, 577, 8193}) {
    const Weight<double> weight(2, length, true);
    const std::vector<double> wanted = norm_except_dim(weight.v).to(cpu).to_vector<double>();
    for (double size : {0x1p-700, 0x1p+700}) {
      const Tensor v = on_cuda<double>(times(weight.reference.v, size), {2, length});
      EXPECT_LE(error<double>(norm_except_dim(v), times(wanted, size), 0), 1e-14);
    }
  }
}

TEST_F(WeightNormCuda, GainsAndRowsOfOppositeSizesMeetInBetween) {
  for (const auto& [size, gain] : {std::pair(0x1p-110, 0x1p+40), std::pair(0x1p+110, 0x1p-40)}) {
    const Tensor v = on_cuda<float>({3 * size, 4 * size}, {1, 2});
    const Tensor g = on_cuda<float>({5 * gain}, {1, 1});
    EXPECT_LE(error<float>(weight_norm(v, g), {3 * gain, 4 * gain}, 0), 1e-6);
  }
  for (const auto& [size, gain] : {std::pair(0x1p-700, 0x1p+500), std::pair(0x1p+700, 0x1p-500)}) {
    const Tensor v = on_cuda<double>({3 * size, 4 * size}, {1, 2});
    const Tensor g = on_cuda<double>({5 * gain}, {1, 1});
    EXPECT_LE(error<double>(weight_norm(v, g), {3 * gain, 4 * gain}, 0), 1e-14);
  }
}

TEST_F(WeightNormCuda, GradientsAsSmallAsTheirRowsDoNotVanish) {
  for (int64_t length : {2, 5, 147, 8193}) {
    Weight<double> weight(2, length, true);
    const Shape shape{2, length};
    Tensor v = on_cuda<double>(times(weight.reference.v, 0x1p-700), shape);
    Tape tape;
    tape.watch(weight.g);
    tape.backward(weight_norm(v, weight.g),
                  on_cuda<double>(times(weight.reference.dw, 0x1p-700), shape));
    EXPECT_LE(
        error<double>(tape.gradient(weight.g), times(weight.reference.dg, 0x1p-700), 0x1p-700),
        weight.bound_of_sums());
  }
}

TEST_F(WeightNormCuda, TheGeometryFollowsTheRow) {
  using namespace weight_norm_detail;
  const auto layout = [](int64_t length) { return geometry<float>(length, 2, true).layout; };
  const auto lanes = [](int64_t length) { return geometry<float>(length, 2, true).lanes; };
  EXPECT_EQ(layout(5), Layout::Staged);
  EXPECT_EQ(layout(27), Layout::Staged);
  EXPECT_EQ(layout(147), Layout::Staged);
  EXPECT_EQ(lanes(27), 1);
  EXPECT_EQ(lanes(147), 32);
  EXPECT_EQ(layout(576), Layout::Team);
  EXPECT_EQ(lanes(32), 8);
  EXPECT_EQ(lanes(576), 64);
  EXPECT_EQ(lanes(4096), 256);
  EXPECT_EQ(lanes(13'824), 1024);
  EXPECT_EQ(layout(16'384), Layout::Team);
  EXPECT_EQ(layout(16'385), Layout::Split);
  EXPECT_EQ(geometry<float>(5, 2, false).layout, Layout::Unaligned);
  for (int64_t length = 1; length <= 16'384; ++length) {
    const Geometry g = geometry<float>(length, 2, true);
    if (g.layout == Layout::Team) {
      EXPECT_GE(int64_t{g.lanes} * items_per_thread<float>, length);
    } else {
      // Blocks begin at a sector; a block of 256 threads has one for each row.
      EXPECT_GE(g.rows_per_block, g.lanes == 1 ? 32 : 8);
      EXPECT_EQ(g.rows_per_block % 8, 0);
      EXPECT_LE(g.lanes == 1 ? 0 : g.rows_per_block, most_rows_by_warps);
      EXPECT_LE(int64_t{g.rows_per_block} * length * 8, rows::staged_bytes);
    }
  }
}

// A model's weights of all geometries, more than one table holds, on the pointers' level.
TEST_F(WeightNormCuda, ManyWeightsShareALaunch) {
  const std::vector<int64_t> lengths{5, 27, 8, 576, 100, 2001, 33, 147};
  std::vector<Reference> references;
  std::vector<Tensor> tensors;
  std::vector<WeightNormForward<float, float>> forward;
  std::vector<WeightNormBackward<float>> backward;
  std::vector<Tensor> results;
  std::vector<Tensor> gradients;
  std::vector<Tensor> gain_gradients;
  for (size_t i = 0; i < 130; ++i) {
    const int64_t length = lengths[i % lengths.size()];
    const int64_t rows = 3 + static_cast<int64_t>(i) % 5;
    references.emplace_back(rows, length, i % 7 == 0);
    const Reference& reference = references.back();
    Tensor v = on_cuda<float>(reference.v, {rows, length});
    Tensor g = on_cuda<float>(reference.g, {rows});
    Tensor dw = on_cuda<float>(reference.dw, {rows, length});
    Tensor w = Tensor::empty_like(v);
    Tensor inv_norm = Tensor::empty({rows}, float64, cuda);
    Tensor dv = Tensor::empty_like(v);
    Tensor dg = Tensor::empty_like(g);
    forward.push_back({v.data<float>(), g.data<float>(), w.mutable_data<float>(), nullptr,
                       inv_norm.mutable_data<double>(), rows, length});
    backward.push_back({dw.data<float>(), v.data<float>(), g.data<float>(), inv_norm.data<double>(),
                        dv.mutable_data<float>(), dg.mutable_data<float>(), rows, length, false,
                        false});
    tensors.insert(tensors.end(), {v, g, dw, inv_norm});
    gain_gradients.push_back(dg);
    results.push_back(w);
    gradients.push_back(dv);
  }
  const uint64_t before = gpu::launches;
  launch_weight_norm_forward<float, float>(forward, nullptr, gpu::current_stream());
  EXPECT_EQ(gpu::launches - before, 2u);  // 128 weights, and the rest
  launch_weight_norm_backward<float>(backward, nullptr, gpu::current_stream());
  EXPECT_EQ(gpu::launches - before, 4u);
  for (size_t i = 0; i < references.size(); ++i) {
    EXPECT_LE(error<float>(results[i], references[i].w, 0), 2e-6) << i;
    EXPECT_LE(error<float>(gradients[i], references[i].dv, references[i].dv_terms), 2e-6) << i;
    EXPECT_LE(error<float>(gain_gradients[i], references[i].dg, 1), 1e-4) << i;
  }
}

// All layouts in one call, two of each that share what a launch needs (the scratch of split rows),
// with gradients that lie anywhere and add to what is there.
TEST_F(WeightNormCuda, AllLayoutsTogetherAddToGradientsThatLieAnywhere) {
  struct Kind {
    int64_t rows, length;
    bool aligned, aligned_grad, adds;
  };
  const std::vector<Kind> kinds{{2, 16'385, true, true, true}, {3, 17'000, true, true, false},
                                {2, 20'001, true, true, true}, {3, 16'390, false, false, true},
                                {5, 27, true, false, true},    {4, 576, true, false, false},
                                {3, 577, false, true, true},   {3, 64, true, true, true},
                                {2, 147, true, false, true}};
  std::vector<Reference> references;
  std::vector<Parameter> v, g;
  std::vector<Tensor> dw;
  std::vector<WeightNormCache> caches(kinds.size());
  const auto old_gradient = [](const Parameter& parameter, const Kind& kind) {
    const std::vector<double> values(static_cast<size_t>(parameter.value().numel()), 3.0);
    ParameterState& state = *parameter.state();
    state.grad = kind.aligned_grad ? on_cuda<float>(values, state.value.shape())
                                   : misaligned<float>(values, state.value.shape());
    state.grad_is_empty = !kind.adds;
  };
  for (const Kind& kind : kinds) {
    const Weight<float> weight(kind.rows, kind.length, kind.aligned);
    references.push_back(weight.reference);
    v.emplace_back(weight.v);
    g.emplace_back(weight.g);
    dw.push_back(weight.dw);
    old_gradient(v.back(), kind);
    old_gradient(g.back(), kind);
  }
  std::vector<WeightNormUse> uses;
  for (size_t i = 0; i < kinds.size(); ++i) {
    uses.push_back({v[i], g[i], &caches[i]});
  }
  Tape tape;
  weight_norm_together(uses);
  Tensor loss;
  for (size_t i = 0; i < kinds.size(); ++i) {
    EXPECT_LE(error<float>(caches[i].w, references[i].w, 0), 2e-6) << i;
    const Tensor term = sum(mul(caches[i].w, dw[i]));
    loss = loss.defined() ? add(loss, term) : term;
  }
  tape.backward(loss);
  for (size_t i = 0; i < kinds.size(); ++i) {
    SCOPED_TRACE(fmt::format("weight {}, rows of {}", i, kinds[i].length));
    const auto with_old = [&](std::vector<double> gradient) {
      for (double& value : gradient) {
        value += kinds[i].adds ? 3 : 0;
      }
      return gradient;
    };
    EXPECT_LE(error<float>(v[i].grad(), with_old(references[i].dv), references[i].dv_terms), 4e-6);
    EXPECT_LE(error<float>(g[i].grad(), with_old(references[i].dg), 1), 3e-4);
  }
}

}  // namespace
}  // namespace warptape
