#include "tests/kernels/cuda/random_ops.h"

#include <fmt/format.h>
#include <algorithm>
#include <numeric>
#include <random>

#include "core/primitives.h"
#include "core/random.h"
#include "kernels/ops.h"
#include "tests/kernels/perceptron.h"

namespace warptape {
namespace {

using In = const std::vector<Operand>&;
using Constants = const std::vector<Tensor>&;

// Draws without the standard library's distributions, which differ between machines.
class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed), generator_(seed) {
    dtype_ = one_in(3) ? float64 : float32;
  }

  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool one_in(int64_t n) { return between(1, n) == 1; }
  template <class T>
  T any_of(std::initializer_list<T> values) {
    return values.begin()[between(0, static_cast<int64_t>(values.size()) - 1)];
  }

  // Small, now and then on both sides of a pack or a tile, seldom nothing at all.
  int64_t size() {
    if (one_in(60)) {
      return 0;
    }
    return one_in(5) ? any_of<int64_t>({8, 16, 31, 32, 33, 64, 65}) : between(1, 9);
  }
  Pair pair(int64_t low, int64_t high) { return {between(low, high), between(low, high)}; }
  Shape shape(int rank) {
    Shape result;
    for (int dim = 0; dim < rank; ++dim) {
      result.append(rank > 2 ? std::min<int64_t>(size(), 17) : size());
    }
    return result;
  }
  Shape shape() { return shape(static_cast<int>(between(1, 4))); }

  // Normal values in one of the formats that the rank has.
  Tensor values(const Shape& shape) { return in_a_format(randn(shape, dtype_, generator_)); }
  Tensor positive(const Shape& shape) {
    Tensor result = Tensor::empty(shape, dtype_);
    fill_uniform(result, 0.5, 2, generator_);
    return in_a_format(result);
  }
  Tensor whole_numbers(const Shape& shape, int64_t below) {
    std::vector<int64_t> numbers(static_cast<size_t>(shape.numel()));
    for (int64_t& number : numbers) {
      number = between(0, below - 1);
    }
    return Tensor::from_vector(numbers, shape);
  }
  Tensor pixels(const Shape& shape) {
    std::vector<uint8_t> bytes(static_cast<size_t>(shape.numel()));
    for (uint8_t& byte : bytes) {
      byte = static_cast<uint8_t>(between(0, 255));
    }
    return Tensor::from_vector(bytes, shape);
  }

  std::vector<int> dims(int rank) {
    std::vector<int> result;
    for (int dim = 0; dim < rank; ++dim) {
      if (one_in(2)) {
        result.push_back(one_in(2) ? dim : dim - rank);
      }
    }
    return result;
  }
  int dim(int rank) { return static_cast<int>(between(-rank, rank - 1)); }
  uint64_t seed() { return random_(); }
  DType dtype() const { return dtype_; }

 private:
  Tensor in_a_format(const Tensor& x) {
    const bool has_formats = x.rank() == 3 || x.rank() == 4;
    return primitives::relayout(
        x, has_formats && one_in(2) ? MemoryFormat::ChannelsLast : MemoryFormat::RowMajor);
  }

  std::mt19937_64 random_;
  Generator generator_;
  DType dtype_ = float32;
};

RandomOp draw_conv2d(Draw& draw) {
  const bool depthwise = draw.one_in(4);
  const int64_t groups = depthwise ? draw.any_of<int64_t>({2, 3, 4, 8, 12}) : draw.between(1, 3);
  const int64_t in_channels = groups * (depthwise ? 1 : draw.any_of<int64_t>({1, 2, 3, 4, 8, 17}));
  const int64_t out = groups * (depthwise ? draw.between(1, 3) : draw.between(1, 9));
  const Pair before = draw.pair(0, 3);
  const Pair after = draw.one_in(2) ? before : draw.pair(0, 3);
  const Sides2d sides{before.height, after.height, before.width, after.width};
  const Conv2dOptions options{draw.pair(1, 5), sides, draw.pair(1, 3), groups};
  const Pair kernel = draw.pair(1, 4);
  const bool bias = draw.one_in(2);
  RandomOp op;
  op.inputs = {
      draw.values({draw.between(1, 3), in_channels, draw.between(1, 13), draw.between(1, 13)}),
      draw.values({out, in_channels / groups, kernel.height, kernel.width})};
  if (bias) {
    op.inputs.push_back(draw.values({out}));
  }
  op.text = fmt::format("conv2d, stride {}, padding {}, dilation {}, groups {}",
                        options.stride.to_string(), options.padding.to_string(),
                        options.dilation.to_string(), groups);
  op.run = [options, bias](In in, Constants) {
    return bias ? conv2d(in[0], in[1], in[2], options) : conv2d(in[0], in[1], Tensor(), options);
  };
  return op;
}

RandomOp draw_pool(Draw& draw) {
  const Pair kernel = draw.pair(1, 4);
  const Pair stride = draw.one_in(3) ? Pair(0) : draw.pair(1, 4);
  const Pair padding{draw.between(0, kernel.height / 2), draw.between(0, kernel.width / 2)};
  const Pair dilation = draw.one_in(3) ? draw.pair(1, 3) : Pair(1);
  const bool ceil_mode = draw.one_in(2);
  const int kind = static_cast<int>(draw.between(0, 2));
  RandomOp op;
  op.inputs = {
      draw.values({draw.between(1, 3), draw.size(), draw.between(1, 12), draw.between(1, 12)})};
  op.text = fmt::format("{}, kernel {}, stride {}, padding {}, ceil_mode {}",
                        kind == 0   ? "avg_pool2d"
                        : kind == 1 ? "max_pool2d"
                                    : "relu_max_pool2d",
                        kernel.to_string(), stride.to_string(), padding.to_string(), ceil_mode);
  if (kind == 0) {
    const bool count = draw.one_in(2);
    op.text += fmt::format(", count_include_pad {}", count);
    op.run = [=](In in, Constants) {
      return avg_pool2d(in[0], {kernel, stride, padding, ceil_mode, count});
    };
  } else {
    op.text += ", dilation " + dilation.to_string();
    const MaxPool2dOptions options{kernel, stride, padding, dilation, ceil_mode};
    op.run = [=](In in, Constants) {
      return kind == 1 ? max_pool2d(in[0], options) : relu_max_pool2d(in[0], options);
    };
  }
  return op;
}

// One of several shapes that broadcast to `shape`.
Shape broadcast_from(Draw& draw, const Shape& shape) {
  const int dropped = draw.one_in(3) ? static_cast<int>(draw.between(0, shape.rank())) : 0;
  Shape result;
  for (int dim = dropped; dim < shape.rank(); ++dim) {
    result.append(draw.one_in(4) ? 1 : shape[dim]);
  }
  return result;
}

RandomOp draw_matmul(Draw& draw) {
  const MatmulOptions options{draw.one_in(2), draw.one_in(2)};
  const Shape batch = draw.shape(static_cast<int>(draw.between(0, 2)));
  Shape small;
  for (int dim = 0; dim < batch.rank(); ++dim) {
    small.append(std::min<int64_t>(batch[dim], 3));
  }
  const int64_t m = draw.size();
  const int64_t n = draw.size();
  const int64_t k = draw.size();
  Shape a = broadcast_from(draw, small);
  Shape b = broadcast_from(draw, small);
  a.append(options.transpose_a ? k : m);
  a.append(options.transpose_a ? m : k);
  b.append(options.transpose_b ? n : k);
  b.append(options.transpose_b ? k : n);
  RandomOp op;
  op.inputs = {draw.values(a), draw.values(b)};
  op.text = fmt::format("matmul, transpose_a {}, transpose_b {}", options.transpose_a,
                        options.transpose_b);
  op.run = [options](In in, Constants) { return matmul(in[0], in[1], options); };
  return op;
}

RandomOp draw_linear(Draw& draw) {
  const bool two = draw.one_in(2);
  const int64_t in_features = draw.size();
  const int64_t hidden = draw.size();
  const int64_t out = draw.size();
  const bool bias = draw.one_in(2);
  Shape x = draw.shape(static_cast<int>(draw.between(0, 3)));
  x.append(in_features);
  RandomOp op;
  op.inputs = {draw.values(x), draw.values({hidden, in_features})};
  if (bias) {
    op.inputs.push_back(draw.values({hidden}));
  }
  if (two) {
    op.inputs.push_back(draw.values({out, hidden}));
    if (bias) {
      op.inputs.push_back(draw.values({out}));
    }
  }
  op.text = two ? "perceptron" : "linear";
  op.run = [two, bias](In in, Constants) {
    if (!two) {
      return bias ? linear(in[0], in[1], in[2]) : linear(in[0], in[1]);
    }
    return bias ? perceptron(in[0], in[1], in[2], in[3], in[4])
                : perceptron(in[0], in[1], Tensor(), in[2], Tensor());
  };
  return op;
}

RandomOp draw_reduction(Draw& draw) {
  const Shape shape = draw.shape();
  const bool keepdim = draw.one_in(2);
  RandomOp op;
  op.inputs = {draw.values(shape)};
  const int kind = static_cast<int>(draw.between(0, 3));
  if (kind == 3) {
    const bool flat = draw.one_in(4);
    const int dim = draw.dim(shape.rank());
    op.text =
        fmt::format("argmax, dim {}, keepdim {}", flat ? "none" : fmt::format("{}", dim), keepdim);
    op.differentiable = false;
    op.run = [=](In in, Constants) {
      return argmax(in[0], flat ? std::nullopt : std::optional<int>(dim), keepdim);
    };
    return op;
  }
  const std::vector<int> dims = draw.dims(shape.rank());
  op.text = fmt::format("{}, dims ({}), keepdim {}",
                        kind == 0   ? "sum"
                        : kind == 1 ? "mean"
                                    : "max",
                        fmt::join(dims, ", "), keepdim);
  op.run = [=](In in, Constants) {
    const auto reduce = kind == 0 ? sum : kind == 1 ? mean : max;
    return reduce(in[0], dims, keepdim);
  };
  return op;
}

RandomOp draw_rows(Draw& draw) {
  const Shape shape = draw.shape();
  const int dim = draw.dim(shape.rank());
  const bool logarithm = draw.one_in(2);
  RandomOp op;
  op.inputs = {draw.values(shape)};
  op.text = fmt::format("{}, dim {}", logarithm ? "log_softmax" : "softmax", dim);
  op.run = [=](In in, Constants) {
    return logarithm ? log_softmax(in[0], dim) : softmax(in[0], dim);
  };
  return op;
}

// A mask beside a tensor: some of the first dimensions, some of them 1.
Tensor draw_mask(Draw& draw, const Shape& beside) {
  Shape shape;
  for (int64_t d = 0, rank = draw.between(0, beside.rank()); d < rank; ++d) {
    shape.append(draw.one_in(3) ? 1 : beside[static_cast<int>(d)]);
  }
  std::vector<uint8_t> kept(static_cast<size_t>(shape.numel()));
  for (uint8_t& element : kept) {
    element = draw.one_in(3) ? 0 : 1;
  }
  return Tensor::from_vector(kept, shape);
}

// Of one element after the other.
RandomOp draw_elementwise_loss(Draw& draw, Reduction reduction) {
  const Shape shape = draw.shape();
  const int kind = static_cast<int>(draw.between(0, 5));
  RandomOp op;
  op.inputs = {draw.values(shape), draw.values(shape)};
  if (kind == 4) {
    op.inputs.push_back(draw.positive(shape));
  } else if (kind == 5) {
    Shape row{shape[shape.rank() - 1]};
    op.inputs.push_back(draw.positive(row));
  }
  op.constants = {draw.one_in(2) ? draw_mask(draw, shape) : Tensor::ones({}, uint8)};
  constexpr const char* names[] = {"mse_loss",       "l1_loss",           "huber_loss",
                                   "smooth_l1_loss", "gaussian_nll_loss", "bce_with_logits_loss"};
  op.text = fmt::format("{}, {}, mask {}", names[kind], static_cast<int>(reduction),
                        op.constants[0].shape().to_string());
  op.run = [=](In in, Constants constants) {
    const Operand mask = constants[0];
    return kind == 0   ? mse_loss(in[0], in[1], {.reduction = reduction}, mask)
           : kind == 1 ? l1_loss(in[0], in[1], {.reduction = reduction}, mask)
           : kind == 2 ? huber_loss(in[0], in[1], {.reduction = reduction, .delta = 0.5}, mask)
           : kind == 3 ? smooth_l1_loss(in[0], in[1], {.reduction = reduction}, mask)
           : kind == 4 ? gaussian_nll_loss(in[0], in[1], in[2], {.reduction = reduction}, mask)
                       : bce_with_logits_loss(in[0], in[1], in[2], {.reduction = reduction}, mask);
  };
  return op;
}

RandomOp draw_loss(Draw& draw) {
  const Reduction reduction = draw.any_of({Reduction::Mean, Reduction::Sum, Reduction::None});
  if (draw.one_in(2)) {
    return draw_elementwise_loss(draw, reduction);
  }
  RandomOp op;
  const Shape shape = draw.shape(static_cast<int>(draw.between(2, 4)));
  Shape labels{shape[0]};
  for (int dim = 2; dim < shape.rank(); ++dim) {
    labels.append(shape[dim]);
  }
  const int64_t classes = std::max<int64_t>(shape[1], 1);
  const CrossEntropyOptions options{reduction, draw.one_in(2) ? 0 : -100,
                                    draw.one_in(2) ? 0.1 : 0.0};
  op.inputs = {draw.values(shape)};
  op.constants = {draw.whole_numbers(labels, classes)};
  const bool of_logits = draw.one_in(2);
  op.text = fmt::format("{}, {}, ignore_index {}, label_smoothing {}",
                        of_logits ? "cross_entropy" : "nll_loss", static_cast<int>(reduction),
                        options.ignore_index, options.label_smoothing);
  op.run = [options, of_logits](In in, Constants constants) {
    return of_logits ? cross_entropy(in[0], constants[0], options)
                     : nll_loss(in[0], constants[0], {options.reduction, options.ignore_index});
  };
  return op;
}

RandomOp draw_binary(Draw& draw) {
  const Shape shape = draw.shape();
  const Shape other = broadcast_from(draw, shape);
  const int kind = static_cast<int>(draw.between(0, 4));
  RandomOp op;
  op.inputs = {draw.values(shape), kind == 3 ? draw.positive(other) : draw.values(other)};
  const bool exchanged = kind < 3 && draw.one_in(2);
  constexpr const char* names[] = {"add", "sub", "mul", "div", "where one is less"};
  op.text = fmt::format("{}{}", names[kind], exchanged ? ", exchanged" : "");
  op.run = [kind, exchanged](In in, Constants) {
    const Operand& a = in[exchanged ? 1 : 0];
    const Operand& b = in[exchanged ? 0 : 1];
    return kind == 0   ? add(a, b)
           : kind == 1 ? sub(a, b)
           : kind == 2 ? mul(a, b)
           : kind == 3 ? div(a, b)
                       : where(a < b, a, b);
  };
  return op;
}

RandomOp draw_unary(Draw& draw) {
  const Shape shape = draw.shape();
  const int kind = static_cast<int>(draw.between(0, 3));
  RandomOp op;
  op.inputs = {kind == 1 ? draw.positive(shape) : draw.values(shape)};
  constexpr const char* names[] = {"exp", "log", "relu", "dropout"};
  const double p = draw.any_of({0.0, 0.25, 0.5, 1.0});
  op.text = kind == 3 ? fmt::format("dropout, p {}", p) : std::string(names[kind]);
  op.run = [kind, p, seed = draw.seed()](In in, Constants) {
    Generator generator(seed);
    return kind == 0   ? exp(in[0])
           : kind == 1 ? log(in[0])
           : kind == 2 ? relu(in[0])
                       : dropout(in[0], p, true, generator);
  };
  return op;
}

RandomOp draw_movement(Draw& draw) {
  RandomOp op;
  const Shape shape = draw.shape();
  op.inputs = {draw.values(shape)};
  const int first = draw.dim(shape.rank());
  const int second = draw.dim(shape.rank());
  switch (draw.between(0, 9)) {
    case 4: {
      const int64_t start = draw.between(-9, 9);
      const int64_t end = draw.between(-9, 20);
      const int64_t step = draw.one_in(2) ? 1 : draw.between(2, 4);
      op.text = fmt::format("slice, dim {}, {} to {} by {}", first, start, end, step);
      op.run = [=](In in, Constants) { return slice(in[0], first, start, end, step); };
      break;
    }
    case 5: {
      Shape other = shape;
      other[first] = draw.size();
      op.inputs.push_back(draw.values(other));
      op.text = fmt::format("concat, dim {}", first);
      op.run = [=](In in, Constants) { return concat({in[0], in[1], in[0]}, first); };
      break;
    }
    case 6: {
      op.inputs.push_back(draw.values(shape));
      op.text = fmt::format("stack, dim {}", first);
      op.run = [=](In in, Constants) { return stack({in[0], in[1]}, first); };
      break;
    }
    case 7: {
      std::vector<int> dims(static_cast<size_t>(shape.rank()));
      std::iota(dims.begin(), dims.end(), 0);
      for (size_t i = dims.size(); i > 1; --i) {
        std::swap(dims[i - 1], dims[draw.seed() % i]);
      }
      op.text = fmt::format("permute, ({})", fmt::join(dims, ", "));
      op.run = [=](In in, Constants) { return permute(in[0], dims); };
      break;
    }
    case 8: {
      std::vector<int64_t> padding(2 * static_cast<size_t>(draw.between(0, shape.rank())));
      for (int64_t& elements : padding) {
        elements = draw.one_in(3) ? 4 * draw.between(0, 2) : draw.between(-2, 4);
      }
      op.text = fmt::format("pad, ({})", fmt::join(padding, ", "));
      op.run = [=](In in, Constants) { return pad(in[0], padding, 0.5); };
      break;
    }
    case 9: {
      Shape of_index = shape;
      of_index[first] = draw.size();
      const int64_t length = std::max<int64_t>(shape[first], 1);
      op.constants = {draw.whole_numbers(of_index, length)};
      op.text = fmt::format("gather, dim {}", first);
      op.run = [=](In in, Constants constants) { return gather(in[0], first, constants[0]); };
      break;
    }
    case 0:
      op.text = fmt::format("transpose, {} and {}", first, second);
      op.run = [=](In in, Constants) { return transpose(in[0], first, second); };
      break;
    case 1:
      op.text = fmt::format("flatten, {} to {}", first, second);
      op.run = [=](In in, Constants) { return flatten(in[0], first, second); };
      break;
    case 2: {
      std::vector<int64_t> sizes(shape.begin(), shape.end());
      std::reverse(sizes.begin(), sizes.end());
      op.text = "reshape, sizes reversed";
      op.run = [=](In in, Constants) { return reshape(in[0], sizes); };
      break;
    }
    default:
      op.inputs = {draw.values(draw.shape(4))};
      op.text = "global_avg_pool2d";
      op.run = [](In in, Constants) { return global_avg_pool2d(in[0]); };
  }
  return op;
}

RandomOp draw_weight_norm(Draw& draw) {
  RandomOp op;
  const int count = static_cast<int>(draw.between(1, 3));
  for (int i = 0; i < count; ++i) {
    Shape v = draw.shape();
    if (draw.one_in(12)) {
      v = {2, 30000};  // two of them are more than a block holds
    }
    Shape g = v;
    for (int dim = 1; dim < g.rank(); ++dim) {
      g[dim] = 1;
    }
    op.inputs.push_back(draw.positive(v));  // its gradient has 1 / norm as a factor
    op.inputs.push_back(draw.values(g));
  }
  if (count == 1) {
    op.text = "weight_norm";
    op.run = [](In in, Constants) { return weight_norm(in[0], in[1]); };
    return op;
  }
  op.text = "weight_norm_together";
  op.run = [count](In in, Constants) {
    std::vector<WeightNormCache> caches(static_cast<size_t>(count));
    std::vector<WeightNormUse> uses;
    for (size_t i = 0; i < caches.size(); ++i) {
      uses.push_back({in[2 * i], in[2 * i + 1], &caches[i]});
    }
    weight_norm_together(uses);
    Tensor total;
    for (const WeightNormCache& cache : caches) {
      const Tensor one = sum(mul(cache.w, exp(cache.w)));
      total = total.defined() ? add(total, one) : one;
    }
    return total;
  };
  return op;
}

RandomOp draw_image_batch(Draw& draw) {
  RandomOp op;
  const int64_t count = draw.between(1, 5);
  const int64_t channels = draw.between(1, 5);
  ImageTransform transform{.image_size = draw.between(1, 20), .dtype = draw.dtype()};
  transform.mean.clear();
  transform.std.clear();
  for (int64_t channel = 0; channel < channels; ++channel) {
    transform.mean.push_back(0.1 * static_cast<double>(channel));
    transform.std.push_back(0.5 + 0.1 * static_cast<double>(channel));
  }
  const int64_t side = draw.one_in(2) ? transform.image_size : draw.between(1, 20);
  const int64_t other = draw.one_in(2) ? transform.image_size : draw.between(1, 20);
  op.constants = {draw.pixels({count, channels, side, other}), draw.whole_numbers({count}, 10),
                  draw.whole_numbers({draw.between(1, 7)}, count)};
  op.text = fmt::format("image_batch, image_size {}", transform.image_size);
  op.differentiable = false;
  op.run = [transform](In, Constants constants) {
    return image_batch(constants[0], constants[1], constants[2], transform).images;
  };
  return op;
}

}  // namespace

RandomOp random_op(uint64_t seed) {
  // Ops with many options come more often.
  constexpr RandomOp (*draws[])(Draw&) = {
      draw_conv2d,    draw_conv2d,   draw_conv2d,   draw_matmul,      draw_matmul,
      draw_linear,    draw_pool,     draw_pool,     draw_loss,        draw_reduction,
      draw_reduction, draw_rows,     draw_binary,   draw_binary,      draw_unary,
      draw_movement,  draw_movement, draw_movement, draw_weight_norm, draw_image_batch};
  Draw draw(seed);
  RandomOp op = draws[draw.between(0, std::size(draws) - 1)](draw);
  op.text += fmt::format(", {}", to_string(draw.dtype()));
  return op;
}

}  // namespace warptape
