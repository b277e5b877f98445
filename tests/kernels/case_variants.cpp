#include "tests/kernels/case_variants.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/primitives.h"
#include "core/tape.h"
#include "tests/kernels/case_inputs.h"
#include "tests/kernels/case_run.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

using Formats = std::vector<MemoryFormat>;

// Which tensors of a run begin one element behind an aligned address.
struct Offsets {
  std::string name;
  std::vector<bool> inputs;
  std::vector<bool> gradients;   // of the inputs
  bool output_gradient = false;  // what the backward pass begins with
  bool allocations = false;      // what the op and the tape allocate
};

Offsets no_offsets(const OpCase& op_case, const std::string& name) {
  const size_t count = op_case.inputs.size();
  return {.name = name,
          .inputs = std::vector<bool>(count, false),
          .gradients = std::vector<bool>(count, false)};
}

Offsets all_offsets(const OpCase& op_case) {
  Offsets offsets = no_offsets(op_case, "all one element off");
  offsets.inputs.flip();
  offsets.gradients.flip();
  offsets.output_gradient = true;
  offsets.allocations = true;
  return offsets;
}

// Only one tensor or kind of tensors is off: a check that forgets it finds the others aligned.
std::vector<Offsets> single_offsets(const OpCase& op_case) {
  std::vector<Offsets> result;
  const auto add = [&](const std::string& name) -> Offsets& {
    result.push_back(no_offsets(op_case, name + " one element off"));
    return result.back();
  };
  for (size_t i = 0; i < op_case.inputs.size(); ++i) {
    add(fmt::format("input {}", i)).inputs[i] = true;
    if (differentiable(op_case, i)) {
      add(fmt::format("gradient of input {}", i)).gradients[i] = true;
    }
  }
  add("allocations").allocations = true;
  if (op_case.differentiable) {
    add("gradient of the output").output_gradient = true;
  }
  return result;
}

// Where it is off, in storage of its own.
Tensor placed(const Tensor& tensor, bool off) {
  if (!off) {
    return tensor;
  }
  const OffsetAllocations offset;
  Tensor result = Tensor::empty_like(tensor);
  primitives::copy(tensor, result);
  return result;
}

// Inputs as the op gets them: parameters, whose gradients have a place already, where they are
// differentiable.
struct PlacedInputs {
  std::vector<Tensor> tensors;
  std::vector<Parameter> parameters;  // one per input

  PlacedInputs(const OpCase& op_case, Device device, const Formats& formats,
               const Offsets& offsets) {
    const std::vector<Tensor> inputs = make_inputs(op_case, float32, device, formats);
    for (size_t i = 0; i < inputs.size(); ++i) {
      tensors.push_back(placed(inputs[i], offsets.inputs[i]));
      parameters.emplace_back(tensors[i]);
      const OffsetAllocations offset(offsets.gradients[i]);
      parameters[i].state()->grad = Tensor::empty_like(tensors[i]);
    }
  }

  std::vector<Operand> operands(const OpCase& op_case) const {
    std::vector<Operand> result;
    for (size_t i = 0; i < tensors.size(); ++i) {
      result.push_back(differentiable(op_case, i) ? Operand(parameters[i]) : Operand(tensors[i]));
    }
    return result;
  }
};

struct Wanted {
  Tensor output;
  std::vector<Tensor> gradients;  // of two passes; undefined where there is none
};

Wanted wanted_of(const OpCase& op_case) {
  Wanted wanted;
  wanted.output = op_case.reference(as_reference(make_inputs(op_case, float32, cpu)));
  if (op_case.differentiable && wanted.output.numel() > 0) {
    wanted.gradients = run_backward(op_case, float64, cpu, -1).gradients;
    for (Tensor& gradient : wanted.gradients) {
      if (gradient.defined()) {
        primitives::add(gradient.clone(), gradient);
      }
    }
  }
  return wanted;
}

// The output, recorded once more: a backward pass that begins there begins, for the op, with
// weights at the place that is asked for.
Tensor with_placed_gradient(const Operand& output, bool off) {
  Tensor result = output.tensor().clone();
  Tape* const tape = Tape::recording({&output});
  tape->record("placed", {&output}, {&result}, [off](Backward& context) {
    context.give(0, off ? placed(context.grad(), true) : context.grad().clone());
  });
  return result;
}

void check_variant(const OpCase& op_case, Device device, const Formats& formats,
                   const Offsets& offsets, const Wanted& wanted) {
  const PlacedInputs inputs(op_case, device, formats, offsets);
  Tape tape;
  Tensor output;
  {
    const OffsetAllocations offset(offsets.allocations);
    output = op_case.run(inputs.operands(op_case));
  }
  EXPECT_TRUE(matches(output, wanted.output, op_case.tolerance, float32));
  if (wanted.gradients.empty() || output.tape_handle().tape != tape.id()) {
    return;
  }
  const Tensor end = with_placed_gradient(output, offsets.output_gradient);
  const Tensor weights = output_weights(end);
  for (bool first : {true, false}) {
    const OffsetAllocations offset(offsets.allocations);
    tape.backward(end, weights, {.keep = first});
  }
  for (size_t i = 0; i < wanted.gradients.size(); ++i) {
    if (wanted.gradients[i].defined() && !is_nothing(wanted.gradients[i])) {
      EXPECT_TRUE(
          matches(inputs.parameters[i].grad(), wanted.gradients[i], Tolerance::Reduction, float32))
          << "gradient of input " << i;
    }
  }
}

Formats all_in(MemoryFormat format, const OpCase& op_case) {
  Formats formats;
  for (const CaseInput& input : op_case.inputs) {
    formats.push_back(normalized(format, input.shape.rank()));
  }
  return formats;
}

std::string name_of(const Formats& formats) {
  std::string name;
  for (MemoryFormat format : formats) {
    name += (name.empty() ? "" : ", ") + std::string(to_string(format));
  }
  return name;
}

// Whether an input has a format that the op says it does not take.
bool is_refused(const OpCase& op_case, const Formats& formats) {
  const Formats own = formats_of(op_case);
  for (size_t i = 0; i < own.size(); ++i) {
    if (op_case.inputs[i].one_format && formats[i] != own[i]) {
      return true;
    }
  }
  return false;
}

void check_refusal(const OpCase& op_case, Device device, const Formats& formats) {
  const std::vector<Tensor> inputs = make_inputs(op_case, float32, device, formats);
  EXPECT_THROW(op_case.run({inputs.begin(), inputs.end()}), ShapeError)
      << "inputs " << name_of(formats);
}

// The formats to try: those of the case first.
std::vector<Formats> format_variants(const OpCase& op_case) {
  const Formats row_major = all_in(MemoryFormat::RowMajor, op_case);
  const Formats channels_last = all_in(MemoryFormat::ChannelsLast, op_case);
  std::vector<Formats> result;
  const auto add = [&](const Formats& formats) {
    if (std::find(result.begin(), result.end(), formats) == result.end()) {
      result.push_back(formats);
    }
  };
  add(formats_of(op_case));
  add(row_major);
  add(channels_last);
  for (size_t i = 0; i < row_major.size(); ++i) {
    Formats one_other = row_major;
    one_other[i] = channels_last[i];
    add(one_other);
  }
  return result;
}

}  // namespace

void check_variants(const OpCase& op_case, Device device) {
  const Wanted wanted = wanted_of(op_case);
  const Formats channels_last = all_in(MemoryFormat::ChannelsLast, op_case);
  const std::vector<Formats> variants = format_variants(op_case);
  for (const Formats& formats : variants) {
    if (is_refused(op_case, formats)) {
      check_refusal(op_case, device, formats);
      continue;
    }
    const bool own = formats == variants.front();
    std::vector<Offsets> all = {all_offsets(op_case)};
    if (!own) {
      all.push_back(no_offsets(op_case, "aligned"));
    }
    // Which of a kernel's variants serves is what single offsets ask, not how it runs.
    if ((own || formats == channels_last) && !is_sanitized()) {
      const std::vector<Offsets> singles = single_offsets(op_case);
      all.insert(all.end(), singles.begin(), singles.end());
    }
    for (const Offsets& offsets : all) {
      SCOPED_TRACE(fmt::format("inputs {}; {}", name_of(formats), offsets.name));
      check_variant(op_case, device, formats, offsets, wanted);
    }
  }
}

}  // namespace warptape
