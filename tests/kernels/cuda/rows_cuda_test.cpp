// The CUDA kernels of softmax, log-softmax, cross-entropy, dropout and argmax over all their
// geometries, against the CPU's.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/rows/row_geometry.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

class RowsCuda : public GpuTest {};
class CrossEntropyCuda : public GpuTest {};
class DropoutCuda : public GpuTest {};

constexpr double infinity = std::numeric_limits<double>::infinity();

// Like x, at an address that is no multiple of 16 bytes.
Tensor unaligned(const Tensor& x) {
  Shape one_more{x.numel() + 1};
  Tensor storage = Tensor::empty(one_more, x.dtype(), x.device());
  Tensor inside = storage.slice(1, x.numel() + 1);
  primitives::copy(x.view({x.numel()}), inside);
  return inside.view(x.shape());
}

Tensor normal(const Shape& shape, DType dtype, MemoryFormat format = MemoryFormat::RowMajor) {
  Generator generator(5);
  return primitives::relayout(randn(shape, dtype, generator), format);
}

void expect_near(const Tensor& got, const Tensor& wanted, double tolerance) {
  const auto a = primitives::cast(got.to(cpu), float64).to_vector<double>();
  const auto b = primitives::cast(wanted, float64).to_vector<double>();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i])) {
      ASSERT_TRUE(std::isnan(a[i])) << "element " << i << ": got " << a[i];
    } else if (a[i] != b[i]) {
      ASSERT_LE(std::abs(a[i] - b[i]), tolerance * std::max(1.0, std::abs(b[i])))
          << "element " << i << ": got " << a[i] << ", wanted " << b[i];
    }
  }
}

using Op = std::function<Tensor(const Operand&)>;

struct Result {
  Tensor y;
  Tensor dx;
};

Result run(const Op& op, Tensor x, const Tensor& dy) {
  Tape tape;
  tape.watch(x);
  Result result;
  result.y = op(x);
  tape.backward(result.y, dy);
  result.dx = tape.gradient(x);
  return result;
}

void expect_like_cpu(const Op& op, const Tensor& x) {
  Generator generator(6);
  const Tensor dy = primitives::relayout(randn(x.shape(), x.dtype(), generator), x.memory_format());
  const Result wanted = run(op, x, dy);
  const double tolerance = x.dtype() == float64 ? 1e-13 : 2e-6;
  const Result got = run(op, x.to(cuda), dy.to(cuda));
  expect_near(got.y, wanted.y, tolerance);
  expect_near(got.dx, wanted.dx, tolerance);
}

TEST_F(RowsCuda, SoftmaxOfRowsOfAllLengths) {
  const Op softmax_op = [](const Operand& x) { return softmax(x, -1); };
  const Op log_softmax_op = [](const Operand& x) { return log_softmax(x, -1); };
  for (DType dtype : {float32, float64}) {
    for (int64_t length : {1, 2, 3, 4, 8, 10, 31, 33, 63, 64, 65, 128, 132, 257, 1030}) {
      SCOPED_TRACE(length);
      const Tensor x = normal({length < 64 ? 300 / length : 3, length}, dtype);
      expect_like_cpu(softmax_op, x);
      expect_like_cpu(log_softmax_op, x);
    }
  }
  // Longer than a block holds.
  expect_like_cpu(softmax_op, normal({1, 8200}, float32));
  expect_like_cpu(log_softmax_op, normal({1, 4099}, float64));
}

TEST_F(RowsCuda, SoftmaxAcrossMemory) {
  for (DType dtype : {float32, float64}) {
    for (const Shape& shape : {Shape{3, 2}, Shape{5, 7}, Shape{10, 64}, Shape{40, 3}, Shape{70, 8},
                               Shape{2, 33, 5}, Shape{2, 9, 300}}) {
      SCOPED_TRACE(shape.to_string());
      const int dim = shape.rank() - 2;
      const Tensor x = normal(shape, dtype);
      expect_like_cpu([dim](const Operand& in) { return softmax(in, dim); }, x);
      expect_like_cpu([dim](const Operand& in) { return log_softmax(in, dim); }, x);
    }
    const Tensor x = normal({2, 5, 3, 4}, dtype, MemoryFormat::ChannelsLast);
    for (int dim = 0; dim < 4; ++dim) {
      expect_like_cpu([dim](const Operand& in) { return softmax(in, dim); }, x);
    }
  }
}

// A few long rows, each of several blocks, in both directions and from any address.
TEST_F(RowsCuda, SoftmaxInChunks) {
  for (const Shape& shape : {Shape{2, 20000}, {2, 20001}, {1100, 3}, {2, 2100, 8}}) {
    SCOPED_TRACE(shape.to_string());
    const int dim = shape.rank() == 3 ? 1 : shape[0] > shape[1] ? 0 : 1;
    const Tensor x = normal(shape, float32);
    const rows::Extents extents{shape.rank() == 3 ? 2
                                : dim == 0        ? 1
                                                  : shape[0],
                                shape[dim],
                                dim == 1 && shape.rank() == 2 ? 1 : shape[shape.rank() - 1]};
    EXPECT_GT(rows::make_plan<float>(extents, 1, true).chunks, 1);
    const Op op = [dim](const Operand& in) { return softmax(in, dim); };
    expect_like_cpu(op, x);
    expect_like_cpu([dim](const Operand& in) { return log_softmax(in, dim); }, x);
    expect_near(op(unaligned(x.to(cuda))), op(x), 2e-6);
  }
}

TEST_F(RowsCuda, SoftmaxOfUnalignedTensors) {
  for (const Shape& shape : {Shape{3, 12}, Shape{2, 70}, Shape{9, 10}}) {
    for (int dim : {0, 1}) {
      SCOPED_TRACE(fmt::format("{} {}", shape, dim));
      const Tensor x = normal(shape, float32);
      const Op op = [dim](const Operand& in) { return softmax(in, dim); };
      const Op shifted = [&](const Operand& in) { return op(unaligned(in.tensor())); };
      expect_near(shifted(x.to(cuda)), op(x), 2e-6);
    }
  }
}

TEST_F(RowsCuda, SoftmaxOfInfinitiesAndNaNs) {
  const double nan = std::nan("");
  const std::vector<double> values{-infinity, 1, 2,         -infinity, -infinity, -infinity,
                                   nan,       0, -infinity, infinity,  1,         -infinity};
  for (int64_t repeats : {1, 40}) {
    std::vector<double> rows;
    for (size_t row = 0; row < 4; ++row) {
      for (int64_t r = 0; r < repeats; ++r) {
        rows.insert(rows.end(), values.begin() + static_cast<std::ptrdiff_t>(3 * row),
                    values.begin() + static_cast<std::ptrdiff_t>(3 * row + 3));
      }
    }
    const Tensor x = tensor(rows, {4, 3 * repeats});
    for (int dim : {0, 1}) {
      expect_near(softmax(x.to(cuda), dim), softmax(x, dim), 1e-13);
      expect_near(log_softmax(x.to(cuda), dim), log_softmax(x, dim), 1e-13);
    }
  }
}

TEST_F(RowsCuda, PlansCoverEveryRow) {
  for (int64_t length : {1, 5, 10, 64, 65, 1000, 100000}) {
    for (int64_t inner : {1, 2, 7, 64, 5000}) {
      for (bool aligned : {false, true}) {
        const rows::Plan plan = rows::make_plan<float>({3, length, inner}, 2, aligned);
        SCOPED_TRACE(fmt::format("{} {} {}", length, inner, aligned));
        EXPECT_LE(plan.threads, inner == 1 ? rows::max_threads : 256);
        EXPECT_EQ(plan.threads % 32, 0);
        EXPECT_LE(plan.shared_bytes, 32u << 10);
        if (plan.layout == rows::Layout::Columns) {
          const int64_t packs = inner / (plan.packed ? 4 : 1);
          EXPECT_GE(plan.tiles * plan.lanes * plan.across, packs);
          EXPECT_EQ(plan.blocks, 3 * plan.tiles);
        } else {
          EXPECT_GE(plan.blocks * plan.rows_per_block, 3);
        }
      }
    }
  }
}

TEST_F(RowsCuda, ArgmaxOfNaNsAndTies) {
  const double nan = std::nan("");
  const Tensor x = tensor<double>(
      {1, 3, 3, 0, nan, 7, nan, 1, -infinity, -infinity, -infinity, -infinity, 2, nan, 5, 5},
      {4, 4});
  const Tensor image = primitives::relayout(x.view({1, 4, 2, 2}), MemoryFormat::ChannelsLast);
  for (const auto dim : {std::optional<int>(), std::optional<int>(0), std::optional<int>(1)}) {
    EXPECT_EQ(argmax(x.to(cuda), dim).to_vector<int64_t>(), argmax(x, dim).to_vector<int64_t>());
    EXPECT_EQ(argmax(image.to(cuda), dim).to_vector<int64_t>(),
              argmax(image, dim).to_vector<int64_t>());
  }
}

TEST_F(RowsCuda, ArgmaxInChunks) {
  const Tensor x = normal({2, 20000}, float32);  // two launches
  for (int dim : {0, 1}) {
    EXPECT_EQ(argmax(x.to(cuda), dim).to_vector<int64_t>(), argmax(x, dim).to_vector<int64_t>());
  }
  EXPECT_EQ(argmax(x.to(cuda)).to_vector<int64_t>(), argmax(x).to_vector<int64_t>());
  EXPECT_EQ(argmax(Tensor::full({20000}, -infinity, float32, cuda)).to_vector<int64_t>(),
            std::vector<int64_t>{0});
}

TEST_F(RowsCuda, DropoutDrawsTheCpusMask) {
  const auto dropped = [](const Tensor& x, double p) {
    Generator generator(3);
    return dropout(x, p, true, generator).to(cpu);
  };
  for (DType dtype : {float32, float64}) {
    for (MemoryFormat format : {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast}) {
      for (const Shape& shape : {Shape{2, 8, 2, 6}, Shape{2, 5, 2, 2}, Shape{1, 4, 3, 3},
                                 Shape{3, 1, 5, 5}, Shape{2, 0, 3, 3}}) {
        SCOPED_TRACE(shape.to_string());
        const Tensor x = normal(shape, dtype, format);
        for (double p : {0.3, 1.0}) {
          expect_near(dropped(x.to(cuda), p), dropped(x, p), 0);
        }
      }
    }
    const Tensor x = normal({37}, dtype);
    expect_near(dropped(unaligned(x.to(cuda)), 0.5), dropped(x, 0.5), 0);
  }
}

// ---- cross-entropy ----------------------------------------------------------------------------

Tensor labels_for(const Shape& shape, int64_t classes) {
  std::vector<int64_t> labels(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<int64_t>(i * 7 % static_cast<size_t>(classes));
  }
  return tensor(labels, shape);
}

// Of the loss and of twice the loss: the gradient that the forward launch made, and that scaled.
void expect_loss_like_cpu(const Tensor& logits, const Tensor& labels,
                          const CrossEntropyOptions& options) {
  const double tolerance = logits.dtype() == float64 ? 1e-13 : 2e-6;
  for (bool scaled : {false, true}) {
    Result results[2];
    for (Device device : {cpu, cuda}) {
      Tensor x = logits.to(device).clone();
      Tape tape;
      tape.watch(x);
      Result& result = results[device == cuda];
      result.y = cross_entropy(x, labels.to(device), options);
      tape.backward(scaled ? add(result.y, result.y) : result.y);
      result.dx = tape.gradient(x);
      EXPECT_EQ(result.dx.memory_format(), logits.memory_format());
    }
    expect_near(results[1].y, results[0].y, tolerance);
    expect_near(results[1].dx, results[0].dx, tolerance);
  }
}

TEST_F(CrossEntropyCuda, OfAllGeometries) {
  const auto last = MemoryFormat::ChannelsLast;
  for (DType dtype : {float32, float64}) {
    expect_loss_like_cpu(normal({300, 10}, dtype), labels_for({300}, 10), {});
    expect_loss_like_cpu(normal({50, 12}, dtype), labels_for({50}, 12), {.ignore_index = 3});
    expect_loss_like_cpu(normal({5, 300}, dtype), labels_for({5}, 300), {.label_smoothing = 0.1});
    expect_loss_like_cpu(normal({2, 4100}, dtype), labels_for({2}, 4100),
                         {.reduction = Reduction::Sum});
    expect_loss_like_cpu(normal({3, 21, 40}, dtype), labels_for({3, 40}, 21),
                         {.label_smoothing = 0.2});
    expect_loss_like_cpu(normal({2, 6, 3, 5}, dtype), labels_for({2, 3, 5}, 6), {});
    expect_loss_like_cpu(normal({2, 6, 3, 5}, dtype, last), labels_for({2, 3, 5}, 6), {});
  }
}

// Up to 4096 labels are counted by each block, more by a launch before.
TEST_F(CrossEntropyCuda, CountsFewLabelsAndMany) {
  for (const int64_t rows : {4095, 4096, 4097, 4099}) {
    SCOPED_TRACE(rows);
    expect_loss_like_cpu(normal({rows, 3}, float64), labels_for({rows}, 3), {.ignore_index = 1});
  }
}

TEST_F(CrossEntropyCuda, OfFewRowsWithManyClassesInChunks) {
  for (const CrossEntropyOptions& options : {CrossEntropyOptions{},
                                             {.label_smoothing = 0.1},
                                             {.reduction = Reduction::Sum},
                                             {.ignore_index = 7, .label_smoothing = 0.2}}) {
    expect_loss_like_cpu(normal({3, 20001}, float32), labels_for({3}, 20001), options);
    expect_loss_like_cpu(normal({2, 700, 3}, float64), labels_for({2, 3}, 700), options);
  }
}

// Blocks go on to further rows where there are more than run at once.
TEST_F(CrossEntropyCuda, OfMoreRowsThanBlocks) {
  expect_loss_like_cpu(normal({1100, 520}, float32), labels_for({1100}, 520), {});
}
TEST_F(CrossEntropyCuda, OfMoreShortRowsThanBlocks) {
  expect_loss_like_cpu(normal({2200, 33}, float64), labels_for({2200}, 33), {});
}

// Blocks that take a further item use their shared memory again: rows that are staged, and columns.
TEST_F(CrossEntropyCuda, OfMoreItemsThanBlocks) {
  expect_loss_like_cpu(normal({135500, 3}, float32), labels_for({135500}, 3), {});
}
TEST_F(CrossEntropyCuda, OfMoreColumnsOfSeveralWarpsThanBlocks) {
  expect_loss_like_cpu(normal({531, 57, 3}, float64), labels_for({531, 3}, 57), {});
}

// Nothing is written back then: a thread that is ahead must not stage what another still reads.
TEST_F(CrossEntropyCuda, OfMoreItemsThanBlocksWithoutGradient) {
  const Tensor logits = normal({135500, 3}, float32);
  const Tensor labels = labels_for({135500}, 3);
  const double wanted = cross_entropy(logits, labels).item();
  EXPECT_NEAR(cross_entropy(logits.to(cuda), labels.to(cuda)).item(), wanted, 1e-6);
}

// What a stream has queued waits for no other: the op queues on the stream that is current now.
TEST_F(CrossEntropyCuda, OnSeveralStreams) {
  const Tensor logits = normal({50, 12}, float64);
  const Tensor labels = labels_for({50}, 12);
  const double wanted = cross_entropy(logits, labels).item();
  for (int i = 0; i < 3; ++i) {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    Tensor x = logits.to(cuda);
    Tape tape;
    tape.watch(x);
    const Tensor loss = cross_entropy(x, labels.to(cuda));
    tape.backward(mul(loss, loss));
    EXPECT_NEAR(loss.item(), wanted, 1e-13);
    EXPECT_TRUE(std::isfinite(tape.gradient(x).to_vector<double>()[0]));
  }
}

TEST_F(CrossEntropyCuda, OfNothing) {
  const Tensor labels = tensor<int64_t>({1, 1, 1}, {3});
  const Tensor x = normal({3, 4}, float64);
  EXPECT_TRUE(std::isnan(cross_entropy(x.to(cuda), labels.to(cuda), {.ignore_index = 1}).item()));
  const Tensor none = Tensor::empty({0}, int64, cuda);
  const Tensor no_rows = Tensor::empty({0, 4}, float32, cuda);
  EXPECT_TRUE(std::isnan(cross_entropy(no_rows, none).item()));
  EXPECT_EQ(cross_entropy(no_rows, none, {.reduction = Reduction::Sum}).item(), 0);
  expect_throws<ValueError>(
      [&] {
        cross_entropy(Tensor::empty({3, 0}, float32, cuda), labels.to(cuda)).item();
      },
      {"[cross_entropy] label", "got 1"});
}

TEST_F(CrossEntropyCuda, TheGradientOfAKeptTapeIsNotGivenAway) {
  Tensor x = normal({3, 4}, float64).to(cuda);
  Tape tape;
  tape.watch(x);
  const Tensor loss = cross_entropy(x, labels_for({3}, 4).to(cuda));
  tape.backward(loss, {.keep = true});
  const auto first = tape.gradient(x).to_vector<double>();
  Tensor gradient = tape.gradient(x);
  primitives::fill(gradient, 0);
  tape.backward(loss);
  EXPECT_EQ(tape.gradient(x).to_vector<double>(), first);
}

TEST_F(CrossEntropyCuda, TheGradientIsHandedOnToItsOnlyReader) {
  Tensor x = normal({30, 40}, float64).to(cuda);
  Tape tape;
  tape.watch(x);
  const Tensor loss = cross_entropy(x, labels_for({30}, 40).to(cuda));
  const size_t live = memory_stats(cuda).live_bytes;
  tape.backward(loss);
  EXPECT_LE(memory_stats(cuda).live_bytes, live) << "backward kept a copy";
}

TEST_F(CrossEntropyCuda, BadLabelsAreReportedAndTheNextStepIsClean) {
  for (int64_t bad : {-1, 3}) {
    for (const Shape& shape : {Shape{5, 3}, Shape{5, 3, 2}}) {
      Tensor x = normal(shape, float32).to(cuda);
      Shape label_shape = shape.rank() == 2 ? Shape{5} : Shape{5, 2};
      std::vector<int64_t> labels(static_cast<size_t>(label_shape.numel()), 2);
      labels[4] = bad;
      {
        Tape tape;
        tape.watch(x);
        Tensor loss;
        EXPECT_NO_THROW(loss = cross_entropy(x, tensor(labels, label_shape).to(cuda)));
        EXPECT_NO_THROW(tape.backward(loss));
        expect_throws<ValueError>(
            [&] { loss.item(); },
            {fmt::format("[cross_entropy] label 4: got {}, wanted 0 to 2 or ignore_index -100",
                         bad)});
      }
      labels[4] = 1;
      Tape tape;
      tape.watch(x);
      const Tensor loss = cross_entropy(x, tensor(labels, label_shape).to(cuda));
      tape.backward(loss);
      EXPECT_TRUE(std::isfinite(loss.item()));
    }
  }
}

// p between the random word of an element and the next one: that element is dropped, everywhere.
TEST_F(DropoutCuda, DropsUpToTheLastWordBelowP) {
  const Tensor ones = Tensor::ones({9}, float64);
  for (uint64_t element = 0; element < 9; ++element) {
    SCOPED_TRACE(element);
    const uint32_t word = Generator(7).next_stream().word(element);
    const double p = (word + 0.5) * 0x1p-32;
    for (Device device : {cpu, cuda}) {
      Generator generator(7);
      const Tensor y = dropout(ones.to(device), p, true, generator);
      EXPECT_EQ(y.to_vector<double>()[element], 0) << to_string(device);
    }
  }
}

}  // namespace
}  // namespace warptape
