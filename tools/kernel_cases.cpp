#include "tools/kernel_cases.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "core/check.h"
#include "core/deferred.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "emulator/device/emulated.h"
#include "kernels/ops.h"
#include "tools/plan_notes.h"
#include "training/optimizers.h"

namespace warptape::tools {
namespace {

// Traffic does not depend on the values: one that every op is defined for.
Tensor on_cuda(const Shape& shape, DType dtype) {
  return Tensor::full(shape, 0.5, dtype, cuda);
}

int64_t bytes_of(const Shape& shape, DType dtype) {
  return shape.numel() * size_of(dtype);
}

PreparedKernels all_wide(std::function<void()> run, int64_t bytes) {
  return {std::move(run), bytes, bytes};
}

// The tape copies the gradient of y that it is given.
constexpr const char* seed_copy = "copy";

// y of some inputs, and the gradients of all of them.
std::function<void()> forward_and_backward(
    std::vector<Tensor> inputs, const Tensor& seed,
    const std::function<Tensor(const std::vector<Tensor>&)>& op) {
  return [inputs = std::move(inputs), seed, op]() mutable {
    Tape tape;
    for (Tensor& input : inputs) {
      tape.watch(input);
    }
    tape.backward(op(inputs), seed);
  };
}

// tensors: how many of the shape are read or written, forward and backward.
KernelCase elementwise(const std::string& name, size_t operands, int64_t tensors,
                       const std::function<Tensor(const std::vector<Tensor>&)>& op) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < operands; ++i) {
      inputs.push_back(on_cuda(shape, dtype));
    }
    const int64_t bytes = tensors * bytes_of(shape, dtype);
    return PreparedKernels{forward_and_backward(inputs, on_cuda(shape, dtype), op), bytes, bytes,
                           seed_copy, 2 * bytes_of(shape, dtype)};
  };
  return {name, "forward and backward", {512, 1024}, prepare};
}

// Over one dimension. reads: how often backward reads x.
KernelCase reduction(const std::string& name, int dim, int64_t backward_reads,
                     Tensor (*op)(const Operand&, const std::vector<int>&, bool)) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    Shape reduced = shape;
    reduced[dim < 0 ? shape.rank() + dim : dim] = 1;
    const auto sums = [op, dim](const std::vector<Tensor>& in) { return op(in[0], {dim}, true); };
    return PreparedKernels{
        forward_and_backward({on_cuda(shape, dtype)}, on_cuda(reduced, dtype), sums),
        (2 + backward_reads) * (bytes_of(shape, dtype) + bytes_of(reduced, dtype)),
        (2 + backward_reads) * bytes_of(shape, dtype), seed_copy, 2 * bytes_of(reduced, dtype)};
  };
  const std::string which = dim < 0 ? "last" : "first";
  return {name, "over the " + which + " dimension, forward and backward", {512, 1024}, prepare};
}

PreparedKernels prepare_argmax(const Shape& shape, DType dtype) {
  Shape reduced = shape;
  reduced[shape.rank() - 1] = 1;
  return {[x = on_cuda(shape, dtype)] { argmax(x, -1); },
          bytes_of(shape, dtype) + bytes_of(reduced, int64), bytes_of(shape, dtype)};
}

// Logits (N, C) or (N, C, ...). One launch reads them and writes their gradient; backward hands
// that on.
PreparedKernels prepare_cross_entropy(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() >= 2, "[kernel] cross_entropy: got shape {}, wanted (N, C, ...)",
                    shape);
  Shape label_shape{shape[0]};
  for (int dim = 2; dim < shape.rank(); ++dim) {
    label_shape.append(shape[dim]);
  }
  const auto run = [x = on_cuda(shape, dtype), labels = on_cuda(label_shape, int64)]() mutable {
    Tape tape;
    tape.watch(x);
    tape.backward(cross_entropy(x, labels, {.reduction = Reduction::Sum}));
  };
  return {run, 2 * bytes_of(shape, dtype) + bytes_of(label_shape, int64),
          2 * bytes_of(shape, dtype), "fill", size_of(dtype)};
}

PreparedKernels prepare_weight_norm(const Shape& shape, DType dtype) {
  Shape gain = shape;
  for (int dim = 1; dim < shape.rank(); ++dim) {
    gain[dim] = 1;
  }
  const auto op = [](const std::vector<Tensor>& in) { return weight_norm(in[0], in[1]); };
  // v, w; v, dw, dv. Of each row g, 1 / ||v||; g, 1 / ||v||, dg.
  const int64_t inv_norms = 2 * bytes_of(gain, float64);
  return {forward_and_backward({on_cuda(shape, dtype), on_cuda(gain, dtype)}, on_cuda(shape, dtype),
                               op),
          5 * bytes_of(shape, dtype) + 3 * bytes_of(gain, dtype) + inv_norms,
          5 * bytes_of(shape, dtype), seed_copy, 2 * bytes_of(shape, dtype)};
}

// One step of an optimizer, not the first, which finds its buffers empty.
template <class Rule>
KernelCase optimizer(const std::string& name, int64_t tensors, typename Rule::Options options) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    const Parameter parameter(on_cuda(shape, dtype));
    parameter.state()->grad = on_cuda(shape, dtype);
    parameter.state()->grad_is_empty = false;
    auto rule = std::make_shared<Rule>(ParameterStates{parameter.state()}, options);
    rule->step();
    return all_wide([rule] { rule->step(); }, tensors * bytes_of(shape, dtype));
  };
  return {name, "one step", {512, 1024}, prepare};
}

PreparedKernels prepare_grad_norm(const Shape& shape, DType dtype) {
  const Parameter parameter(on_cuda(shape, dtype));
  parameter.state()->grad = on_cuda(shape, dtype);
  parameter.state()->grad_is_empty = false;
  return all_wide([state = parameter.state()] { queue_grad_norm({state}); },
                  bytes_of(shape, dtype));
}

// A product of (m, k) and (k, n), of which the shape is (m, n, k); its bytes are counted once,
// which tiles cannot reach.
PreparedKernels prepare_matmul(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 3, "[kernel] matmul: got shape {}, wanted (m, n, k)", shape);
  const Shape a{shape[0], shape[2]};
  const Shape b{shape[2], shape[1]};
  const Shape c{shape[0], shape[1]};
  // Forward a, b, c; backward dc and b, da, then dc and a, db.
  return all_wide(
      forward_and_backward({on_cuda(a, dtype), on_cuda(b, dtype)}, on_cuda(c, dtype),
                           [](const std::vector<Tensor>& in) { return matmul(in[0], in[1]); }),
      3 * (bytes_of(a, dtype) + bytes_of(b, dtype) + bytes_of(c, dtype)));
}

// A 3x3 convolution with padding 1 of images of the shape; groups: as many as channels, or one.
KernelCase convolution(const std::string& name, bool depthwise) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    check<ValueError>(shape.rank() == 4, "[kernel] {}: got shape {}, wanted (N, C, H, W)", name,
                      shape);
    const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
    const Shape filters{shape[1], depthwise ? 1 : shape[1], 3, 3};
    const Tensor weight = primitives::relayout(on_cuda(filters, dtype), MemoryFormat::ChannelsLast);
    const int64_t groups = depthwise ? shape[1] : 1;
    const auto op = [groups](const std::vector<Tensor>& in) {
      return conv2d(in[0], in[1], Tensor(), {.padding = 1, .groups = groups});
    };
    // x, y; dy, dx; dy, x. The filters of each.
    return PreparedKernels{forward_and_backward({x, weight}, Tensor::empty_like(x), op),
                           6 * bytes_of(shape, dtype) + 3 * bytes_of(filters, dtype),
                           6 * bytes_of(shape, dtype), seed_copy, 2 * bytes_of(shape, dtype)};
  };
  return {name, "3x3 windows, forward and backward", {8, 64, 32, 32}, prepare, !depthwise};
}

PreparedKernels prepare_fill(const Shape& shape, DType dtype) {
  return all_wide([x = on_cuda(shape, dtype)]() mutable { primitives::fill(x, 1); },
                  bytes_of(shape, dtype));
}

PreparedKernels prepare_copy(const Shape& shape, DType dtype) {
  return all_wide([from = on_cuda(shape, dtype),
                   to = on_cuda(shape, dtype)]() mutable { primitives::copy(from, to); },
                  2 * bytes_of(shape, dtype));
}

PreparedKernels prepare_cast(const Shape& shape, DType dtype) {
  const DType other = dtype == float32 ? float64 : float32;
  return all_wide([x = on_cuda(shape, dtype), other] { primitives::cast(x, other); },
                  bytes_of(shape, dtype) + bytes_of(shape, other));
}

PreparedKernels prepare_relayout(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 3 || shape.rank() == 4,
                    "[kernel] relayout: got shape {}, wanted 3 or 4 dimensions", shape);
  return all_wide(
      [x = on_cuda(shape, dtype)] { primitives::relayout(x, MemoryFormat::ChannelsLast); },
      2 * bytes_of(shape, dtype));
}

// uint8 beside two tensors.
PreparedKernels prepare_where(const Shape& shape, DType dtype) {
  const auto op = [condition = on_cuda(shape, uint8)](const std::vector<Tensor>& in) {
    return where(condition, in[0], in[1]);
  };
  // a, b, y; dy, da; dy, db. The condition of each.
  const int64_t wide = 7 * bytes_of(shape, dtype);
  return {forward_and_backward({on_cuda(shape, dtype), on_cuda(shape, dtype)},
                               on_cuda(shape, dtype), op),
          wide + 3 * bytes_of(shape, uint8), wide, seed_copy, 2 * bytes_of(shape, dtype)};
}

PreparedKernels prepare_lt(const Shape& shape, DType dtype) {
  const int64_t wide = 2 * bytes_of(shape, dtype);
  return {[a = on_cuda(shape, dtype), b = on_cuda(shape, dtype)] { lt(a, b); },
          wide + bytes_of(shape, uint8), wide};
}

// Rows with two packs on either side.
PreparedKernels prepare_pad(const Shape& shape, DType dtype) {
  const int64_t side = 2 * 16 / size_of(dtype);
  Shape padded = shape;
  padded[shape.rank() - 1] += 2 * side;
  return all_wide(
      [x = on_cuda(shape, dtype), side] {
        pad(x, {side, side});
      },
      bytes_of(shape, dtype) + bytes_of(padded, dtype));
}

// Two tensors along the last dimension.
PreparedKernels prepare_concat(const Shape& shape, DType dtype) {
  return all_wide(
      [a = on_cuda(shape, dtype), b = on_cuda(shape, dtype)] {
        concat({a, b}, -1);
      },
      4 * bytes_of(shape, dtype));
}

// Each row's elements in the reverse order.
PreparedKernels prepare_gather(const Shape& shape, DType dtype) {
  const int64_t row = shape[shape.rank() - 1];
  std::vector<int64_t> places(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < places.size(); ++i) {
    places[i] = row - 1 - static_cast<int64_t>(i) % row;
  }
  const int64_t bytes = 2 * bytes_of(shape, dtype) + bytes_of(shape, int64);
  return {
      [x = on_cuda(shape, dtype), index = tensor(places, shape, cuda)] { gather(x, -1, index); },
      bytes, bytes};
}

PreparedKernels prepare_dropout_channels_last(const Shape& shape, DType dtype) {
  const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
  const auto op = [](const std::vector<Tensor>& in) { return dropout(in[0], 0.5); };
  const int64_t bytes = 4 * bytes_of(shape, dtype);
  return {forward_and_backward({x}, x, op), bytes, bytes, seed_copy, 2 * bytes_of(shape, dtype)};
}

// Of channels-last images. index_bytes: kept of each output for backward.
KernelCase pooling(const std::string& name, const std::string& windows, int64_t index_bytes,
                   const std::function<Tensor(const Tensor&)>& op) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
    const Tensor seed = Tensor::empty_like(op(x));
    const int64_t wide = 2 * (bytes_of(shape, dtype) + bytes_of(seed.shape(), dtype));
    const auto of_first = [op](const std::vector<Tensor>& in) { return op(in[0]); };
    return PreparedKernels{forward_and_backward({x}, seed, of_first),
                           wide + 2 * index_bytes * seed.numel(), wide, seed_copy,
                           2 * bytes_of(seed.shape(), dtype)};
  };
  return {name, windows + ", forward and backward", {8, 64, 32, 32}, prepare};
}

// Pixels of half the side become images of this shape.
PreparedKernels prepare_image_batch(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 4 && shape[2] == shape[3] && shape[2] % 2 == 0,
                    "[kernel] image_batch: got shape {}, wanted (N, C, S, S) with an even S",
                    shape);
  const Shape pixels = {shape[0], shape[1], shape[2] / 2, shape[2] / 2};
  std::vector<int64_t> all(static_cast<size_t>(shape[0]));  // each image once, as counted
  std::iota(all.begin(), all.end(), int64_t{0});
  const Tensor numbers = tensor(all, {shape[0]}, cuda);
  ImageTransform transform{.image_size = shape[2], .dtype = dtype};
  transform.mean.resize(static_cast<size_t>(shape[1]), 0.5);
  transform.std.resize(static_cast<size_t>(shape[1]), 0.25);
  return {[images = Tensor::full(pixels, 7, uint8, cuda), numbers, transform] {
            image_batch(images, numbers, numbers, transform);
          },
          pixels.numel() + bytes_of(shape, dtype) + 3 * bytes_of({shape[0]}, int64),
          bytes_of(shape, dtype)};
}

}  // namespace

const std::vector<KernelCase>& kernel_cases() {
  using In = const std::vector<Tensor>&;
  static const std::vector<KernelCase> cases = {
      {"weight_norm", "forward and backward", {512, 576}, prepare_weight_norm},
      elementwise("exp", 1, 5, [](In in) { return exp(in[0]); }),
      elementwise("log", 1, 5, [](In in) { return log(in[0]); }),
      elementwise("relu", 1, 5, [](In in) { return relu(in[0]); }),
      elementwise("add", 2, 7, [](In in) { return add(in[0], in[1]); }),
      elementwise("sub", 2, 7, [](In in) { return sub(in[0], in[1]); }),
      elementwise("mul", 2, 9, [](In in) { return mul(in[0], in[1]); }),
      elementwise("div", 2, 10, [](In in) { return div(in[0], in[1]); }),
      reduction("sum", -1, 0, sum),
      reduction("sum_dim0", 0, 0, sum),
      reduction("mean", -1, 0, mean),
      reduction("max", -1, 2, max),  // first to count the largest ones
      reduction("max_dim0", 0, 2, max),
      pooling("max_pool2d", "2x2 windows", 1, [](const Tensor& x) { return max_pool2d(x, {}); }),
      pooling("relu_max_pool2d", "2x2 windows", 1,
              [](const Tensor& x) { return max_pool2d(x, {.activation = Activation::ReLU}); }),
      pooling("max_pool2d_rows", "2x2 windows of ReLU, written row-major for flatten", 1,
              [](const Tensor& x) {
                DeferralScope scope;
                Tensor y = flatten(max_pool2d(relu(x), {}), 1);
                scope.finish();
                return y;
              }),
      pooling("avg_pool2d", "2x2 windows", 0, [](const Tensor& x) { return avg_pool2d(x, {}); }),
      pooling("max_pool2d_overlap", "3x3 windows, stride 2", 1,
              [](const Tensor& x) {
                return max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1});
              }),
      pooling("avg_pool2d_overlap", "3x3 windows, stride 2", 0,
              [](const Tensor& x) {
                return avg_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1});
              }),
      {"matmul", "of (m, n, k), forward and backward", {256, 256, 512}, prepare_matmul, true},
      convolution("conv2d", false),
      convolution("conv2d_depthwise", true),
      {"argmax", "over the last dimension", {512, 1024}, prepare_argmax},
      elementwise("softmax", 1, 5, [](In in) { return softmax(in[0], -1); }),
      elementwise("log_softmax", 1, 5, [](In in) { return log_softmax(in[0], -1); }),
      elementwise("softmax_dim0", 1, 5, [](In in) { return softmax(in[0], 0); }),
      {"cross_entropy", "forward and backward", {512, 1024}, prepare_cross_entropy},
      elementwise("dropout", 1, 4, [](In in) { return dropout(in[0], 0.5); }),
      {"dropout_channels_last",
       "of channels-last images, forward and backward",
       {8, 64, 32, 32},
       prepare_dropout_channels_last},
      optimizer<SGD>("sgd", 5, {.momentum = 0.9}),
      optimizer<Adam>("adam", 7, {}),
      optimizer<AdamW>("adamw", 7, {}),
      {"grad_norm", "of one parameter", {512, 1024}, prepare_grad_norm},
      {"fill", "with one value", {512, 1024}, prepare_fill},
      {"copy", "within the device", {512, 1024}, prepare_copy},
      {"cast", "to the other floating dtype", {512, 1024}, prepare_cast},
      {"image_batch", "resized to twice the side", {128, 3, 32, 32}, prepare_image_batch},
      {"relayout", "row-major to channels-last", {8, 64, 32, 32}, prepare_relayout},
      {"where", "forward and backward", {512, 1024}, prepare_where},
      {"lt", "of two tensors", {512, 1024}, prepare_lt},
      {"pad", "with two packs before and behind each row", {512, 1024}, prepare_pad},
      {"concat", "of two along the last dimension", {512, 1024}, prepare_concat},
      {"gather", "each row in the reverse order", {512, 1024}, prepare_gather},
  };
  return cases;
}

Shape shape_of_bytes(const KernelCase& kernel_case, int64_t bytes) {
  Shape shape = kernel_case.shape;
  const int64_t row = bytes_of(shape, float32) / shape[0];
  shape[0] = std::max(shape[0], (bytes + row - 1) / row);
  return shape;
}

const KernelCase& find_kernel_case(const std::string& name) {
  std::string names;
  for (const KernelCase& kernel_case : kernel_cases()) {
    if (kernel_case.name == name) {
      return kernel_case;
    }
    names += (names.empty() ? "" : ", ") + kernel_case.name;
  }
  throw ValueError(
      fmt::format("[kernel] name: got \"{}\", wanted one of {}", escaped(name), names));
}

int64_t KernelRun::moved_bytes() const {
  uint64_t bytes = 0;
  for (const auto& kernel : kernels) {
    bytes += kernel.total(simt::profile::Space::Device).moved_bytes();
  }
  return static_cast<int64_t>(bytes);
}

KernelRun profile_case([[maybe_unused]] const KernelCase& kernel_case,
                       [[maybe_unused]] const Shape& shape, [[maybe_unused]] DType dtype) {
  KernelRun result;
  if constexpr (simt::profile::is_built_in) {
    const PreparedKernels prepared = kernel_case.prepare(shape, dtype);
    gpu::synchronize();
    const gpu::emulated::MemoryRange memory = gpu::emulated::memory_range();
    const PlanNotes notes;
    simt::profile::start({memory.begin, memory.end});
    try {
      prepared.run();
      gpu::synchronize();
    } catch (...) {
      simt::profile::stop();
      throw;
    }
    result = {simt::profile::stop(), prepared.counted_bytes, prepared.wide_bytes, notes.plans()};
    std::erase_if(result.kernels,
                  [&](const auto& kernel) { return kernel.name == prepared.left_out; });
  }
  return result;
}

}  // namespace warptape::tools
