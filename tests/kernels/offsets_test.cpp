// Tensors that begin one element behind an aligned address, where no case table asks for them:
// primitives, optimizer steps, gradient norms, weights computed together, batches of images.

#include <gtest/gtest.h>

#include <cmath>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/image_batch/image_batch.h"
#include "kernels/optimizer/optimizer_step.h"
#include "kernels/weight_norm/weight_norm.h"
#include "tests/kernels/devices.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

constexpr MemoryFormat row_major = MemoryFormat::RowMajor;
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

// Like x, uninitialised, one element behind the start of a storage if `off`.
Tensor empty_at(const Tensor& x, bool off) {
  if (!off) {
    return Tensor::empty_like(x);
  }
  if (x.dtype() == uint8) {  // which offset allocations leave alone
    EXPECT_EQ(x.memory_format(), row_major);
    const int64_t count = x.numel();
    return Tensor::empty({count + 1}, uint8, x.device()).slice(1, count + 1).view(x.shape());
  }
  const OffsetAllocations offset;
  return Tensor::empty_like(x);
}

bool is_aligned(const Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.raw_data()) % 16 == 0;
}

Tensor placed(const Tensor& x, bool off) {
  Tensor result = empty_at(x, off);
  primitives::copy(x, result);
  EXPECT_EQ(is_aligned(result), !off);
  return result;
}

// 0, 1, ... 250, 0, 1, ... in logical order: numbers that every dtype holds.
Tensor counting(const Shape& shape, DType dtype, Device device, MemoryFormat format = row_major) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(i % 251);
  }
  return primitives::relayout(primitives::cast(tensor(values, shape), dtype), format).to(device);
}

std::vector<double> values_of(const Tensor& x) {
  return primitives::cast(x.to(cpu), float64).to_vector<double>();
}

// Calls check(first is off, second is off) for every pair but the one that is aligned.
template <class Check>
void for_each_offset(const Check& check) {
  for (const auto& [first, second] : {std::pair{true, false}, {false, true}, {true, true}}) {
    SCOPED_TRACE(fmt::format("off: {} {}", first, second));
    check(first, second);
  }
}

TEST(OffsetAllocations, BeginOneElementBehindTheirStorage) {
  Tensor made;
  {
    const OffsetAllocations offset;
    made = Tensor::zeros({2, 3, 4}, float64);
    EXPECT_TRUE(is_aligned(Tensor::empty({5}, uint8)));
    const OffsetAllocations inner(false);
    EXPECT_TRUE(is_aligned(Tensor::empty({5})));
  }
  EXPECT_FALSE(is_aligned(made));
  EXPECT_EQ(made.to_vector<double>(), std::vector<double>(24, 0.0));
  EXPECT_TRUE(is_aligned(Tensor::empty({5})));
}

TEST(Offsets, CopiesAndSumsBetweenAllFormats) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64, int64, uint8}) {
      // Packs alone, packs and rests, and tiles that pass through shared memory with and without.
      for (const Shape& shape : {Shape{64}, Shape{1025}, Shape{2, 32, 4, 4}, Shape{1, 36, 9, 5}}) {
        for (MemoryFormat to_format : {row_major, channels_last}) {
          if (dtype == uint8 && to_format == channels_last) {
            continue;
          }
          SCOPED_TRACE(fmt::format("{} {} {} to {}", to_string(device), to_string(dtype), shape,
                                   to_string(to_format)));
          const MemoryFormat from_format = dtype == uint8 ? row_major : channels_last;
          const Tensor from = counting(shape, dtype, device, from_format);
          const std::vector<double> once = values_of(from);
          for_each_offset([&](bool from_off, bool to_off) {
            const Tensor source = placed(from, from_off);
            Tensor to = empty_at(counting(shape, dtype, device, to_format), to_off);
            primitives::copy(source, to);
            EXPECT_EQ(values_of(to), once);
            if (is_floating(dtype)) {
              primitives::add(source, to);
              std::vector<double> twice = once;
              for (double& value : twice) {
                value *= 2;
              }
              EXPECT_EQ(values_of(to), twice);
            }
          });
        }
      }
    }
  }
}

TEST(Offsets, FillsAndCastsAndSearches) {
  for (Device device : available_devices()) {
    for (DType from : {float32, float64, uint8, int64}) {
      Tensor filled = empty_at(counting({4100}, from, device), true);
      primitives::fill(filled, 7);
      EXPECT_EQ(values_of(filled), std::vector<double>(4100, 7.0)) << to_string(from);
      for (DType to : {float32, float64, int64}) {
        SCOPED_TRACE(fmt::format("{} {} to {}", to_string(device), to_string(from), to_string(to)));
        const Tensor x = counting({4100}, from, device);
        for_each_offset([&](bool from_off, bool to_off) {
          const Tensor source = placed(x, from_off);
          const OffsetAllocations offset(to_off);
          EXPECT_EQ(values_of(primitives::cast(source, to)), values_of(x));
        });
      }
      if (is_floating(from)) {
        Tensor x = placed(counting({4100}, from, device), true);
        EXPECT_TRUE(primitives::all_finite(x));
        for (int64_t at : {0, 1, 2050, 4099}) {
          Tensor element = x.slice(at, at + 1);
          primitives::fill(element, std::nan(""));
          EXPECT_FALSE(primitives::all_finite(x)) << at;
          primitives::fill(element, 0);
        }
      }
    }
  }
}

// ---- optimizers -------------------------------------------------------------------------------

constexpr int tensors_of_update = 2 + most_buffers;  // value, gradient, buffers

struct Update {
  ParameterUpdate tensors;
  StepState state;

  // off: which of them, as bits.
  Update(DType dtype, Device device, int off, Constraint constraint) {
    manual_seed(11);
    std::array<Tensor, most_buffers>& buffers = tensors.buffers;
    Tensor* const all[] = {&tensors.value, &tensors.grad, &buffers[0], &buffers[1], &buffers[2]};
    for (int i = 0; i < tensors_of_update; ++i) {
      Tensor value = randn({3, 1367}, dtype);
      if (i == 2 || i == 3) {  // means of squares
        dispatch_floating(dtype, [&]<class T>() {
          T* const data = value.mutable_data<T>();
          std::transform(data, data + value.numel(), data,
                         [](T x) { return static_cast<T>(x * x); });
        });
      }
      *all[i] = placed(value.to(device), (off >> i & 1) != 0);
    }
    tensors.entry = 0;
    tensors.constraint = constraint;
    state.learning_rate = Tensor::full({1}, 0.1, float64, device);
    state.steps = Tensor::full({1}, 3, int64, device);
    state.arrivals = Tensor::zeros({1}, int64, device);
  }

  std::vector<std::vector<double>> values() const {
    return {values_of(tensors.value), values_of(tensors.buffers[0]), values_of(tensors.buffers[1]),
            values_of(tensors.buffers[2]), values_of(state.steps)};
  }
};

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted, double bound) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], wanted[i], bound * std::max(1.0, std::abs(wanted[i]))) << "element " << i;
  }
}

template <class Step>
void check_step(const Step& step, Constraint constraint) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      Update aligned(dtype, cpu, 0, constraint);
      step(aligned);
      // Each tensor alone, then all.
      for (int off : {1, 2, 4, 8, 16, 31}) {
        SCOPED_TRACE(fmt::format("{} {}, off {}", to_string(device), to_string(dtype), off));
        Update update(dtype, device, off, constraint);
        step(update);
        for (size_t i = 0; i < aligned.values().size(); ++i) {
          expect_near(update.values()[i], aligned.values()[i], dtype == float32 ? 1e-6 : 1e-14);
        }
      }
    }
  }
}

template <class Constants>
void check_steps_of(const Constants& constants, Constraint constraint = Constraint::None) {
  check_step(
      [&](Update& update) {
        const std::span<ParameterUpdate> all(&update.tensors, 1);
        on_device(
            "step", update.tensors.value.device(),
            [&] { optimizer_step_cpu(all, constants, update.state); },
            [&] { optimizer_step_cuda(all, constants, update.state); });
      },
      constraint);
}

TEST(Offsets, OptimizerSteps) {
  check_steps_of(
      SgdConstants{.momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01, .nesterov = false});
  check_steps_of(AdamConstants{
      .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.01, .decoupled = true});
  check_steps_of(RmsPropConstants{
      .alpha = 0.9, .eps = 1e-2, .weight_decay = 0.01, .momentum = 0.9, .centered = true});
}

TEST(Offsets, ConstrainedSteps) {
  const AdamConstants adam{
      .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.01, .decoupled = true};
  check_steps_of(adam, Constraint::UnitRows);
  check_steps_of(adam, Constraint::FixedRadius);
}

TEST(Offsets, GradientNormsAndClipping) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      const Tensor values = counting({4101}, dtype, cpu);
      double square = 0;
      for (double value : values_of(values)) {
        square += value * value;
      }
      // One off between two that are not: each chunk has a tensor of its own.
      for_each_offset([&](bool first_off, bool second_off) {
        std::vector<Tensor> tensors = {placed(values.to(device), first_off),
                                       placed(values.to(device), second_off)};
        Tensor result = Tensor::empty({2}, float64, device);
        const double norm = std::sqrt(2 * square);
        on_device(
            "norm", device, [&] { clip_factor_cpu(tensors, norm / 2, result); },
            [&] { clip_factor_cuda(tensors, norm / 2, result); });
        EXPECT_NEAR(values_of(result)[0], norm, 1e-12 * norm);
        EXPECT_NEAR(values_of(result)[1], 0.5, 1e-6);
        on_device(
            "scale", device, [&] { scale_by_factor_cpu(tensors, result); },
            [&] { scale_by_factor_cuda(tensors, result); });
        for (const Tensor& tensor : tensors) {
          std::vector<double> halves = values_of(values);
          for (double& value : halves) {
            value /= 2;
          }
          expect_near(values_of(tensor), halves, 1e-5);
        }
      });
    }
  }
}

// ---- weight norm ------------------------------------------------------------------------------

// Rows for every geometry, those that no block holds among them, one weight after the other off.
TEST(Offsets, WeightsComputedTogether) {
  const std::vector<Shape> shapes = {{3, 5}, {2, 64}, {2, 577}, {1, 16'390}, {2, 16'388}};
  Generator generator(3);
  std::vector<Tensor> vs;
  for (const Shape& shape : shapes) {
    vs.push_back(randn(shape, float32, generator));
  }
  for (Device device : available_devices()) {
    for (size_t off = 0; off < shapes.size(); ++off) {
      SCOPED_TRACE(fmt::format("{}, weight {} off", to_string(device), off));
      std::vector<Parameter> v;
      std::vector<Parameter> g;
      std::vector<WeightNormCache> caches(shapes.size());
      std::vector<WeightNormUse> uses;
      for (size_t i = 0; i < shapes.size(); ++i) {
        v.emplace_back(placed(vs[i].to(device), i == off));
        g.emplace_back(Tensor::full({shapes[i][0], 1}, 2, float32, device));
      }
      for (size_t i = 0; i < shapes.size(); ++i) {
        uses.push_back({v[i], g[i], &caches[i]});
      }
      weight_norm_together(uses);
      for (size_t i = 0; i < shapes.size(); ++i) {
        const std::vector<double> wanted = values_of(vs[i]);
        const std::vector<double> got = values_of(caches[i].w);
        const auto length = static_cast<size_t>(shapes[i][1]);
        for (size_t row = 0; row < wanted.size() / length; ++row) {
          double square = 0;
          for (size_t j = row * length; j < (row + 1) * length; ++j) {
            square += wanted[j] * wanted[j];
          }
          for (size_t j = row * length; j < (row + 1) * length; ++j) {
            ASSERT_NEAR(got[j], 2 * wanted[j] / std::sqrt(square), 1e-6) << i << ", " << j;
          }
        }
      }
    }
  }
}

// ---- image_batch ------------------------------------------------------------------------------

TEST(Offsets, BatchesOfImages) {
  const Tensor pixels = counting({3, 1, 16, 16}, uint8, cpu);
  const Tensor labels = tensor<int64_t>({4, 5, 6}, {3});
  const Tensor indices = tensor<int64_t>({2, 0}, {2});
  const ImageTransform transform{.image_size = 16};
  const std::vector<double> wanted =
      values_of(image_batch(pixels, labels, indices, transform).images);
  for (Device device : available_devices()) {
    for_each_offset([&](bool pixels_off, bool result_off) {
      const Tensor from = placed(pixels.to(device), pixels_off);
      const OffsetAllocations offset(result_off);
      const ImageBatch batch = image_batch(from, labels.to(device), indices.to(device), transform);
      EXPECT_EQ(values_of(batch.images), wanted);
      EXPECT_EQ(batch.labels.to_vector<int64_t>(), (std::vector<int64_t>{6, 4}));
    });
  }
}

}  // namespace
}  // namespace warptape
