// The case tables of the losses. References are the functors in float64, summed by plain loops;
// what these should compute, PyTorch's values say (tests/golden).

#include <functional>
#include <limits>

#include "core/primitives.h"
#include "kernels/cases/measured.h"
#include "kernels/losses/losses.h"

namespace warptape {
namespace {

using losses::Third;

// The element of an operand beside element i of the input; its dimensions are the input's first
// ones, or the last ones.
double beside(const Plain& operand, const Shape& input, int64_t i, bool trailing = false) {
  int64_t offset = 0;
  int64_t step = 1;
  int64_t own_step = 1;
  const int before = trailing ? input.rank() - operand.shape().rank() : 0;
  for (int d = input.rank() - 1; d >= 0; --d) {
    const int own = d - before;
    if (own >= 0 && own < operand.shape().rank()) {
      const int64_t size = operand.shape()[own];
      offset += size == 1 ? 0 : i / step % input[d] * own_step;
      own_step *= size;
    }
    step *= input[d];
  }
  return operand[offset];
}

// The inputs of a case: input, target, a third tensor and a mask where there are such.
struct LossCase {
  const char* name;
  Shape shape;
  Reduction reduction = Reduction::Mean;
  std::vector<Shape> mask{};  // one, or none
  std::vector<Shape> third{};
  MemoryFormat format = MemoryFormat::RowMajor;
  MemoryFormat format_of_target = MemoryFormat::RowMajor;
};

template <class Functor>
Tensor reference(const Functor& functor, const LossCase& of, const std::vector<Tensor>& in) {
  const Plain x(in[0]);
  const Plain target(in[1]);
  const Plain third = of.third.empty() ? Plain(Shape{}) : Plain(in[2]);
  const Plain mask = of.mask.empty() ? Plain(Shape{}) : Plain(primitives::cast(in.back(), float64));
  Plain each(x.shape());
  double total = 0;
  double counted = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    if (!of.mask.empty() && beside(mask, x.shape(), i) == 0) {
      continue;
    }
    double own = 1;
    if constexpr (Functor::third == Third::Levels) {
      own = functor.levels[i % x.size(x.shape().rank() - 1)];
    } else if (!of.third.empty()) {
      own = beside(third, x.shape(), i, Functor::third == Third::Trailing);
    }
    each[i] = functor.value(x[i], beside(target, x.shape(), i), own);
    total += each[i];
    ++counted;
  }
  if (of.reduction == Reduction::None) {
    return each.tensor();
  }
  return tensor<double>({of.reduction == Reduction::Mean ? total / counted : total}, {});
}

Operand mask_of(const LossCase& of, const std::vector<Operand>& in) {
  return of.mask.empty() ? Operand(Tensor()) : in.back();
}

using LossFunction = std::function<Tensor(const std::vector<Operand>&, const LossCase&)>;

template <class Functor>
void add(CaseTable& table, const Functor& functor, const LossCase& of, const LossFunction& run,
         Fill fill_of_third = Fill::Positive) {
  Shape target = of.shape;
  if (Functor::third == Third::Levels) {
    target = {};
    for (int d = 0; d + 1 < of.shape.rank(); ++d) {
      target.append(of.shape[d]);
    }
  }
  OpCase op_case{
      .name = of.name,
      .inputs = {{.shape = of.shape, .format = of.format},
                 {.shape = target, .format = of.format_of_target}},
      .run = [run, of](const std::vector<Operand>& in) { return run(in, of); },
      .reference = [functor,
                    of](const std::vector<Tensor>& in) { return reference(functor, of, in); }};
  for (const Shape& third : of.third) {
    op_case.inputs.push_back({.shape = third, .fill = fill_of_third});
  }
  for (const Shape& mask : of.mask) {
    op_case.inputs.push_back({.shape = mask, .fill = Fill::Condition, .needs_grad = false});
  }
  op_case.tolerance = Tolerance::Reduction;
  table.cases.push_back(op_case);
}

// What all losses of one shape for input and target have; some of it is enough for one of them.
std::vector<LossCase> common_cases(bool all) {
  constexpr MemoryFormat last = MemoryFormat::ChannelsLast;
  std::vector<LossCase> cases = {
      {.name = "mean_1025", .shape = {1025}},
      {.name = "each", .shape = {3, 31}, .reduction = Reduction::None},
      {.name = "masked", .shape = {33, 12}, .mask = {Shape{33, 12}}},
  };
  if (all) {
    cases.insert(cases.end(),
                 {{.name = "scalar", .shape = {}},
                  {.name = "sum", .shape = {31, 33}, .reduction = Reduction::Sum},
                  {.name = "several_blocks", .shape = {5, 1000}},
                  {.name = "several_blocks_masked", .shape = {5, 1000}, .mask = {Shape{5, 1000}}},
                  {.name = "formats", .shape = {2, 3, 4, 5}, .format = last},
                  {.name = "formats_of_target",
                   .shape = {2, 3, 4, 5},
                   .reduction = Reduction::Sum,
                   .format_of_target = last},
                  {.name = "each_masked",
                   .shape = {5, 8, 3},
                   .reduction = Reduction::None,
                   .mask = {Shape{5, 8}},
                   .format = last},
                  {.name = "sum_masked",
                   .shape = {9, 7},
                   .reduction = Reduction::Sum,
                   .mask = {Shape{9, 7}}},
                  {.name = "lengths", .shape = {3, 5, 8}, .mask = {Shape{3, 1, 8}}},
                  {.name = "lengths_by_element", .shape = {3, 5, 7}, .mask = {Shape{3, 1, 7}}},
                  {.name = "steps_of_packs", .shape = {4, 5, 8}, .mask = {Shape{4, 5}}},
                  {.name = "warm_up", .shape = {6, 12}, .mask = {Shape{1, 12}}},
                  {.name = "empty_each", .shape = {0, 3}, .reduction = Reduction::None}});
  }
  return cases;
}

// Bytes of the tensors read and written by forward and backward of a mean with gradients by `in`.
template <class Run>
MeasuredCase measured(const std::string& name, int64_t tensors, const Run& run) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    const int64_t bytes = tensors * bytes_of(shape, dtype);
    return run(shape, dtype, bytes);
  };
  return {name, "forward and backward", {512, 1024}, prepare};
}

using OfTwo = std::function<Tensor(const Operand&, const Operand&, const Operand& mask)>;

// A prediction against constants: both; both, the gradient.
MeasuredCase measured_of_two(const std::string& name, const OfTwo& loss) {
  return measured(name, 5, [loss](const Shape& shape, DType dtype, int64_t bytes) {
    const auto op = [loss, target = on_cuda(shape, dtype)](const std::vector<Tensor>& in) {
      return loss(in[0], target, Tensor());
    };
    return forward_and_backward({on_cuda(shape, dtype)}, on_cuda({}, dtype), op, bytes, bytes);
  });
}

void add_shape_errors(CaseTable& table, const std::string& op, const OfTwo& loss) {
  const std::string named = "[" + op + "]";
  table.errors.push_back({"shapes",
                          [loss] {
                            loss(Tensor::zeros({2, 1}), Tensor::zeros({2}), Tensor());
                          },
                          {named, "(2, 1)", "(2,)"}});
  table.errors.push_back(
      {"dtypes",
       [loss] { loss(Tensor::zeros({2}), Tensor::zeros({2}, float64), Tensor()); },
       {named, "float32", "float64"}});
  table.errors.push_back(
      {"mask_dtype",
       [loss] { loss(Tensor::zeros({2}), Tensor::zeros({2}), Tensor::zeros({2})); },
       {named, "mask", "float32", "uint8", "losses_cases.cpp"}});
  table.errors.push_back(
      {"mask_shape",
       [loss] {
         loss(Tensor::zeros({4, 3}), Tensor::zeros({4, 3}), Tensor::zeros({3}, uint8));
       },
       {named, "mask", "(3,)", "first dimensions", "(4, 3)"}});
}

template <class Functor>
void add_loss_of_two(CaseTable& table, const std::string& op, const Functor& functor, bool all,
                     const std::function<Tensor(const Operand&, const Operand&, const Functor&,
                                                const Operand&)>& loss) {
  for (const LossCase& of : common_cases(all)) {
    add(table, functor, of, [=](const std::vector<Operand>& in, const LossCase& own) {
      Functor options = functor;
      options.reduction = own.reduction;
      return loss(in[0], in[1], options, mask_of(own, in));
    });
  }
  const OfTwo by_default = [loss](const Operand& x, const Operand& target, const Operand& mask) {
    return loss(x, target, {}, mask);
  };
  add_shape_errors(table, op, by_default);
  table.measured.push_back(measured_of_two(op, by_default));
}

template <class Functor>
Functor options_for_cases() {
  if constexpr (std::is_same_v<Functor, losses::Huber>) {
    return {.delta = 0.7};
  } else if constexpr (std::is_same_v<Functor, losses::SmoothL1>) {
    return {.beta = 0.6};
  } else {
    return {};
  }
}

// What one of them has besides.
template <class Functor>
void add_own(CaseTable&) {}

template <>
void add_own<losses::Mse>(CaseTable& table) {
  const auto masked = [](const Shape& shape, DType dtype, int64_t bytes) {
    const auto op = [target = on_cuda(shape, dtype),
                     mask = on_cuda(shape, uint8)](const std::vector<Tensor>& in) {
      return mse_loss(in[0], target, {}, mask);
    };
    return forward_and_backward({on_cuda(shape, dtype)}, on_cuda({}, dtype), op,
                                bytes + 2 * shape.numel(), bytes);
  };
  table.measured.push_back(measured("mse_loss_masked", 5, masked));
}

template <>
void add_own<losses::Huber>(CaseTable& table) {
  const auto of_delta = [](double delta) {
    return [delta] { huber_loss(Tensor::zeros({2}), Tensor::zeros({2}), {.delta = delta}); };
  };
  table.errors.push_back({"delta", of_delta(-0.5), {"[huber_loss] delta: got -0.5", "above 0"}});
  table.errors.push_back({"delta_no_number",
                          of_delta(std::numeric_limits<double>::quiet_NaN()),
                          {"[huber_loss] delta: got nan", "above 0"}});
}

template <>
void add_own<losses::SmoothL1>(CaseTable& table) {
  table.errors.push_back(
      {"beta",
       [] { smooth_l1_loss(Tensor::zeros({2}), Tensor::zeros({2}), {.beta = -1}); },
       {"[smooth_l1_loss] beta: got -1", "0 or more"}});
}

}  // namespace

// mse_loss has the cases that try the kernels; they are the same code for the others.
#define WARPTAPE_CASES(name, Functor)                                                    \
  void name##_cases(CaseTable& table) {                                                  \
    add_loss_of_two<losses::Functor>(table, #name, options_for_cases<losses::Functor>(), \
                                     std::is_same_v<losses::Functor, losses::Mse>,       \
                                     [](auto&... in) { return name(in...); });           \
    add_own<losses::Functor>(table);                                                     \
  }
WARPTAPE_LOSSES_OF_TWO(WARPTAPE_CASES)
#undef WARPTAPE_CASES

void bce_with_logits_loss_cases(CaseTable& table) {
  const auto run = [](const std::vector<Operand>& in, const LossCase& of) {
    const losses::BceWithLogits options{.reduction = of.reduction};
    return of.third.empty() ? bce_with_logits_loss(in[0], in[1], options, mask_of(of, in))
                            : bce_with_logits_loss(in[0], in[1], in[2], options, mask_of(of, in));
  };
  for (const LossCase& of : common_cases(false)) {
    add(table, losses::BceWithLogits{}, of, run);
  }
  for (const LossCase& of :
       std::vector<LossCase>{{.name = "pos_weight", .shape = {9, 5}, .third = {Shape{5}}},
                             {.name = "pos_weight_of_packs",
                             .shape = {9, 8},
                             .mask = {Shape{9}},
                             .third = {Shape{8}}},
                             {.name = "pos_weight_of_channels",
                             .shape = {2, 5, 7},
                             .reduction = Reduction::Sum,
                             .third = {Shape{5, 1}},
                             .format = MemoryFormat::ChannelsLast},
                             {.name = "pos_weight_scalar", .shape = {3, 4}, .third = {Shape{}}},
                             {.name = "pos_weight_each",
                             .shape = {3, 4},
                             .reduction = Reduction::None,
                             .third = {Shape{3, 4}}}}) {
    add(table, losses::BceWithLogits{}, of, run);
    // The gradient by pos_weight is a sum of rounded terms of either sign.
    table.cases.back().bfloat16_roundings = 10;
  }
  const OfTwo plain = [](const Operand& x, const Operand& target, const Operand& mask) {
    return bce_with_logits_loss(x, target, losses::BceWithLogits{}, mask);
  };
  add_shape_errors(table, "bce_with_logits_loss", plain);
  table.errors.push_back(
      {"pos_weight",
       [] {
         bce_with_logits_loss(Tensor::zeros({3, 2}), Tensor::zeros({3, 2}), Tensor::zeros({3}));
       },
       {"[bce_with_logits_loss] pos_weight: got shape (3,)", "last dimensions", "(3, 2)"}});
  table.measured.push_back(measured_of_two("bce_with_logits_loss", plain));
}

void gaussian_nll_loss_cases(CaseTable& table) {
  const auto add_with = [&](const losses::GaussianNll& functor, const LossCase& of) {
    add(table, functor, of, [=](const std::vector<Operand>& in, const LossCase& own) {
      losses::GaussianNll options = functor;
      options.reduction = own.reduction;
      return gaussian_nll_loss(in[0], in[1], in[2], options, mask_of(own, in));
    });
  };
  for (LossCase of : common_cases(false)) {
    of.third = {of.shape};
    add_with({}, of);
  }
  add_with({.full = true},
           {.name = "full", .shape = {5, 7}, .reduction = Reduction::Sum, .third = {Shape{5, 7}}});
  add_with({}, {.name = "var_of_rows", .shape = {5, 7}, .third = {Shape{5}}});
  add_with({}, {.name = "var_of_rows_of_packs",
                .shape = {6, 8},
                .mask = {Shape{6, 8}},
                .third = {Shape{6, 1}}});
  add_with({}, {.name = "var_of_pixels",
                .shape = {2, 5, 3, 4},
                .reduction = Reduction::None,
                .third = {Shape{2, 1, 3, 4}},
                .format = MemoryFormat::ChannelsLast});
  add_shape_errors(table, "gaussian_nll_loss",
                   [](const Operand& x, const Operand& target, const Operand& mask) {
                     return gaussian_nll_loss(x, target, Tensor::ones({}), {}, mask);
                   });
  table.errors.push_back(
      {"var_shape",
       [] {
         const Tensor x = Tensor::zeros({3, 2});
         gaussian_nll_loss(x, x, Tensor::ones({2}));
       },
       {"[gaussian_nll_loss] var: got shape (2,)", "first dimensions", "(3, 2)"}});
  table.errors.push_back({"var_below_0",
                          [] {
                            const Tensor x = Tensor::zeros({3});
                            gaussian_nll_loss(x, x, Tensor::full({3}, -0.5));
                          },
                          {"[gaussian_nll_loss] var: got an element below 0"}});
  table.errors.push_back({"eps",
                          [] {
                            const Tensor x = Tensor::ones({3});
                            gaussian_nll_loss(x, x, x, {.eps = -1});
                          },
                          {"[gaussian_nll_loss] eps: got -1", "0 or more"}});
  // Three; three, and their gradients.
  table.measured.push_back(
      measured("gaussian_nll_loss", 9, [](const Shape& shape, DType dtype, int64_t bytes) {
        const auto op = [](const std::vector<Tensor>& in) {
          return gaussian_nll_loss(in[0], in[1], in[2]);
        };
        return forward_and_backward(
            {on_cuda(shape, dtype), on_cuda(shape, dtype), on_cuda(shape, dtype)},
            on_cuda({}, dtype), op, bytes, bytes);
      }));
}

void quantile_loss_cases(CaseTable& table) {
  const auto add_with = [&](const std::vector<double>& quantiles, const LossCase& of) {
    losses::Quantile functor;
    std::copy(quantiles.begin(), quantiles.end(), functor.levels);
    add(table, functor, of, [=](const std::vector<Operand>& in, const LossCase& own) {
      return quantile_loss(in[0], in[1], quantiles, own.reduction, mask_of(own, in));
    });
  };
  const std::vector<double> three{0.1, 0.5, 0.9};
  const std::vector<double> four{0.05, 0.3, 0.6, 0.95};
  add_with(three, {.name = "mean", .shape = {7, 5, 3}});
  add_with(three, {.name = "one_forecast", .shape = {3}});
  add_with(four, {.name = "sum_of_packs", .shape = {9, 4}, .reduction = Reduction::Sum});
  add_with({0.25}, {.name = "one_level", .shape = {32, 1}});
  add_with(three, {.name = "masked_steps", .shape = {5, 6, 3}, .mask = {Shape{5, 6}}});
  add_with(four, {.name = "each_masked",
                  .shape = {3, 4, 4},
                  .reduction = Reduction::None,
                  .mask = {Shape{3, 4, 4}}});
  add_with(three,
           {.name = "channels_last", .shape = {4, 5, 3}, .format = MemoryFormat::ChannelsLast});
  for (OpCase& op_case : table.cases) {
    op_case.bfloat16_roundings = 4;  // the gradient by the target is a sum of rounded ones
  }
  const auto of_shapes = [](const Shape& input, const Shape& target, double level) {
    return [=] { quantile_loss(Tensor::zeros(input), Tensor::zeros(target), {0.5, level}); };
  };
  table.errors.push_back({"level",
                          of_shapes({4, 2}, {4}, 1),
                          {"[quantile_loss] quantile 1: got 1", "above 0 and below 1"}});
  table.errors.push_back({"levels",
                          of_shapes({4, 3}, {4}, 0.9),
                          {"[quantile_loss] input: got shape (4, 3)", "(N, ..., 2)"}});
  table.errors.push_back({"target",
                          of_shapes({4, 2}, {4, 2}, 0.9),
                          {"[quantile_loss] target: got shape (4, 2), wanted (4,)"}});
  table.errors.push_back({"no_levels",
                          [] {
                            quantile_loss(Tensor::zeros({4, 0}), Tensor::zeros({4}), {});
                          },
                          {"[quantile_loss] quantiles: got 0 of them, wanted 1 to 128"}});
  // The forecasts of a target; both; both, and the gradient by the forecasts.
  const auto prepare = [](const Shape& shape, DType dtype) {
    Shape steps;
    for (int d = 0; d + 1 < shape.rank(); ++d) {
      steps.append(shape[d]);
    }
    const auto levels = static_cast<size_t>(shape[shape.rank() - 1]);
    const auto op = [target = on_cuda(steps, dtype),
                     quantiles = std::vector<double>(levels, 0.5)](const std::vector<Tensor>& in) {
      return quantile_loss(in[0], target, quantiles);
    };
    const int64_t wide = 3 * bytes_of(shape, dtype);
    return forward_and_backward({on_cuda(shape, dtype)}, on_cuda({}, dtype), op,
                                wide + 2 * bytes_of(steps, dtype), wide);
  };
  table.measured.push_back({"quantile_loss", "forward and backward", {1024, 64, 8}, prepare});
}

}  // namespace warptape
