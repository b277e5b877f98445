#include "kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

// The composition: minus log-softmax, weighted by the smoothed one-hot target.
Tensor reference(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  const std::vector<double> x = logits.to_vector<double>();
  const std::vector<int64_t> label = labels.to_vector<int64_t>();
  const int64_t classes = logits.shape()[1];
  const int64_t inner = labels.numel() / std::max<int64_t>(logits.shape()[0], 1);
  Plain each(labels.shape());
  double total = 0;
  double counted = 0;
  for (int64_t row = 0; row < labels.numel(); ++row) {
    if (label[static_cast<size_t>(row)] == options.ignore_index) {
      continue;
    }
    const int64_t start = row / inner * classes * inner + row % inner;
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      sum += std::exp(x[static_cast<size_t>(start + c * inner)]);
    }
    for (int64_t c = 0; c < classes; ++c) {
      const double target =
          options.label_smoothing / static_cast<double>(classes) +
          (c == label[static_cast<size_t>(row)] ? 1 - options.label_smoothing : 0);
      each[row] -= target * (x[static_cast<size_t>(start + c * inner)] - std::log(sum));
    }
    total += each[row];
    ++counted;
  }
  if (options.reduction == Reduction::None) {
    return each.tensor();
  }
  return tensor<double>({options.reduction == Reduction::Mean ? total / counted : total}, {});
}

// Logits (N, C) or (N, C, ...). One launch reads them and writes their gradient; backward hands
// that on.
PreparedKernels measured(const Shape& shape, DType dtype) {
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

}  // namespace

void cross_entropy_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& logits, const Shape& labels,
                       CrossEntropyOptions options, MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs =
             {{.shape = logits, .format = format},
              {.shape = labels, .fill = Fill::Labels, .needs_grad = false, .classes = logits[1]}},
         .run =
             [options](const std::vector<Operand>& in) {
               return cross_entropy(in[0], in[1].tensor(), options);
             },
         .reference =
             [options](const std::vector<Tensor>& in) { return reference(in[0], in[1], options); },
         .tolerance = Tolerance::Reduction});
  };
  add("one", {1, 2}, {1}, {});
  add("batch", {33, 10}, {33}, {});
  add("sum", {7, 31}, {7}, {.reduction = Reduction::Sum});
  add("ignore", {31, 5}, {31}, {.ignore_index = 2});
  add("smoothing", {9, 4}, {9}, {.label_smoothing = 0.1});
  add("smoothing_ignore_sum", {17, 4}, {17},
      {.reduction = Reduction::Sum, .ignore_index = 1, .label_smoothing = 0.3});
  add("many_classes", {3, 1025}, {3}, {});
  add("rows_of_packs", {9, 12}, {9}, {});
  add("sequence", {3, 5, 7}, {3, 7}, {});
  add("sequence_of_packs", {2, 5, 8}, {2, 8}, {});
  add("pixels_channels_last", {2, 5, 3, 4}, {2, 3, 4}, {.label_smoothing = 0.2},
      MemoryFormat::ChannelsLast);
  add("each", {7, 5}, {7}, {.reduction = Reduction::None, .ignore_index = 3});
  table.cases.back().bfloat16_roundings = 4;  // log-softmax, its loss
  add("each_of_a_sequence", {3, 5, 7}, {3, 7},
      {.reduction = Reduction::None, .ignore_index = 1, .label_smoothing = 0.2});
  table.cases.back().bfloat16_roundings = 10;  // and of the smoothing three ops, and a sum
  const auto labels = [](std::vector<int64_t> values) {
    const auto count = static_cast<int64_t>(values.size());
    return Tensor::from_vector(values, {count});
  };
  table.errors.push_back({"label_too_large",
                          [=] {
                            cross_entropy(Tensor::zeros({2, 3}), labels({0, 3}));
                          },
                          {"[cross_entropy]", "label 1", "got 3", "0 to 2"}});
  table.errors.push_back({"label_negative",
                          [=] {
                            cross_entropy(Tensor::zeros({2, 3}), labels({-1, 0}));
                          },
                          {"[cross_entropy]", "label 0", "got -1"}});
  table.errors.push_back({"label_count",
                          [=] {
                            cross_entropy(Tensor::zeros({2, 3}), labels({0}));
                          },
                          {"[cross_entropy]", "(1,)", "(2,)"}});
  table.errors.push_back({"label_dtype",
                          [] {
                            cross_entropy(Tensor::zeros({2, 3}), Tensor::zeros({2}));
                          },
                          {"[cross_entropy]", "float32", "int64"}});
  table.errors.push_back(
      {"smoothing",
       [=] {
         cross_entropy(Tensor::zeros({1, 3}), labels({0}), {.label_smoothing = 1.5});
       },
       {"[cross_entropy]", "label_smoothing", "1.5"}});
  table.measured.push_back({"cross_entropy", "forward and backward", {512, 1024}, measured});
}

}  // namespace warptape
