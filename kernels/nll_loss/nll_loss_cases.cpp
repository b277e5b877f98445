#include "kernels/nll_loss/nll_loss.h"

#include <algorithm>

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

Shape labels_beside(const Shape& scores) {
  Shape result{scores[0]};
  for (int dim = 2; dim < scores.rank(); ++dim) {
    result.append(scores[dim]);
  }
  return result;
}

Tensor reference(const Tensor& input, const Tensor& labels, const NllLossOptions& options) {
  const std::vector<double> x = input.to_vector<double>();
  const std::vector<int64_t> label = labels.to_vector<int64_t>();
  const int64_t classes = input.shape()[1];
  const int64_t inner = labels.numel() / std::max<int64_t>(input.shape()[0], 1);
  Plain each(labels.shape());
  double total = 0;
  double counted = 0;
  for (int64_t row = 0; row < labels.numel(); ++row) {
    const int64_t own = label[static_cast<size_t>(row)];
    if (own != options.ignore_index) {
      each[row] = -x[static_cast<size_t>((row / inner * classes + own) * inner + row % inner)];
      total += each[row];
      ++counted;
    }
  }
  if (options.reduction == Reduction::None) {
    return each.tensor();
  }
  return tensor<double>({options.reduction == Reduction::Mean ? total / counted : total}, {});
}

// Scores (N, C). A sector of 32 bytes holds what a row reads of them, and what it writes.
PreparedKernels measured(const Shape& shape, DType dtype) {
  const Shape label_shape = labels_beside(shape);
  const auto op = [labels = on_cuda(label_shape, int64)](const std::vector<Tensor>& in) {
    return nll_loss(in[0], labels);
  };
  const int64_t labels = 2 * bytes_of(label_shape, int64);
  return forward_and_backward({on_cuda(shape, dtype)}, on_cuda({}, dtype), op,
                              labels + 2 * 32 * label_shape.numel(), labels);
}

}  // namespace

void nll_loss_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& scores, const NllLossOptions& options,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = scores, .format = format},
                    {.shape = labels_beside(scores),
                     .fill = Fill::Labels,
                     .needs_grad = false,
                     .classes = scores[1]}},
         .run =
             [options](const std::vector<Operand>& in) {
               return nll_loss(in[0], in[1].tensor(), options);
             },
         .reference =
             [options](const std::vector<Tensor>& in) { return reference(in[0], in[1], options); },
         .tolerance = Tolerance::Reduction});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("one", {1, 2}, {});
  add("batch", {33, 5}, {});
  add("several_blocks", {513, 3}, {.ignore_index = 1});
  add("several_blocks_sum", {513, 3}, {.reduction = Reduction::Sum});
  add("ignore", {31, 4}, {.ignore_index = 2});
  add("ignore_sum", {31, 4}, {.reduction = Reduction::Sum, .ignore_index = 0});
  add("each", {7, 5}, {.reduction = Reduction::None, .ignore_index = 3});
  add("sequence", {3, 5, 7}, {});
  add("pixels", {2, 5, 3, 4}, {.ignore_index = 1}, channels_last);
  add("pixels_each", {2, 5, 3, 4}, {.reduction = Reduction::None, .ignore_index = 1},
      channels_last);
  const auto labels = [](std::vector<int64_t> values) {
    const auto count = static_cast<int64_t>(values.size());
    return Tensor::from_vector(values, {count});
  };
  table.errors.push_back({"label_too_large",
                          [=] {
                            nll_loss(Tensor::zeros({2, 3}), labels({0, 3}));
                          },
                          {"[nll_loss] label 1: got 3", "0 to 2", "ignore_index -100"}});
  table.errors.push_back({"label_count",
                          [=] {
                            nll_loss(Tensor::zeros({2, 3}), labels({0}));
                          },
                          {"[nll_loss] labels", "(1,)", "(2,)", "input (2, 3)"}});
  table.errors.push_back({"label_dtype",
                          [] {
                            nll_loss(Tensor::zeros({2, 3}), Tensor::zeros({2}));
                          },
                          {"[nll_loss]", "float32", "int64"}});
  table.errors.push_back({"rank",
                          [=] { nll_loss(Tensor::zeros({3}), labels({0})); },
                          {"[nll_loss] input: got shape (3,)", "(N, C)"}});
  table.measured.push_back({"nll_loss",
                            "forward and backward",
                            {65536, 8},
                            measured,
                            {.moved = 1.05, .by_16 = 0, .efficiency = 0}});
}

}  // namespace warptape
