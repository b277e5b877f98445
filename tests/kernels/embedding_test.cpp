// Embeddings: what the case tables and PyTorch's values do not see.

#include "kernels/embedding/embedding.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/tape.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

Tensor gradient_of(const Shape& table, const std::vector<int64_t>& rows,
                   const std::vector<double>& weights, Device device,
                   EmbeddingOptions options = {}) {
  const auto count = static_cast<int64_t>(rows.size());
  Tensor weight = Tensor::zeros(table, float64, device);
  Tape tape;
  tape.watch(weight);
  const Tensor y = embedding(tensor(rows, {count}, device), weight, options);
  tape.backward(y, tensor(weights, {count, table[1]}, device));
  return tape.gradient(weight);
}

// Runs of equal rows that are as long as several pieces, begin and end within one, fill one, and of
// several chunks of the sort. Fractions whose sum rounds have the same bits on every device.
TEST(Embedding, SumsAreTheSameOnEveryDevice) {
  const std::vector<std::vector<int64_t>> lengths = {
      {32, 64, 1, 31}, {33, 31, 65, 3}, {5, 200, 40, 300}, {0, 1, 96, 0}, {7, 0, 25, 32}};
  for (const auto& of_rows : lengths) {
    std::vector<int64_t> rows;
    for (size_t left = 1; left > 0;) {  // in turn, as long as there are some
      left = 0;
      for (size_t row = 0; row < of_rows.size(); ++row) {
        const auto taken = static_cast<int64_t>(row);
        if (std::count(rows.begin(), rows.end(), taken) < of_rows[row]) {
          rows.push_back(taken);
          ++left;
        }
      }
    }
    std::vector<double> weights(rows.size() * 2);
    std::vector<double> exact(8, 0);
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = 1.0 / static_cast<double>(3 * i + 1);
      exact[static_cast<size_t>(rows[i / 2]) * 2 + i % 2] += weights[i];
    }
    std::vector<double> first;
    for (const Device device : available_devices()) {
      const std::vector<double> sums =
          gradient_of({4, 2}, rows, weights, device).to_vector<double>();
      first = first.empty() ? sums : first;
      EXPECT_EQ(sums, first) << to_string(device);
      for (size_t i = 0; i < exact.size(); ++i) {
        EXPECT_NEAR(sums[i], exact[i], 1e-13 * exact[i]) << to_string(device) << ", element " << i;
      }
    }
  }
}

// 1 is lost beside 1e30, unless that has gone.
TEST(Embedding, SumsInTheOrderOfTheIndex) {
  for (const Device device : available_devices()) {
    EXPECT_EQ(gradient_of({3, 1}, {2, 2, 0, 2, 2, 0, 2}, {1, 1e30, 5, -1e30, 1, 6, 2}, device)
                  .to_vector<double>(),
              (std::vector<double>{11, 0, 3}))
        << to_string(device);
  }
}

// A table of three digits.
TEST(Embedding, ReachesEveryRowOfALongTable) {
  constexpr int64_t table = 66000;
  std::vector<int64_t> rows;
  std::vector<double> weights;
  std::vector<double> wanted(table, 0);
  for (int64_t i = 0; i < 600; ++i) {
    rows.push_back(i % 5 == 0 ? table - 1 : i * 7919 % table);
    weights.push_back(static_cast<double>(i + 1));
    wanted[static_cast<size_t>(rows.back())] += weights.back();
  }
  for (const Device device : available_devices()) {
    EXPECT_EQ(gradient_of({table, 1}, rows, weights, device).to_vector<double>(), wanted)
        << to_string(device);
  }
}

TEST(Embedding, PaddingGetsNoGradient) {
  std::vector<int64_t> rows(100);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<int64_t>(i % 3);
  }
  const std::vector<double> weights(100, 1);
  for (const Device device : available_devices()) {
    const auto with = [&](int64_t padding) {
      return gradient_of({3, 1}, rows, weights, device, {.padding_idx = padding})
          .to_vector<double>();
    };
    EXPECT_EQ(with(0), (std::vector<double>{0, 33, 33}));
    EXPECT_EQ(with(-2), (std::vector<double>{34, 0, 33}));
    EXPECT_EQ(with(2), (std::vector<double>{34, 33, 0}));
  }
}

// "cuda" says so with the next synchronisation, the CPU at once; the same words.
TEST(Embedding, NamesABadIndex) {
  for (const Device device : available_devices()) {
    const Tensor weight = Tensor::ones({5, 2}, float32, device);
    const Tensor index = tensor<int64_t>({0, 4, 5, 2}, {2, 2}, device);
    expect_throws<ValueError>([&] { embedding(index, weight).to_vector<float>(); },
                              {"[embedding] index 2: got 5, wanted 0 to 4"});
    EXPECT_EQ(embedding(Tensor::zeros({2}, int64, device), weight).to_vector<float>(),
              std::vector<float>(4, 1));
  }
}

}  // namespace
}  // namespace warptape
