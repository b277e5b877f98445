// The walk backwards over a tape, and the gradient buffers that it fills.

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/deferred.h"
#include "core/fresh_gradients.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"

namespace warptape {

bool Tape::holds_gradient(const Slot& slot) const {
  const bool stored = slot.parameter && !slot.redirected;
  return stored ? !slot.parameter->grad_is_empty : slot.grad.defined();
}

GradientTarget Tape::target(int32_t index) {
  Slot& slot = this->slot(index);
  const WriteMode mode = holds_gradient(slot) ? WriteMode::Accumulate : WriteMode::Overwrite;
  const bool stored = slot.parameter && !slot.redirected;
  Tensor& buffer = stored ? slot.parameter->grad : slot.grad;
  if (!buffer.defined()) {
    buffer = Tensor::empty(slot.shape, slot.gradient_dtype, slot.device, slot.format);
  }
  if (stored) {
    slot.parameter->grad_is_empty = false;
  }
  return {buffer, mode};
}

void Tape::give(int32_t index, Tensor gradient) {
  Slot& slot = this->slot(index);
  const bool stored = slot.parameter && !slot.redirected;
  if (!stored && !holds_gradient(slot)) {
    gradient = primitives::relabelled(std::exchange(gradient, Tensor()), slot.format);
  }
  if (!stored && !holds_gradient(slot) && gradient.is_sole_owner() &&
      gradient.memory_format() == slot.format && gradient.dtype() == slot.gradient_dtype) {
    slot.grad = std::move(gradient);
    return;
  }
  GradientTarget to = target(index);
  const Tensor addend = primitives::cast(gradient, to.buffer.dtype());
  if (to.mode == WriteMode::Overwrite) {
    primitives::copy(addend, to.buffer);
  } else {
    primitives::add(addend, to.buffer);
  }
}

// Ops that make it fit are recorded, and slots move when they become more.
void Tape::give_recorded(int32_t index, const Tensor& gradient) {
  const Tensor fitting = gradient.to(slot(index).gradient_dtype).to(slot(index).format);
  if (!slot(index).grad.defined()) {
    slot(index).grad = fitting;
    return;
  }
  const Operand a(slot(index).grad);
  const Operand b(fitting);
  Tensor sum = Tensor::empty_like(a);
  primitives::copy(a, sum);
  primitives::add(b, sum);
  if (recording({&a, &b}) != nullptr) {
    record(
        "add", {&a, &b}, {&sum},
        [](Backward& context) {
          for (const int input : {0, 1}) {
            if (context.needs(input)) {
              context.give(input, context.grad());
            }
          }
        },
        Differentiable::Twice);
  }
  slot(index).grad = std::move(sum);
}

void Tape::walk(int32_t from, const Tensor* seed, const Site& site, const Walk& walk) {
  try {
    walk_records(from, seed, site, walk);
  } catch (...) {  // half of the gradients are written: this tape is of no further use
    records_.clear();
    close();
    throw;
  }
  if (!walk.keep) {
    records_.clear();
    close();
  }
}

void Tape::walk_records(int32_t from, const Tensor* seed, const Site& site, const Walk& walk) {
  const Slot& start = slot(from);
  if (seed != nullptr) {
    check<ShapeError>(seed->shape() == start.shape, site,
                      "[backward] seed: got shape {}, wanted {}", seed->shape(), start.shape);
    check<DTypeError>(seed->dtype() == start.dtype, site, "[backward] seed: got {}, wanted {}",
                      to_string(seed->dtype()), to_string(start.dtype));
  }
  for (size_t i = walk.first_slot; i < slots_.size(); ++i) {
    slots_[i].grad = Tensor();
    slots_[i].outer = Tensor();
    slots_[i].is_masked = false;
  }
  if (has_masks_ && !walk.creates_graph) {
    find_last_readers(from);
  }
  one_slot_ = seed == nullptr ? from : -1;
  if (walk.creates_graph && seed != nullptr) {
    give_recorded(from, *seed);
  } else if (seed != nullptr) {
    give(from, *seed);
  } else {
    Tensor ones = Tensor::empty(start.shape, start.gradient_dtype, start.device, start.format);
    has_ones_ = start.leaf || walk.creates_graph;
    if (has_ones_) {
      primitives::fill(ones, 1);
    }
    give(from, std::move(ones));
  }
  for (size_t i = records_.size(); i-- > walk.first_record;) {  // not those that this walk records
    const auto inputs = inputs_of(records_[i]);
    const auto outputs = outputs_of(records_[i]);
    const bool used = std::any_of(outputs.begin(), outputs.end(),
                                  [&](int32_t o) { return slot(o).grad.defined(); });
    const bool wanted = std::any_of(inputs.begin(), inputs.end(),
                                    [&](int32_t in) { return in >= 0 && slot(in).wanted; });
    if (used && wanted) {
      run_backward(i, walk);
    }
    // What the record saved and the gradients of its outputs have no reader left.
    for (const int32_t output : outputs_of(records_[i])) {
      if (!slot(output).leaf) {
        slot(output).grad = Tensor();
        slot(output).outer = Tensor();
      }
    }
    if (!walk.keep) {
      records_[i].backward = nullptr;
    }
  }
}

void Tape::run_backward(size_t index, const Walk& walk) {
  const char* const op = records_[index].op;
  const profile::LayerScope layer(records_[index].layer);
  const profile::Range range(op, profile::Phase::Backward);
  Backward context(*this, index, walk.keep, walk.creates_graph);
  // Taken out while it runs: it may record, and records move when they become more.
  BackwardFunction backward = std::move(records_[index].backward);
  const Site site = records_[index].site;
  std::optional<SiteScope> scope;  // of what it records, and does at once
  std::optional<PromptScope> prompt;
  if (walk.creates_graph) {
    scope.emplace(site);
    prompt.emplace();
  }
  try {
    backward(context);
  } catch (const NotDifferentiable&) {
    throw;
  } catch (const TapeError& error) {
    throw TapeError(fmt::format("{}; {} was recorded{}", error.what(), op, at(site)));
  }
  context.finish();
  records_[index].backward = std::move(backward);
  note_gradients(records_[index]);
  if (options_.detect_anomaly) {
    check_anomaly(records_[index]);
  }
}

void Tape::spread_wanted(size_t first_record) {
  for (size_t i = first_record; i < records_.size(); ++i) {
    const auto inputs = inputs_of(records_[i]);
    const bool reached = std::any_of(inputs.begin(), inputs.end(),
                                     [&](int32_t in) { return in >= 0 && slot(in).wanted; });
    for (const int32_t output : outputs_of(records_[i])) {
      slot(output).wanted = slot(output).wanted || reached;
    }
  }
}

void Tape::make_ones(int32_t index) {
  if (index == one_slot_ && !has_ones_) {
    primitives::fill(slot(index).grad, 1);
    has_ones_ = true;
  }
}

// Of the records that the walk from this slot reaches, the first that took an input is the last to
// add to its gradient.
void Tape::find_last_readers(int32_t from) {
  for (Slot& slot : slots_) {
    slot.last_reader = -1;
  }
  for_each_reached(from, [&](size_t i) {
    for (const int32_t input : inputs_of(records_[i])) {
      if (input >= 0) {
        slot(input).last_reader = static_cast<int64_t>(i);
      }
    }
  });
}

void Tape::note_gradients(const Record& record) {
  for (const int32_t index : inputs_of(record)) {
    if (index >= 0 && slot(index).parameter && !slot(index).redirected) {
      fresh_gradients::add(slot(index).parameter, record.op, record.site);
    }
  }
}

void Tape::check_anomaly(const Record& record) {
  const auto inputs = inputs_of(record);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int32_t index = inputs[i];
    if (index < 0 || !slot(index).wanted || !holds_gradient(slot(index))) {
      continue;
    }
    const Slot& input = slot(index);
    const bool stored = input.parameter && !input.redirected;
    check<TapeError>(primitives::all_finite(stored ? input.parameter->grad : input.grad),
                     record.site,
                     "[anomaly] backward of {} made a NaN or an infinity in the gradient of input "
                     "{} of shape {}",
                     record.op, i, input.shape);
  }
}

int32_t Backward::slot_of_input(int input) const {
  const Tape::Record& record = tape_.records_[record_];
  const auto inputs = tape_.inputs_of(record);
  check<TapeError>(input >= 0 && static_cast<size_t>(input) < inputs.size(),
                   "[backward] input: got {}, wanted 0 to {}, as many as {} recorded", input,
                   static_cast<int64_t>(inputs.size()) - 1, record.op);
  return inputs[static_cast<size_t>(input)];
}

int32_t Backward::wanted_slot(const char* what, int input) const {
  check<TapeError>(needs(input),
                   "[backward] {}({}): nobody wants this gradient; ask needs({}) first", what,
                   input, input);
  return slot_of_input(input);
}

int32_t Backward::slot_of_output(int output) const {
  const Tape::Record& record = tape_.records_[record_];
  const auto outputs = tape_.outputs_of(record);
  check<TapeError>(output >= 0 && static_cast<size_t>(output) < outputs.size(),
                   "[backward] output: got {}, wanted 0 to {}, as many as {} recorded", output,
                   static_cast<int64_t>(outputs.size()) - 1, record.op);
  return outputs[static_cast<size_t>(output)];
}

bool Backward::needs(int input) const {
  const int32_t slot = slot_of_input(input);
  return slot >= 0 && tape_.slot(slot).wanted;
}

bool Backward::has_grad(int output) const {
  return tape_.slot(slot_of_output(output)).grad.defined();
}

const Tensor& Backward::grad(int output) const {
  check<TapeError>(has_grad(output), "[backward] output {} has no gradient; ask has_grad({}) first",
                   output, output);
  const int32_t index = slot_of_output(output);
  tape_.make_ones(index);
  return tape_.slot(index).grad;
}

bool Backward::grad_is_one(int output) const {
  return has_grad(output) && slot_of_output(output) == tape_.one_slot_;
}

Tensor Backward::take_grad(int output) {
  const int32_t index = slot_of_output(output);
  tape_.make_ones(index);
  Tape::Slot& slot = tape_.slot(index);
  return slot.leaf ? slot.grad : std::move(slot.grad);
}

Tensor Backward::added_input(int input) const {
  if (!needs(input)) {
    return {};
  }
  const Tape::Slot& slot = tape_.slot(slot_of_input(input));
  return this->input(input, Tensor::zeros(slot.shape, slot.dtype, slot.device));
}

GradientTarget Backward::into(int input) {
  return into(input, tape_.slot(wanted_slot("into", input)).dtype);
}

void Backward::check_records_nothing(const char* what) const {
  check<TapeError>(!creates_graph_,
                   "[backward] {}: kernels write there, and nothing is recorded; a backward that "
                   "creates a graph hands on by give()",
                   what);
}

Tensor Backward::on_tape(int32_t slot, Tensor elements) const {
  if (slot >= 0 && elements.defined()) {
    elements.set_tape_handle({tape_.id_, slot});
  }
  return elements;
}

Tensor Backward::input(int input, Tensor elements) const {
  return on_tape(slot_of_input(input), std::move(elements));
}

Tensor Backward::output(int output, Tensor elements) const {
  return on_tape(slot_of_output(output), std::move(elements));
}

Shape Backward::input_shape(int input) const {
  return tape_.slot(wanted_slot("input_shape", input)).shape;
}

void Backward::differentiate(std::span<const Tensor> inputs, const Composition& composition,
                             int output, int first_input) {
  // The composition gets the inputs under slots of its own, at which the walk over it ends.
  Tape::Walk walk{.keep = true, .creates_graph = true, .first_slot = tape_.slots_.size()};
  std::vector<Tensor> own;
  for (const Tensor& input : inputs) {
    own.push_back(input.defined() ? input.view(input.shape()) : Tensor());
  }
  walk.first_record = tape_.records_.size();
  const Tensor y = composition(own);
  const auto slot_of = [&](size_t i) {
    return own[i].defined() ? tape_.find_slot(own[i]) : int32_t{-1};
  };
  const auto needs_own = [&](size_t i) {
    return slot_of(i) >= 0 && needs(first_input + static_cast<int>(i));
  };
  for (size_t i = 0; i < own.size(); ++i) {
    if (needs_own(i)) {
      tape_.slot(slot_of(i)).wanted = true;
    }
  }
  tape_.spread_wanted(walk.first_record);
  const int32_t from = tape_.find_slot(y);
  if (from < 0) {
    return;
  }
  const Tensor seed = grad(output).to(y.dtype());
  tape_.walk_records(from, &seed, {}, walk);
  for (size_t i = 0; i < own.size(); ++i) {
    if (needs_own(i) && tape_.slot(slot_of(i)).grad.defined()) {
      give(first_input + static_cast<int>(i), tape_.slot(slot_of(i)).grad);
    }
  }
}

GradientTarget Backward::into(int input, DType dtype) {
  check_records_nothing("into");
  const int32_t slot = wanted_slot("into", input);
  // The same tensor as two inputs of one op: the second buffer is scratch, because a fused backward
  // may write both at once.
  if (dtype != tape_.slot(slot).gradient_dtype ||
      std::find(handed_out_.begin(), handed_out_.end(), slot) != handed_out_.end()) {
    return {overwrite(input, dtype), WriteMode::Overwrite};
  }
  handed_out_.push_back(slot);
  return tape_.target(slot);
}

Tensor Backward::overwrite(int input) {
  return overwrite(input, tape_.slot(wanted_slot("overwrite", input)).dtype);
}

Tensor Backward::overwrite(int input, DType dtype) {
  check_records_nothing("overwrite");
  const int32_t index = wanted_slot("overwrite", input);
  const Tape::Slot& slot = tape_.slot(index);
  const bool fresh = std::find(handed_out_.begin(), handed_out_.end(), index) == handed_out_.end();
  if (dtype == slot.gradient_dtype && fresh && !tape_.holds_gradient(slot)) {
    return into(input, dtype).buffer;
  }
  scratch_.emplace_back(index, Tensor::empty(slot.shape, dtype, slot.device, slot.format));
  return scratch_.back().second;
}

void Backward::give(int input, Tensor gradient) {
  const int32_t slot = wanted_slot("give", input);
  if (creates_graph_) {
    tape_.give_recorded(slot, gradient);
    return;
  }
  if (std::find(handed_out_.begin(), handed_out_.end(), slot) != handed_out_.end()) {
    scratch_.emplace_back(slot, std::move(gradient));  // the buffer may not be written yet
    return;
  }
  tape_.give(slot, std::move(gradient));
}

const GradientMask* Backward::mask_of(int input) const {
  const int32_t index = slot_of_input(input);
  if (index < 0) {
    return nullptr;
  }
  const Tape::Slot& slot = tape_.slot(index);
  const auto inputs = tape_.inputs_of(tape_.records_[record_]);
  const bool is_last = slot.last_reader == static_cast<int64_t>(record_) &&
                       std::count(inputs.begin(), inputs.end(), index) == 1;
  const bool is_asked_for = slot.mask != nullptr && slot.mask->marks.defined();
  return is_asked_for && is_last && slot.wanted && !slot.leaf ? slot.mask.get() : nullptr;
}

Tensor Backward::take_part(int input) {
  return std::move(tape_.slot(wanted_slot("take_part", input)).grad);
}

void Backward::give_masked(int input, MaskedGradient gradient) {
  Tape::Slot& slot = tape_.slot(wanted_slot("give_masked", input));
  check<TapeError>(mask_of(input) != nullptr,
                   "[backward] give_masked({}): nobody asked this record for it; ask mask_of({}) "
                   "first",
                   input, input);
  slot.grad = std::move(gradient.inner);
  slot.outer = std::move(gradient.outer);
  slot.is_masked = true;
}

bool Backward::grad_is_masked() const {
  return tape_.slot(slot_of_output(0)).is_masked;
}

Tensor Backward::take_outer_grad() {
  return std::move(tape_.slot(slot_of_output(0)).outer);
}

void Backward::finish() {
  for (auto& [slot, tensor] : scratch_) {
    tape_.give(slot, std::move(tensor));
  }
}

}  // namespace warptape
