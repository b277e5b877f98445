#include "core/tape.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/check.h"
#include "core/profile.h"

namespace warptape {
namespace {

std::atomic<uint64_t> last_id{0};

thread_local std::vector<Tape*> open_tapes;  // innermost last

// Ids of the tapes that are open on any thread. Asked only when a tensor meets a foreign tape.
struct LiveTapes {
  std::mutex mutex;
  std::vector<uint64_t> ids;

  void add(uint64_t id) {
    std::lock_guard lock(mutex);
    ids.push_back(id);
  }
  void remove(uint64_t id) {
    std::lock_guard lock(mutex);
    std::erase(ids, id);
  }
  bool contains(uint64_t id) {
    std::lock_guard lock(mutex);
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }
};

LiveTapes& live_tapes() {
  static auto* tapes = new LiveTapes;  // outlives every thread
  return *tapes;
}

// Whether the tensor belongs to `innermost` (null: no tape is open on this thread).
bool is_on(const Operand& operand, const Tape* innermost) {
  const uint64_t id = operand.tape_handle().tape;
  if (id == 0) {
    return false;
  }
  if (innermost != nullptr && innermost->id() == id) {
    return true;
  }
  check<TapeError>(!live_tapes().contains(id), operand.site(),
                   "[tape] got a tensor of a live tape that is not this thread's innermost; use "
                   "detach() to take it as a constant");
  return false;
}

bool wants_gradient(const Operand& operand) {
  return operand.defined() && operand.parameter() && operand.parameter()->requires_grad;
}

// What became of a tensor that an op recorded and whose gradient cannot be passed on; nothing for
// all others, constants among them.
std::string what_became_of(const Operand& operand, const Tape& tape) {
  const TapeHandle& handle = operand.tape_handle();
  if (handle.tape != 0 && handle.tape != tape.id() && !handle.watched) {
    return "was recorded by a tape that is closed or gone";
  }
  const Cut& cut = operand.cut();
  if (cut.by != nullptr && !cut.meant && cut.tape == tape.id()) {
    return fmt::format("{} cut off from this tape, as it is not recorded", cut.by);
  }
  return {};
}

// What still waits (core/deferred.h) has not kept anything for backward.
void compute(const Operand& y) {
  if (y.defined()) {
    y.raw_data();
  }
}

}  // namespace

const Tensor& Saved::get() const {
  if (tensor_.defined()) {  // one that an op left out has not changed
    check<TapeError>(tensor_.version() == version_,
                     "[backward] a tensor of shape {} that this op saved was written to since: "
                     "version {}, saved at {}",
                     tensor_.shape(), tensor_.version(), version_);
  }
  return tensor_;
}

Tensor Saved::release() {
  get();
  return std::move(tensor_);
}

// The room that the last tape of this thread needed serves the next one, which most often is of the
// next step: as long as steps are alike, growing costs nothing.
void Tape::swap_with_spare() {
  struct Spare {
    std::vector<Record> records;
    std::vector<Slot> slots;
    std::vector<int32_t> links;
  };
  thread_local Spare spare;
  records_.swap(spare.records);
  slots_.swap(spare.slots);
  links_.swap(spare.links);
}

Tape::Tape(TapeOptions options) : id_(++last_id), options_(options) {
  swap_with_spare();
  open_tapes.push_back(this);
  live_tapes().add(id_);
}

Tape::~Tape() {
  close();
  records_.clear();
  slots_.clear();
  links_.clear();
  swap_with_spare();
}

void Tape::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  std::erase(open_tapes, this);
  live_tapes().remove(id_);
}

Tape* Tape::recording(std::span<const Operand* const> inputs) {
  Tape* innermost = open_tapes.empty() ? nullptr : open_tapes.back();
  bool wanted = false;
  for (const Operand* input : inputs) {
    wanted = is_on(*input, innermost) || wanted;
    if (innermost == nullptr) {
      continue;
    }
    wanted = wanted || wants_gradient(*input);
    // Rare: nearly all operands are on the tape, parameters or plain constants.
    if (input->cut().by != nullptr || input->tape_handle().tape != 0) {
      wanted = wanted || !what_became_of(*input, *innermost).empty();
      const Cut& cut = input->cut();
      if (cut.by != nullptr && (cut.tape == 0 || cut.tape == innermost->id())) {
        innermost->seen_cut_ = {cut.by, input->site()};
      }
    }
  }
  return wanted ? innermost : nullptr;
}

void Tape::record(const char* op, std::span<const Operand* const> inputs,
                  std::span<Tensor* const> outputs, BackwardFunction backward,
                  Differentiable differentiable) {
  Record record{op,
                {},
                links_.size(),
                inputs.size(),
                outputs.size(),
                std::move(backward),
                differentiable,
                profile::current_layer,
                {}};
  for (const Operand* input : inputs) {
    if (record.site.file == nullptr) {
      record.site = input->site();
    }
    links_.push_back(slot_of(*input));
    if (record.lost.empty() && links_.back() < 0) {
      record.lost = what_became_of(*input, *this);
      has_lost_ = has_lost_ || !record.lost.empty();
    }
  }
  for (Tensor* output : outputs) {
    const int32_t slot = add_slot(*output, nullptr);
    output->set_tape_handle({id_, slot});
    links_.push_back(slot);
  }
  records_.push_back(std::move(record));
}

int32_t Tape::add_slot(const Tensor& tensor, std::shared_ptr<ParameterState> parameter) {
  Slot& slot = slots_.emplace_back();
  slot.shape = tensor.shape();
  slot.dtype = tensor.dtype();
  slot.gradient_dtype = tensor.dtype();
  slot.device = tensor.device();
  slot.format = tensor.memory_format();
  slot.parameter = std::move(parameter);
  return static_cast<int32_t>(slots_.size()) - 1;
}

void Tape::take_gradient_in(const Tensor& y, DType dtype) {
  slot(find_slot(y)).gradient_dtype = dtype;
}

void Tape::take_gradient_masked(const Tensor& y, std::shared_ptr<const GradientMask> mask) {
  slot(find_slot(y)).mask = std::move(mask);
  has_masks_ = true;
}

int32_t Tape::find_slot(const Operand& operand) const {
  if (operand.parameter()) {
    const auto found = parameter_slots_.find(operand.parameter().get());
    return found == parameter_slots_.end() ? -1 : found->second;
  }
  const TapeHandle& handle = operand.tape_handle();
  return handle.tape == id_ ? handle.slot : -1;
}

int32_t Tape::slot_of(const Operand& operand) {
  int32_t found = find_slot(operand);
  if (found < 0 && wants_gradient(operand)) {
    found = add_slot(operand.tensor(), operand.parameter());
    parameter_slots_[operand.parameter().get()] = found;
  }
  return found;
}

void Tape::watch(Tensor& x) {
  check_open("watch", {});
  check<DTypeError>(is_floating(x.dtype()), "[watch] dtype: got {}, wanted {}",
                    to_string(x.dtype()), floating_dtype_names);
  x.set_tape_handle({id_, add_slot(x, nullptr), true});
  slots_.back().leaf = true;
}

Tensor Tape::gradient(const Tensor& x) const {
  const TapeHandle& handle = x.tape_handle();
  check<TapeError>(handle.tape == id_ && slot(handle.slot).leaf,
                   "[gradient] got a tensor that this tape does not watch");
  return slot(handle.slot).grad;
}

int32_t Tape::slot_to_walk_from(const char* what, const Operand& y) const {
  const int32_t from = find_slot(y);
  check<TapeError>(from >= 0, y.site(), "[{}] got a tensor that {}", what,
                   from >= 0 ? std::string() : why_not_here(y));
  return from;
}

std::string Tape::why_not_here(const Operand& y) const {
  const uint64_t tape = y.tape_handle().tape;
  if (tape != 0) {
    return live_tapes().contains(tape) ? "belongs to another live tape"
                                       : "was recorded by a tape that is closed or gone";
  }
  if (y.cut().by != nullptr && y.cut().tape == id_) {
    return fmt::format("{} cut off from this tape", y.cut().by);
  }
  std::string why = "does not depend on any parameter or watched tensor of this tape";
  if (seen_cut_.by != nullptr) {
    why += fmt::format("; {} cut off a tensor that an op took{}", seen_cut_.by, at(seen_cut_.site));
  }
  return why;
}

void Tape::check_nothing_lost(int32_t from) const {
  if (!has_lost_) {
    return;
  }
  for_each_reached(from, [&](size_t i) {
    const Record& record = records_[i];
    check<TapeError>(record.lost.empty(), record.site,
                     "[backward] {} took a tensor that {}: what lies below it would get no "
                     "gradient; use detach() to take it as a constant",
                     record.op, record.lost);
  });
}

void Tape::check_twice_differentiable(int32_t from, const Site& site) const {
  for_each_reached(from, [&](size_t i) {
    const Record& record = records_[i];
    const auto inputs = inputs_of(record);
    const bool wanted = std::any_of(inputs.begin(), inputs.end(),
                                    [&](int32_t in) { return in >= 0 && slot(in).wanted; });
    check<NotDifferentiable>(!wanted || record.differentiable == Differentiable::Twice, site,
                             "[gradients] create_graph: the gradient of {} cannot be recorded; {} "
                             "was recorded{}",
                             record.op, record.op, at(record.site));
  });
}

void Tape::check_open(const char* what, const Site& site) const {
  check<TapeError>(!closed_, site,
                   "[{}] this tape is closed: backward has freed its records (use .keep = true)",
                   what);
  check<TapeError>(!open_tapes.empty() && open_tapes.back() == this, site,
                   "[{}] this tape is not the innermost open one of this thread", what);
}

void Tape::backward(const Operand& y, BackwardOptions options) {
  check_floating("backward", y);
  check<ShapeError>(y.numel() == 1, y.site(),
                    "[backward] got a tensor of shape {}, wanted one element, or a seed gradient",
                    y.shape());
  backward_from(y, nullptr, options);
}

void Tape::backward(const Operand& y, const Tensor& seed, BackwardOptions options) {
  backward_from(y, &seed, options);
}

void Tape::backward_from(const Operand& y, const Tensor* seed, BackwardOptions options) {
  check_open("backward", y.site());
  compute(y);
  const int32_t from = slot_to_walk_from("backward", y);
  check_nothing_lost(from);
  for (Slot& slot : slots_) {
    slot.wanted = true;
  }
  walk(from, seed, y.site(), {.keep = options.keep});
}

std::vector<Tensor> Tape::gradients(const Operand& y, const std::vector<Operand>& xs,
                                    GradientsOptions options) {
  check_open("gradients", y.site());
  check_floating("gradients", y);
  compute(y);
  check<ShapeError>(options.seed.defined() || y.numel() == 1, y.site(),
                    "[gradients] got a tensor of shape {}, wanted one element, or a seed gradient",
                    y.shape());
  const int32_t from = slot_to_walk_from("gradients", y);
  check_nothing_lost(from);
  std::vector<int32_t> wanted;
  for (const Operand& x : xs) {
    wanted.push_back(find_slot(x));
    const bool constant = x.tape_handle().tape == 0 && x.cut().by == nullptr;
    check<TapeError>(wanted.back() >= 0 || x.parameter() || constant, x.site(),
                     "[gradients] x {}: got a tensor that {}", wanted.size() - 1, why_not_here(x));
  }
  // A slot's gradient is wanted if it is one of the xs or if an x reaches it; records are in order.
  for (Slot& slot : slots_) {
    slot.wanted = false;
  }
  for (int32_t index : wanted) {
    if (index >= 0) {
      slot(index).wanted = true;
      slot(index).redirected = slot(index).parameter != nullptr;
    }
  }
  std::vector<bool> was_leaf;  // before this call, also for an x that is there twice
  for (int32_t index : wanted) {
    was_leaf.push_back(index >= 0 && slot(index).leaf);
  }
  for (int32_t index : wanted) {
    if (index >= 0) {
      slot(index).leaf = true;
    }
  }
  spread_wanted(0);
  if (options.create_graph) {
    check_twice_differentiable(from, y.site());
  }
  walk(from, options.seed.defined() ? &options.seed : nullptr, y.site(),
       {.keep = options.keep || options.create_graph, .creates_graph = options.create_graph});
  std::vector<Tensor> result;
  for (int32_t index : wanted) {
    result.push_back(index < 0 ? Tensor() : slot(index).grad);
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] >= 0) {
      slot(wanted[i]).leaf = was_leaf[i];
      slot(wanted[i]).redirected = false;
      slot(wanted[i]).grad = was_leaf[i] ? slot(wanted[i]).grad : Tensor();
    }
  }
  return result;
}

std::string Tape::dot() const {
  std::string out = "digraph tape {\n  node [shape=box];\n";
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const char* kind = slot.parameter ? "parameter " : slot.leaf ? "leaf " : "";
    out += fmt::format("  t{} [shape=ellipse, label=\"{}{}\"];\n", i, kind, slot.shape);
  }
  for (size_t r = 0; r < records_.size(); ++r) {
    const Record& record = records_[r];
    out += fmt::format("  r{} [label=\"{}\\n{}\"];\n", r, record.op, record.site.to_string());
    for (int32_t input : inputs_of(record)) {
      out += input < 0 ? std::string() : fmt::format("  t{} -> r{};\n", input, r);
    }
    for (int32_t output : outputs_of(record)) {
      out += fmt::format("  r{} -> t{};\n", r, output);
    }
  }
  return out + "}\n";
}

}  // namespace warptape
