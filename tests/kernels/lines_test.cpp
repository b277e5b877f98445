// The convolutions along lines of each level of instructions that the processor has, against the
// loops in float64.

#include "kernels/conv1d/lines.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "core/parallel.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv1d/conv1d.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/slice/slice.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

struct Line {
  Shape x;
  Shape weight;
  Conv1dOptions options;
};

// y, dx, dweight, dbias.
std::vector<Tensor> results_of(const Line& line, DType dtype) {
  Generator generator(9);
  std::vector<Tensor> in;
  for (const Shape& shape : {line.x, line.weight, Shape{line.weight[0]}}) {
    in.push_back(randn(shape, float32, generator).to(dtype));
  }
  Tape tape;
  for (Tensor& tensor : in) {
    tape.watch(tensor);
  }
  const Tensor y = conv1d(in[0], in[1], in[2], line.options);
  tape.backward(y, randn(y.shape(), float32, generator).to(dtype));
  return {y, tape.gradient(in[0]), tape.gradient(in[1]), tape.gradient(in[2])};
}

// The norm of the difference over the norm of what is wanted: roundings of sums of up to a few
// thousand products.
void expect_close(const Tensor& got, const Tensor& wanted, const std::string& what) {
  ASSERT_EQ(got.shape(), wanted.shape()) << what;
  const std::vector<double> a = got.to_vector<double>();
  const std::vector<double> b = wanted.to_vector<double>();
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LE(std::sqrt(difference), 2e-6 * std::sqrt(norm)) << what;
}

class Instructions {
 public:
  explicit Instructions(LineInstructions instructions) { use_line_instructions(instructions); }
  ~Instructions() { use_line_instructions(best_line_instructions()); }
};

std::vector<LineInstructions> all_levels() {
  std::vector<LineInstructions> levels;
  for (LineInstructions level :
       {LineInstructions::Baseline, LineInstructions::Avx2, LineInstructions::Avx512}) {
    if (level <= best_line_instructions()) {
      levels.push_back(level);
    }
  }
  return levels;
}

void expect_right(const Line& line) {
  const std::vector<Tensor> wanted = results_of(line, float64);
  for (LineInstructions level : all_levels()) {
    SCOPED_TRACE("x " + line.x.to_string() + ", weight " + line.weight.to_string() + ", level " +
                 std::to_string(static_cast<int>(level)));
    const Instructions use(level);
    const std::vector<Tensor> got = results_of(line, float32);
    EXPECT_EQ(got[0].memory_format(), MemoryFormat::RowMajor) << "the lines do not serve";
    const char* const names[] = {"y", "dx", "dweight", "dbias"};
    for (size_t i = 0; i < got.size(); ++i) {
      expect_close(got[i].to(float64), wanted[i], names[i]);
    }
  }
}

// Around one, two and three vectors of each level, and what is left behind them.
TEST(Lines, OfEveryLength) {
  for (int64_t length :
       {1,  2,  3,  4,  5,  7,  8,  9,  11, 12, 13, 15, 16, 17, 23, 24,  25,  31,
        32, 33, 40, 47, 48, 49, 63, 64, 65, 79, 80, 81, 95, 96, 97, 111, 113, 145}) {
    expect_right({{2, 3, length}, {5, 3, 3}, {.padding = Padding1d::causal(), .dilation = 2}});
  }
}

// Blocks of every size, and all that they may leave.
TEST(Lines, OfEveryNumberOfChannels) {
  for (int64_t channels = 1; channels <= 19; ++channels) {
    expect_right({{1, channels, 37}, {20 - channels, channels, 2}, {.padding = 1}});
  }
}

TEST(Lines, OfEveryNumberOfTaps) {
  for (int64_t taps = 1; taps <= 17; ++taps) {
    expect_right({{2, 2, 50}, {3, 2, taps}, {.padding = Padding1d::same()}});
  }
}

// Windows that begin far before the line, end far behind it, or lie beside it altogether.
TEST(Lines, OfEveryPadding) {
  for (int64_t dilation : {1, 5, 16, 40, 100}) {
    expect_right({{2, 3, 45}, {4, 3, 3}, {.padding = Padding1d::causal(), .dilation = dilation}});
    expect_right({{2, 3, 45}, {4, 3, 3}, {.padding = Padding1d::same(), .dilation = dilation}});
    expect_right({{1, 3, 45},
                  {4, 3, 3},
                  {.padding = Sides1d{.left = 0, .right = 2 * dilation}, .dilation = dilation}});
  }
  expect_right({{1, 2, 70}, {3, 2, 4}, {}});
  expect_right({{1, 2, 9}, {3, 2, 9}, {}});
  expect_right({{1, 2, 20}, {3, 2, 4}, {.padding = 50}});
}

// Most taps meet nothing but zeros, as many as cost nothing.
TEST(Lines, OfHugeDilations) {
  const int64_t dilation = int64_t{1} << 27;
  expect_right({{1, 2, 8}, {3, 2, 3}, {.padding = Padding1d::causal(), .dilation = dilation}});
  expect_right({{1, 2, 40}, {3, 2, 2}, {.padding = Padding1d::same(), .dilation = dilation}});
}

// The zeros beside a line are no numbers that an infinite weight is multiplied by.
TEST(Lines, WeightsThatMeetOnlyZerosDoNotCount) {
  const Tensor weight = tensor<float>({HUGE_VALF, 1}, {1, 1, 2});
  for (LineInstructions level : all_levels()) {
    const Instructions use(level);
    for (int64_t length : {3, 16, 40, 100}) {
      const std::vector<float> y =
          conv1d(Tensor::ones({1, 1, length}), weight, Tensor(), {.padding = Padding1d::causal()})
              .to_vector<float>();
      EXPECT_EQ(y[0], 1) << "length " << length;
      for (size_t t = 1; t < y.size(); ++t) {
        EXPECT_EQ(y[t], HUGE_VALF);
      }
    }
  }
}

// Nor are they met by a gradient that is not finite.
TEST(Lines, GradientsThatMeetOnlyZerosDoNotCount) {
  for (LineInstructions level : all_levels()) {
    const Instructions use(level);
    for (int64_t length : {3, 16, 40, 100}) {
      Tensor weight = Tensor::ones({1, 1, 2});
      Tape tape;
      tape.watch(weight);
      const Tensor y =
          conv1d(Tensor::ones({1, 1, length}), weight, Tensor(), {.padding = Padding1d::causal()});
      std::vector<float> dy(static_cast<size_t>(length), 1);
      dy[0] = HUGE_VALF;
      tape.backward(y, tensor(dy, y.shape()));
      EXPECT_EQ(tape.gradient(weight).to_vector<float>(),
                (std::vector<float>{static_cast<float>(length - 1), HUGE_VALF}))
          << "length " << length;
    }
  }
}

// Whole numbers, whose sums are exact in any order.
Tensor whole_numbers(const Shape& shape) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i * i % 7) - 3;
  }
  return tensor(values, shape);
}

// Sums of blocks of sequences, of spans of time and of groups of inputs come together, each product
// once.
TEST(Lines, FiltersOfManyParts) {
  const Line lines[] = {
      {{2, 1, 140000}, {1, 1, 2}, {}},  // a block of its own for each sequence
      {{3, 2, 2100}, {2, 2, 3}, {.padding = Padding1d::causal(), .dilation = 600}},
      {{2, 70, 20}, {7, 70, 2}, {.padding = Padding1d::causal()}},
  };
  for (const Line& line : lines) {
    std::vector<std::vector<float>> results;
    for (const DType dtype : {float64, float32}) {
      for (LineInstructions level : all_levels()) {
        const Instructions use(level);
        const Tensor x = whole_numbers(line.x).to(dtype);
        Tensor weight = whole_numbers(line.weight).to(dtype);
        Tensor bias = whole_numbers({line.weight[0]}).to(dtype);
        Tape tape;
        tape.watch(weight);
        tape.watch(bias);
        const Tensor y = conv1d(x, weight, bias, line.options);
        tape.backward(y, whole_numbers(y.shape()).to(dtype));
        EXPECT_TRUE(dtype == float64 || y.memory_format() == MemoryFormat::RowMajor);
        results.push_back(tape.gradient(weight).to(float32).to_vector<float>());
        results.push_back(tape.gradient(bias).to(float32).to_vector<float>());
      }
    }
    for (size_t i = 2; i < results.size(); ++i) {
      EXPECT_EQ(results[i], results[i % 2]) << line.x.to_string() << ", result " << i;
    }
  }
}

// A filter or a bias that is not trained costs the other nothing.
TEST(Lines, FiltersWithoutBiasesAndBiasesWithoutFilters) {
  const Tensor x = whole_numbers({2, 3, 50});
  const Tensor dy = whole_numbers({2, 4, 50});
  const auto gradients = [&](bool of_weight, bool of_bias) {
    Tensor weight = whole_numbers({4, 3, 2});
    Tensor bias = whole_numbers({4});
    Tape tape;
    if (of_weight) {
      tape.watch(weight);
    }
    if (of_bias) {
      tape.watch(bias);
    }
    tape.backward(conv1d(x, weight, bias, {.padding = Padding1d::causal()}), dy);
    return std::pair(of_weight ? tape.gradient(weight).to_vector<float>() : std::vector<float>(),
                     of_bias ? tape.gradient(bias).to_vector<float>() : std::vector<float>());
  };
  EXPECT_EQ(gradients(true, false).first, gradients(true, true).first);
  EXPECT_EQ(gradients(false, true).second, gradients(true, true).second);
}

// What x got from others before is added to, each element once; the bits are those of a sum behind.
TEST(Lines, GradientsOfInputsWithOtherReadersAreAdded) {
  for (LineInstructions level : all_levels()) {
    const Instructions use(level);
    for (int64_t length = 1; length <= 133; length += length < 50 || length > 126 ? 1 : 7) {
      Generator generator(3);
      const bool pairs = length >= 128 && length < 133;
      const Shape filters = pairs ? Shape{24, 25, 3} : Shape{9, 3, 2};
      const Tensor x = randn({2, filters[1], length}, float32, generator);
      const Tensor weight = randn(filters, float32, generator);
      const Tensor dy = randn({2, filters[0], length}, float32, generator);
      const Tensor others = randn(x.shape(), float32, generator);
      // y may be of x, or of x and of its product, whose gradient comes first.
      const auto gradient = [&](bool by_conv, bool by_product) {
        Tensor leaf = x;
        Tape tape;
        tape.watch(leaf);
        Tensor sum = Tensor::zeros({1});
        if (by_conv) {
          sum =
              add(sum, warptape::sum(mul(
                           conv1d(leaf, weight, Tensor(), {.padding = Padding1d::causal()}), dy)));
        }
        if (by_product) {
          sum = add(sum, warptape::sum(mul(leaf, others)));
        }
        tape.backward(sum);
        return tape.gradient(leaf).to_vector<float>();
      };
      std::vector<float> wanted = gradient(true, false);
      const std::vector<float> product = gradient(false, true);
      for (size_t i = 0; i < wanted.size(); ++i) {
        wanted[i] += product[i];
      }
      ASSERT_EQ(gradient(true, true), wanted) << "length " << length;
    }
  }
}

// 3 taps of many channels go by pairs of outputs: every dilation that vectors have, and lengths
// that end within a pair, a vector, a tile and a part.
TEST(Lines, ByPairs) {
  for (int64_t dilation : {1, 2, 4, 8, 16, 32}) {
    for (int64_t length : {256, 269, 351, 512, 801}) {
      expect_right(
          {{1, 24, length}, {25, 24, 3}, {.padding = Padding1d::causal(), .dilation = dilation}});
    }
    expect_right({{2, 25, 300}, {24, 25, 3}, {.padding = Padding1d::same(), .dilation = dilation}});
    expect_right({{1, 24, 300}, {24, 24, 3}, {.dilation = dilation}});
  }
  for (int64_t dilation : {3, 12, 64}) {
    expect_right({{1, 24, 700},
                  {24, 24, 3},
                  {.padding = Sides1d{.left = 1, .right = 90}, .dilation = dilation}});
  }
}

// That pairs are taken shows in last bits: a sequence that is too short for them goes by taps.
TEST(Lines, ManyChannelsGoByPairs) {
  Generator generator(5);
  const Tensor weight = randn({64, 64, 3}, float32, generator);
  const Tensor x = randn({1, 64, 1024}, float32, generator);
  const Conv1dOptions options{.padding = Padding1d::causal(), .dilation = 4};
  constexpr int64_t few = 24;
  for (LineInstructions level : all_levels()) {
    const Instructions use(level);
    const std::vector<float> by_pairs = conv1d(x, weight, Tensor(), options).to_vector<float>();
    const std::vector<float> by_taps =
        conv1d(slice(x, 2, 0, few), weight, Tensor(), options).to_vector<float>();
    int64_t different = 0;
    for (int64_t o = 0; o < 64; ++o) {
      for (int64_t t = 0; t < few; ++t) {
        const float one = by_pairs[static_cast<size_t>(o * 1024 + t)];
        const float other = by_taps[static_cast<size_t>(o * few + t)];
        ASSERT_NEAR(one, other, 1e-4F);
        different += one != other ? 1 : 0;
      }
    }
    EXPECT_GT(different, 0);
  }
}

// Pairs would make NaN of an infinite input, and of two whose sum is too large, where taps do not.
TEST(Lines, PairsThatAreNotFinite) {
  for (int64_t dilation : {1, 16}) {
    const Conv1dOptions options{.padding = Padding1d::causal(), .dilation = dilation};
    const Shape shape{1, 24, 300};
    Generator generator(5);
    std::vector<float> values = randn(shape, float32, generator).to_vector<float>();
    for (size_t at : {40, 41, 140, 6000}) {
      values[at] = HUGE_VALF;
    }
    for (size_t at = 5000; at < 5000 + 3 * static_cast<size_t>(dilation); ++at) {
      values[at] = 2e38F;
    }
    const auto results = [&](DType dtype) {
      Generator again(6);
      const Tensor weight = mul(randn({24, 24, 3}, float32, again), 0.01F).to(dtype);
      Tensor x = tensor(values, shape).to(dtype);
      Tape tape;
      tape.watch(x);
      const Tensor y = conv1d(x, weight, Tensor(), options);
      tape.backward(y, tensor(values, shape).to(dtype));
      std::vector<float> both = y.to(float32).to_vector<float>();
      const std::vector<float> dx = tape.gradient(x).to(float32).to_vector<float>();
      both.insert(both.end(), dx.begin(), dx.end());
      return both;
    };
    const std::vector<float> wanted = results(float64);
    for (LineInstructions level : all_levels()) {
      const Instructions use(level);
      const std::vector<float> got = results(float32);
      for (size_t i = 0; i < got.size(); ++i) {
        if (std::isfinite(wanted[i])) {
          // Roundings of products of the large ones.
          ASSERT_NEAR(got[i], wanted[i], std::abs(wanted[i]) < 1e30F ? 1e-3F : 1e32F) << i;
        } else if (!std::isnan(wanted[i])) {
          ASSERT_EQ(got[i], wanted[i]) << i;
        }
      }
    }
  }
}

// Nothing of a pair's later inputs is in its earlier output, not even a rounding.
TEST(Lines, OutputsOfPairsKeepNothingOfLaterInputs) {
  Generator generator(5);
  const Tensor x = randn({1, 24, 300}, float32, generator);
  const Tensor weight = randn({24, 24, 3}, float32, generator);
  const Conv1dOptions options{.padding = Padding1d::causal(), .dilation = 4};
  const std::vector<float> wanted = conv1d(x, weight, Tensor(), options).to_vector<float>();
  for (size_t from : {100, 104, 111}) {
    std::vector<float> other = x.to_vector<float>();
    for (size_t i = 0; i < other.size(); ++i) {
      other[i] *= i % 300 < from ? 1 : 1e6F;
    }
    const std::vector<float> y =
        conv1d(tensor(other, x.shape()), weight, Tensor(), options).to_vector<float>();
    for (size_t i = 0; i < y.size(); ++i) {
      if (i % 300 < from) {
        ASSERT_EQ(y[i], wanted[i]) << i;
      }
    }
  }
}

// Long ones are cut into parts for several threads.
TEST(Lines, OfLongSequences) {
  expect_right({{1, 2, 2500}, {3, 2, 3}, {.padding = Padding1d::causal(), .dilation = 300}});
}

TEST(Lines, AreTheSameForAnyNumberOfThreads) {
  for (const Line& line :
       {Line{{3, 6, 900}, {9, 6, 5}, {.padding = Padding1d::causal(), .dilation = 7}},
        Line{{3, 24, 900}, {24, 24, 3}, {.padding = Padding1d::causal(), .dilation = 8}}}) {
    const int before = num_threads();
    set_num_threads(1);
    const std::vector<Tensor> one = results_of(line, float32);
    set_num_threads(3);
    const std::vector<Tensor> three = results_of(line, float32);
    set_num_threads(before);
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(one[i].to_vector<float>(), three[i].to_vector<float>()) << "result " << i;
    }
  }
}

}  // namespace
}  // namespace warptape
