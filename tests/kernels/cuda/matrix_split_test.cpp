// Blocks that share a tile of the matrix core: the last of them adds up what all have summed, in
// any order of blocks and of queues, launch after launch, on several streams and in graphs.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "core/simt/build.h"
#include "kernels/conv2d/conv2d_products.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/cuda/forced_plan.h"
#include "tests/kernels/cuda/whole_numbers.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/emulated.h"
#endif

namespace warptape {
namespace {

class MatrixSplit : public GpuTest {};

using matrix::Plan;
using simt::bfloat16;

// The gradient of filters and bias: a tile per group, and 1,300 places of the depth.
template <class T, class Sum>
class WeightGrad {
 public:
  using Product = matrix::WeightGrad<T, Sum>;
  static constexpr bool has_bias = Product::has_row_sums;

  explicit WeightGrad(const std::vector<T>& dy, const std::vector<T>& x) : dy_(dy), x_(x) {
    product_ = conv2d_products::weight_grad<T, Sum>(geometry(), dy_.data(), x_.data(), nullptr);
  }
  static ConvGeometry geometry() {
    return ConvCase{2, 16, 25, 26, 80, {1, 3}, {.padding = {0, 1}, .groups = 2}}.geometry();
  }
  static int64_t size_x() { return int64_t{2} * 16 * 25 * 26; }
  static int64_t size_y() { return int64_t{2} * 80 * 25 * 26; }
  static int64_t results() { return int64_t{80} * 8 * 3; }

  Plan plan(int pack, const matrix::TileSize& tile, int splits) const {
    return forced_plan(product_, pack, tile, splits);
  }
  Plan plan(int splits) const { return plan(matrix::pack_of<T>, smallest_tile(), splits); }
  static matrix::TileSize smallest_tile() {
    const int square = matrix::fma_square * matrix::pack_of<T>;
    return sizeof(T) == 2 ? matrix::mma_tile(matrix::Cores::Tensor)
                          : matrix::TileSize{square, square, matrix::fma_depth};
  }

  // Makes its workspace, which lives as long as this, and its results.
  class Launch {
   public:
    Launch(const WeightGrad& of, const Plan& plan)
        : plan_(plan), product_(of.product_), partials_(matrix::partial_sums<Product>(plan)) {
      product_.out.data = dfilters_.data();
      if constexpr (has_bias) {
        product_.out.row_sums = dbias_.data();
      }
    }
    void queue(gpu::StreamHandle stream) {
      on_cuda::launch_product("product", stream, product_, plan_, partials_.data());
    }
    // After the current stream has been told to wait for the launch.
    std::vector<double> values() {
      std::vector<double> all = dfilters_.values();
      if (has_bias) {
        for (const double value : dbias_.values()) {
          all.push_back(value);
        }
      }
      return all;
    }

   private:
    Plan plan_;
    Product product_;
    DeviceArray<matrix::Accumulator<T>> partials_;
    DeviceArray<Sum> dfilters_{results()};
    DeviceArray<Sum> dbias_{80};
  };

  std::vector<double> results_of(const Plan& plan) const {
    Launch launch(*this, plan);
    launch.queue(gpu::current_stream());
    return launch.values();
  }

 private:
  DeviceArray<T> dy_;
  DeviceArray<T> x_;
  Product product_;
};

template <class T, class Sum>
void check_whole_numbers() {
  using Grad = WeightGrad<T, Sum>;
  WholeNumbers numbers(5);
  const std::vector<T> x = numbers.make<T>(Grad::size_x());
  const std::vector<T> dy = numbers.make<T>(Grad::size_y());
  DeviceArray<T> device_x(x);
  DeviceArray<T> device_dy(dy);
  DeviceArray<Sum> naive(Grad::results());
  on_cuda::naive_conv_weight_grad(gpu::current_stream(), naive_of(Grad::geometry()),
                                  device_dy.data(), device_x.data(), naive.data());
  std::vector<double> wanted = naive.values();
  if (Grad::has_bias) {
    std::vector<double> sums(80, 0.0);
    for (size_t i = 0; i < dy.size(); ++i) {
      sums[i % 80] += static_cast<double>(static_cast<Compute<T>>(dy[i]));
    }
    wanted.insert(wanted.end(), sums.begin(), sums.end());
  }
  const Grad grad(dy, x);
  std::vector<matrix::TileSize> tiles{Grad::smallest_tile()};
  if (sizeof(T) != 2) {
    const matrix::TileSize small = tiles[0];
    tiles.push_back({2 * small.rows, small.columns, small.depth});
    tiles.push_back({2 * small.rows, 2 * small.columns, small.depth});
  }
  for (const int pack : {1, matrix::pack_of<T>}) {
    for (const matrix::TileSize& tile : tiles) {
      if (pack == 1 && tile.columns > tiles[0].columns) {
        continue;  // no kernel
      }
      for (const int splits : is_sanitized() ? std::vector{9} : std::vector{2, 9, 17, 41}) {
        const Plan plan = grad.plan(pack, tile, splits);
        SCOPED_TRACE(to_string(plan));
        EXPECT_GT(plan.splits, splits / 2);
        EXPECT_EQ(grad.results_of(plan), wanted);
      }
    }
  }
}

TEST_F(MatrixSplit, AllSumsAreAdded) {
  check_whole_numbers<float, float>();
  check_whole_numbers<double, double>();
  check_whole_numbers<bfloat16, float>();
}

TEST_F(MatrixSplit, GroupsOfSplits) {
  const auto at_once = [](int splits) { return matrix::sums_at_once(splits); };
  for (const int few : {1, 2, 5, 8}) {
    EXPECT_EQ(at_once(few), few);
  }
  EXPECT_EQ(at_once(9), 3);
  EXPECT_EQ(at_once(10), 4);
  EXPECT_EQ(at_once(16), 4);
  EXPECT_EQ(at_once(264), 17);
  for (int splits = 9; splits <= 264; ++splits) {
    EXPECT_LE(splits, at_once(splits) * at_once(splits)) << "two levels";
  }
}

// Numbers whose sums depend on their order.
template <class T>
std::vector<T> fractions(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<T> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<T>(normal(random)));
  }
  return values;
}

template <class T>
WeightGrad<T, float> grad_of_fractions(unsigned seed) {
  using Grad = WeightGrad<T, float>;
  return Grad(fractions<T>(Grad::size_y(), seed), fractions<T>(Grad::size_x(), seed + 1));
}

// The queue's order where the device is emulated, for the length of a test.
class Orders {
 public:
#ifdef WARPTAPE_SIMT
  template <class Body>
  static void for_each(const Body& body) {
    const gpu::emulated::Order before = gpu::emulated::order();
    using gpu::emulated::Order;
    for (const Order order : {Order::Late, Order::Immediate, Order::Random}) {
      SCOPED_TRACE(static_cast<int>(order));
      gpu::emulated::set_order(order);
      body();
    }
    gpu::emulated::set_order(before);
  }
#else
  template <class Body>
  static void for_each(const Body& body) {
    body();
  }
#endif
};

template <class T>
void check_bits() {
  const auto grad = grad_of_fractions<T>(1);
  for (const int splits : {3, 17}) {
    SCOPED_TRACE(splits);
    const Plan plan = grad.plan(splits);
    const std::vector<double> wanted = grad.results_of(plan);
    EXPECT_NE(wanted, grad.results_of(grad.plan(1))) << "sums that no order changes";
    for (int i = 0; i < (is_sanitized() ? 2 : 8); ++i) {  // each in another order of blocks
      EXPECT_EQ(grad.results_of(plan), wanted);
    }
  }
}

TEST_F(MatrixSplit, BitsDoNotDependOnWhoComesLast) {
  check_bits<float>();
  check_bits<bfloat16>();
}

TEST_F(MatrixSplit, LaunchesInARow) {
  const auto grad = grad_of_fractions<float>(3);
  const std::vector<int> splits{3, 17, 9, 17, 2};
  std::vector<std::vector<double>> wanted;
  for (const int number : splits) {
    wanted.push_back(grad.results_of(grad.plan(number)));
  }
  Orders::for_each([&] {
    std::vector<std::optional<WeightGrad<float, float>::Launch>> launches(splits.size());
    for (size_t i = 0; i < splits.size(); ++i) {
      launches[i].emplace(grad, grad.plan(splits[i]));
      launches[i]->queue(gpu::current_stream());
    }
    for (size_t i = 0; i < splits.size(); ++i) {
      EXPECT_EQ(launches[i]->values(), wanted[i]) << splits[i] << " splits";
    }
  });
}

TEST_F(MatrixSplit, StreamsSideBySide) {
  const auto grad = grad_of_fractions<float>(4);
  const Plan plan = grad.plan(17);
  const std::vector<double> wanted = grad.results_of(plan);
  Orders::for_each([&] {
    const gpu::Stream one;
    const gpu::Stream two;
    WeightGrad<float, float>::Launch on_one(grad, plan);
    WeightGrad<float, float>::Launch on_two(grad, plan);
    gpu::synchronize();
    for (int i = 0; i < 2; ++i) {
      on_one.queue(one.handle());
      on_two.queue(two.handle());
    }
    gpu::synchronize();
    EXPECT_EQ(on_one.values(), wanted);
    EXPECT_EQ(on_two.values(), wanted);
  });
}

TEST_F(MatrixSplit, GraphsOfOneStreamSideBySide) {
  const auto grad = grad_of_fractions<float>(5);
  const Plan plan = grad.plan(17);
  const std::vector<double> wanted = grad.results_of(plan);
  Orders::for_each([&] {
    const gpu::Stream one;
    const gpu::Stream two;
    using Launch = WeightGrad<float, float>::Launch;
    Launch of_first(grad, plan);
    Launch of_second(grad, plan);
    Launch outside(grad, plan);
    gpu::synchronize();
    std::optional<gpu::Graph> first;
    first.emplace(one, [&] { of_first.queue(gpu::current_stream()); });
    const gpu::Graph second(one, [&] { of_second.queue(gpu::current_stream()); });
    for (int i = 0; i < 3; ++i) {
      first->launch(one.handle());
      second.launch(two.handle());
      outside.queue(two.handle());
    }
    first.reset();  // its replays go on
    gpu::synchronize();
    EXPECT_EQ(of_first.values(), wanted);
    EXPECT_EQ(of_second.values(), wanted);
    EXPECT_EQ(outside.values(), wanted);
  });
}

TEST_F(MatrixSplit, BranchesOfAGraph) {
  const auto grad = grad_of_fractions<float>(6);
  const Plan plan = grad.plan(9);
  const std::vector<double> wanted = grad.results_of(plan);
  Orders::for_each([&] {
    const gpu::Stream stream;
    const gpu::Stream branch;
    WeightGrad<float, float>::Launch on_stream(grad, plan);
    WeightGrad<float, float>::Launch on_branch(grad, plan);
    gpu::synchronize();
    const gpu::Graph graph(stream, [&] {
      gpu::Event forked;
      gpu::Event joined;
      forked.record(stream.handle());
      forked.make_wait(branch.handle());
      on_stream.queue(stream.handle());
      on_branch.queue(branch.handle());
      joined.record(branch.handle());
      joined.make_wait(stream.handle());
    });
    graph.launch(stream.handle());
    graph.launch(stream.handle());
    gpu::synchronize();
    EXPECT_EQ(on_stream.values(), wanted);
    EXPECT_EQ(on_branch.values(), wanted);
  });
}

}  // namespace
}  // namespace warptape
