#include "tests/kernels/case_inputs.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/primitives.h"
#include "core/random.h"

namespace warptape {
namespace {

std::vector<double> fill_values(const CaseInput& input, Generator& generator) {
  const int64_t count = input.shape.numel();
  const RandomStream stream = generator.next_stream();
  std::vector<double> values(static_cast<size_t>(count));
  if (input.fill == Fill::Normal) {
    return randn({count}, float64, generator).to_vector<double>();
  }
  if (input.fill == Fill::Distinct) {
    std::iota(values.begin(), values.end(), -static_cast<double>(count / 2));
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[stream.word(i) % i]);
    }
    // Steps of at least 0.01, off zero, and exact in float32.
    for (double& value : values) {
      value = (value + 0.5) / 64;
    }
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const double u = stream.uniform(i);
    switch (input.fill) {
      case Fill::Positive:
        values[i] = 0.5 + 1.5 * u;
        break;
      case Fill::AwayFromZero:
        values[i] = (stream.word(i + values.size()) & 1 ? 1 : -1) * (0.2 + 1.3 * u);
        break;
      case Fill::Steps:
        values[i] = std::floor(u * 5) / 2 - 1;
        break;
      case Fill::Condition:
        values[i] = u < 0.5 ? 0 : 1;
        break;
      default:
        values[i] = std::floor(u * static_cast<double>(input.classes));
    }
  }
  return values;
}

double tolerance_of(Tolerance tolerance, DType dtype, double roundings) {
  if (dtype == float64) {
    return tolerance == Tolerance::Exact ? 0 : 1e-13;
  }
  if (dtype == bfloat16) {
    // Half a unit of the last of 8 bits, and what float32 arithmetic errs by.
    return tolerance == Tolerance::Exact ? 0 : roundings * 0x1p-8 + 1e-6;
  }
  switch (tolerance) {
    case Tolerance::Exact:
      return 0;
    case Tolerance::Pointwise:
      return 1e-6;
    case Tolerance::Reduction:
      return 1e-6;
  }
  return 0;
}

bool within(const std::vector<double>& result, const std::vector<double>& reference,
            Tolerance tolerance, double bound, std::string& why) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < result.size(); ++i) {
    const double error = std::abs(result[i] - reference[i]);
    if (tolerance != Tolerance::Reduction) {
      if (!(error <= bound * std::max(1.0, std::abs(reference[i])))) {
        why = fmt::format("element {}: got {}, wanted {}", i, result[i], reference[i]);
        return false;
      }
      continue;
    }
    difference += error * error;
    norm += reference[i] * reference[i];
  }
  difference = std::sqrt(difference);
  norm = std::sqrt(norm);
  if (!(difference <= bound * norm)) {
    why = fmt::format("norm of the difference is {}, of the reference {}", difference, norm);
    return false;
  }
  return true;
}

}  // namespace

std::vector<MemoryFormat> formats_of(const OpCase& op_case) {
  std::vector<MemoryFormat> formats;
  for (const CaseInput& input : op_case.inputs) {
    formats.push_back(normalized(input.format, input.shape.rank()));
  }
  return formats;
}

std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device) {
  return make_inputs(op_case, dtype, device, formats_of(op_case));
}

std::vector<Tensor> make_rounded_inputs(const OpCase& op_case, DType dtype, Device device) {
  std::vector<Tensor> inputs = make_inputs(op_case, dtype, device);
  for (Tensor& input : inputs) {
    if (is_floating(input.dtype())) {
      input = primitives::cast(primitives::cast(input, bfloat16), dtype);
    }
  }
  return inputs;
}

std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device,
                                const std::vector<MemoryFormat>& formats) {
  Generator generator(2024);
  std::vector<Tensor> inputs;
  for (const CaseInput& input : op_case.inputs) {
    const std::vector<double> values = fill_values(input, generator);
    const DType kind = input.fill == Fill::Labels      ? int64
                       : input.fill == Fill::Condition ? uint8
                                                       : dtype;
    // Rounded to float32 in both, so that the reference sees the same inputs.
    const Tensor rounded = primitives::cast(tensor(values, input.shape), float32);
    const Tensor formatted =
        primitives::relayout(primitives::cast(rounded, kind), formats[inputs.size()]);
    inputs.push_back(formatted.to(device));
  }
  return inputs;
}

std::vector<Tensor> as_reference(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) {
    const Tensor wide = is_floating(tensor.dtype()) ? primitives::cast(tensor, float64) : tensor;
    result.push_back(primitives::relayout(wide, MemoryFormat::RowMajor));
  }
  return result;
}

testing::AssertionResult matches(const Tensor& result, const Tensor& reference, Tolerance tolerance,
                                 DType dtype, double roundings) {
  if (!(result.shape() == reference.shape())) {
    return testing::AssertionFailure() << "shape " << result.shape().to_string() << ", wanted "
                                       << reference.shape().to_string();
  }
  const auto got = primitives::cast(result.to(cpu), float64).to_vector<double>();
  const auto wanted = primitives::cast(reference.to(cpu), float64).to_vector<double>();
  const double bound = tolerance_of(tolerance, dtype, roundings);
  std::string why;
  if (!within(got, wanted, tolerance, bound, why)) {
    return testing::AssertionFailure() << why;
  }
  const bool all_zero =
      std::all_of(wanted.begin(), wanted.end(), [](double v) { return std::abs(v) < 1e-12; });
  if (!all_zero && within(std::vector<double>(got.size(), 0.0), wanted, tolerance, bound, why)) {
    return testing::AssertionFailure() << "this case would accept a result of zeros";
  }
  return testing::AssertionSuccess();
}

}  // namespace warptape
