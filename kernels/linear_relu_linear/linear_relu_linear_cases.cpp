#include <algorithm>

#include "kernels/cases/case.h"
#include "kernels/linear_relu_linear/linear_relu_linear.h"

namespace warptape {
namespace {

// rows (count, inputs) times weight (outputs, inputs) transposed, plus bias if there is one.
std::vector<double> affine(const std::vector<double>& rows, const Plain& weight,
                           const Tensor& bias) {
  const int64_t outputs = weight.size(0);
  const int64_t inputs = weight.size(1);
  const std::vector<double> add = bias.defined() ? bias.to_vector<double>() : std::vector<double>();
  std::vector<double> result;
  for (size_t row = 0; row < rows.size(); row += static_cast<size_t>(inputs)) {
    for (int64_t o = 0; o < outputs; ++o) {
      double sum = add.empty() ? 0.0 : add[static_cast<size_t>(o)];
      for (int64_t i = 0; i < inputs; ++i) {
        sum += rows[row + static_cast<size_t>(i)] * weight(o, i);
      }
      result.push_back(sum);
    }
  }
  return result;
}

// Where the inputs of a case stand in its list; -1: left out.
struct Places {
  int bias1, weight2, bias2;
};

template <class T>
T pick(const std::vector<T>& in, int place, const T& otherwise) {
  return place < 0 ? otherwise : in[static_cast<size_t>(place)];
}

}  // namespace

void linear_relu_linear_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, int64_t hidden, int64_t outputs,
                       bool with_bias1, bool with_bias2,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    const int64_t inputs = x[x.rank() - 1];
    std::vector<CaseInput> in = {{.shape = x, .format = format}, {.shape = {hidden, inputs}}};
    const auto place = [&](const Shape& shape) {
      in.push_back({.shape = shape});
      return static_cast<int>(in.size()) - 1;
    };
    Places at{};
    at.bias1 = with_bias1 ? place({hidden}) : -1;
    at.weight2 = place({outputs, hidden});
    at.bias2 = with_bias2 ? place({outputs}) : -1;
    const auto run = [at](const std::vector<Operand>& op) {
      const Operand none = Tensor();
      return linear_relu_linear(op[0], op[1], pick(op, at.bias1, none), pick(op, at.weight2, none),
                                pick(op, at.bias2, none));
    };
    const auto reference = [at, outputs](const std::vector<Tensor>& tensors) {
      std::vector<double> h = affine(tensors[0].to_vector<double>(), Plain(tensors[1]),
                                     pick(tensors, at.bias1, Tensor()));
      for (double& value : h) {
        value = std::max(value, 0.0);
      }
      Shape shape = tensors[0].shape();
      shape[shape.rank() - 1] = outputs;
      return Tensor::from_vector(
          affine(h, Plain(pick(tensors, at.weight2, Tensor())), pick(tensors, at.bias2, Tensor())),
          shape);
    };
    table.cases.push_back({.name = name,
                           .inputs = in,
                           .run = run,
                           .reference = reference,
                           .tolerance = Tolerance::Reduction});
  };
  add("one", {1, 1}, 1, 1, true, true);
  add("odd", {31, 7}, 33, 5, true, true);
  add("packs", {12, 8}, 16, 4, true, true);
  add("no_bias", {5, 12}, 9, 3, false, false);
  add("first_bias", {5, 3}, 4, 2, true, false);
  add("second_bias", {5, 3}, 4, 2, false, true);
  add("vector", {9}, 6, 5, true, true);
  add("sequence", {2, 3, 5}, 7, 4, true, true);
  add("channels_last", {2, 3, 5}, 6, 4, true, true, MemoryFormat::ChannelsLast);

  const auto expect_error = [&](const char* name, const Shape& weight1, const Shape& bias1,
                                const Shape& weight2, const Shape& bias2,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back({name,
                            [=] {
                              linear_relu_linear(Tensor::zeros({2, 3}), Tensor::zeros(weight1),
                                                 Tensor::zeros(bias1), Tensor::zeros(weight2),
                                                 Tensor::zeros(bias2));
                            },
                            mentions});
  };
  expect_error("features", {4, 5}, {4}, {2, 4}, {2},
               {"[linear_relu_linear] input features", "(2, 3)", "(..., 5)",
                "linear_relu_linear_cases.cpp"});
  expect_error("bias1", {4, 3}, {3}, {2, 4}, {2}, {"[linear_relu_linear] bias", "(3,)", "(4,)"});
  expect_error("hidden", {4, 3}, {4}, {2, 5}, {2},
               {"[linear_relu_linear] input features", "(2, 4)", "(..., 5)"});
  expect_error("bias2", {4, 3}, {4}, {2, 4}, {4}, {"[linear_relu_linear] bias", "(4,)", "(2,)"});
}

}  // namespace warptape
