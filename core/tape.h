#pragma once
// Tape: records ops while it lives, and walks them backwards.
//
//   Tape tape;
//   Tensor loss = cross_entropy(model(x), y);
//   tape.backward(loss);          // writes into empty parameter gradients, adds to others
//
// No tape, no recording. A tape belongs to the thread that made it, and tapes nest: the innermost
// open one records. A tensor of a live tape that is not this thread's innermost is an error to
// every op. So is, to backward, one that a dead or closed tape recorded: an op on a tape took it,
// and what lies below it would get no gradient. detach() makes a constant of either. Without an
// open tape all tensors are constants.

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/gradient_mask.h"
#include "core/operand.h"

namespace warptape {

// Whether a gradient buffer holds nothing yet, or something to add to.
enum class WriteMode { Overwrite, Accumulate };

struct GradientTarget {
  Tensor buffer;  // shape and format of the input, and its dtype unless another one was asked for
  WriteMode mode;
};

// A tensor kept for a backward pass. get() throws TapeError if it was written to since.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& tensor) : tensor_(tensor.detach()), version_(tensor.version()) {}
  const Tensor& get() const;
  Tensor release();  // the same, given up: for a backward that does not run again
  bool defined() const { return tensor_.defined(); }

 private:
  Tensor tensor_;
  uint64_t version_ = 0;
};

class Tape;

// What a backward function sees of the tape: the gradients of its op's outputs, and places for
// those of its inputs. Inputs are counted as they were recorded; nothing is zero-filled beforehand.
class Backward {
 public:
  // Whether anybody wants the gradient of this input. What nobody wants must not be computed: the
  // functions below that take an input throw TapeError then, and all for an input or output that
  // was not recorded.
  bool needs(int input) const;

  bool has_grad(int output = 0) const;       // false: that output had no influence
  const Tensor& grad(int output = 0) const;  // in the output's memory format; TapeError if none
  Tensor take_grad(int output = 0);          // the same, given up by the tape: can be given on
  // True if that gradient is the tape's own seed of ones: the output is the loss.
  bool grad_is_one(int output = 0) const;
  // Whether the records are kept, so that this function may be called again.
  bool keeps() const { return keeps_; }

  // Whether the gradients are recorded themselves (GradientsOptions::create_graph). The function of
  // an op that was recorded as Differentiable::Twice makes them by ops then, from grad() and what
  // the next two return, and hands them on by give() alone.
  bool creates_graph() const { return creates_graph_; }
  // An input, or an output, of the op as it is on the tape. elements: its own, in its shape;
  // undefined for one left out.
  Tensor input(int input, Tensor elements) const;
  Tensor output(int output, Tensor elements) const;
  Shape input_shape(int input) const;  // of one that needs a gradient
  // The same for an input that is only added, so that no gradient depends on its elements: zeros in
  // their place, or nothing where it needs no gradient.
  Tensor added_input(int input) const;
  // The same for a fused op, given the composition of ops that it equals: gives those inputs that
  // need one the gradient by this output. inputs: as they are on the tape, from first_input on;
  // undefined for one left out.
  using Composition = std::function<Tensor(std::span<const Tensor> inputs)>;
  void differentiate(std::span<const Tensor> inputs, const Composition& composition, int output = 0,
                     int first_input = 0);

  // The buffer for an input's gradient and whether to write or to add. It must be written. dtype:
  // what the op computes it in, if not in the input's own; the tape brings it into the dtype that
  // the gradient has.
  GradientTarget into(int input);
  GradientTarget into(int input, DType dtype);
  // For ops that can only write: the tape adds afterwards where something is there already.
  Tensor overwrite(int input);
  Tensor overwrite(int input, DType dtype);
  // Hands a finished gradient on, of any floating dtype: moved if its storage has no other owner,
  // else copied or added.
  void give(int input, Tensor gradient);

  // The mask that the op which made this input asked for (Tape::take_gradient_masked), if this
  // record makes the last part of the input's gradient: then give_masked() may be called, in place
  // of the functions above. Else null.
  const GradientMask* mask_of(int input) const;
  // What other records have made of that gradient, given up by the tape; undefined if nothing.
  Tensor take_part(int input);
  void give_masked(int input, MaskedGradient gradient);
  // Whether the gradient of output 0 came through the mask that was asked for; take_grad() is the
  // inner one then, and this the outer one.
  bool grad_is_masked() const;
  Tensor take_outer_grad();

 private:
  friend class Tape;
  Backward(Tape& tape, size_t record, bool keeps, bool creates_graph)
      : tape_(tape), record_(record), keeps_(keeps), creates_graph_(creates_graph) {}
  Tensor on_tape(int32_t slot, Tensor elements) const;
  void check_records_nothing(const char* what) const;
  int32_t slot_of_input(int input) const;
  int32_t wanted_slot(const char* what, int input) const;
  int32_t slot_of_output(int output) const;
  void finish();  // adds what was written to scratch

  Tape& tape_;
  size_t record_;
  bool keeps_;
  bool creates_graph_;
  std::vector<int32_t> handed_out_;
  std::vector<std::pair<int32_t, Tensor>> scratch_;
};

using BackwardFunction = std::function<void(Backward&)>;

// How often an op can be differentiated: once, or, as its backward function can also record what it
// does, as often as those ops can that it is made of.
enum class Differentiable { Once, Twice };

struct TapeOptions {
  bool detect_anomaly = false;  // stop at the first backward that makes a NaN or an infinity
};

struct BackwardOptions {
  bool keep = false;  // keep the records, so that backward can be called again
};

struct GradientsOptions {
  // The gradient of y to begin with, of its shape, dtype and device, which may be on the tape
  // itself. Undefined: one, and y has one element.
  Tensor seed = {};
  // Gradients that are recorded themselves, so that there are gradients of them; keeps the records.
  // NotDifferentiable names an op on the way whose backward cannot be recorded.
  bool create_graph = false;
  bool keep = false;
};

class Tape {
 public:
  explicit Tape(TapeOptions options = {});
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Makes x a leaf of this tape: gradient(x) is there after backward.
  void watch(Tensor& x);
  Tensor gradient(const Tensor& x) const;  // undefined if x had no influence

  // Gradients of a one-element tensor (or of sum(y * seed)) with respect to every parameter and
  // watched tensor. Frees the records and closes the tape unless options.keep.
  void backward(const Operand& y, BackwardOptions options = {});
  void backward(const Operand& y, const Tensor& seed, BackwardOptions options = {});

  // The gradients of y (or of sum(y * seed)) with respect to xs (parameters, or any tensors of this
  // tape), returned instead of stored. An x without influence gets an undefined tensor. Gradients
  // of gradients, such as for a penalty on them:
  //
  //   Tensor g = tape.gradients(sum(critic(x)), {x}, {.create_graph = true})[0];
  //   tape.backward(mean(g * g));
  std::vector<Tensor> gradients(const Operand& y, const std::vector<Operand>& xs,
                                GradientsOptions options = {});

  std::string dot() const;  // the graph in Graphviz's language
  size_t num_records() const { return records_.size(); }
  bool is_closed() const { return closed_; }
  // For the op that has just been recorded with output y: the gradient of y that its backward sees
  // has this dtype instead of y's.
  void take_gradient_in(const Tensor& y, DType dtype);
  // The same for an op that lets some elements of that gradient pass: it may get it masked, where
  // the last of the records that make it can do so, and asks grad_is_masked(). `mask` may be filled
  // later, by the op's kernels.
  void take_gradient_masked(const Tensor& y, std::shared_ptr<const GradientMask> mask);
  uint64_t id() const { return id_; }

  // For op authors. The innermost open tape of this thread if it has to record an op with these
  // inputs, else null: then nothing need be saved. An undefined operand is an optional input left
  // out.
  static Tape* recording(std::span<const Operand* const> inputs);
  static Tape* recording(std::initializer_list<const Operand*> inputs) {
    return recording(std::span(inputs.begin(), inputs.size()));
  }
  void record(const char* op, std::span<const Operand* const> inputs,
              std::span<Tensor* const> outputs, BackwardFunction backward,
              Differentiable differentiable = Differentiable::Once);
  void record(const char* op, std::initializer_list<const Operand*> inputs,
              std::initializer_list<Tensor*> outputs, BackwardFunction backward,
              Differentiable differentiable = Differentiable::Once) {
    record(op, std::span(inputs.begin(), inputs.size()), std::span(outputs.begin(), outputs.size()),
           std::move(backward), differentiable);
  }

 private:
  friend class Backward;

  struct Slot {
    Shape shape;
    DType dtype;
    DType gradient_dtype;
    Device device;
    MemoryFormat format;
    std::shared_ptr<ParameterState> parameter;  // null: a tensor
    Tensor grad;
    bool leaf = false;
    bool wanted = false;      // a gradient is wanted in this walk
    bool redirected = false;  // a parameter whose gradient is returned, not stored
    std::shared_ptr<const GradientMask> mask;
    int64_t last_reader = -1;  // of a slot with a mask: the record that adds to `grad` last
    bool is_masked = false;    // grad went through the mask
    Tensor outer;              // beside it
  };
  struct Record {
    const char* op;
    Site site;
    size_t first_link = 0;  // of its slots in links_: inputs, then outputs
    size_t num_inputs = 0;
    size_t num_outputs = 0;
    BackwardFunction backward;
    Differentiable differentiable = Differentiable::Once;
    const void* layer = nullptr;  // for profiles
    std::string lost;             // what became of an input whose gradient cannot be passed on
  };
  // The last tensor that an op took and that had been cut off from this tape or a parameter.
  struct SeenCut {
    const char* by = nullptr;
    Site site;
  };

  // The slots of a record; -1 for a constant.
  std::span<const int32_t> inputs_of(const Record& record) const {
    return {links_.data() + record.first_link, record.num_inputs};
  }
  std::span<const int32_t> outputs_of(const Record& record) const {
    return {links_.data() + record.first_link + record.num_inputs, record.num_outputs};
  }
  void swap_with_spare();
  int32_t find_slot(const Operand& operand) const;  // -1 if it is not on this tape
  int32_t slot_of(const Operand& operand);          // makes a slot for a parameter
  int32_t add_slot(const Tensor& tensor, std::shared_ptr<ParameterState> parameter);
  Slot& slot(int32_t index) { return slots_[static_cast<size_t>(index)]; }
  const Slot& slot(int32_t index) const { return slots_[static_cast<size_t>(index)]; }

  GradientTarget target(int32_t index);
  void give(int32_t index, Tensor gradient);
  bool holds_gradient(const Slot& slot) const;
  // seed: the gradient of `from`; nullptr for ones of the tape's own.
  void backward_from(const Operand& y, const Tensor* seed, BackwardOptions options);
  // What a walk does, beside where it begins.
  struct Walk {
    bool keep = false;
    bool creates_graph = false;
    size_t first_record = 0;  // records before this one, and slots before that, stay as they are
    size_t first_slot = 0;
  };
  void walk(int32_t from, const Tensor* seed, const Site& site, const Walk& walk);
  void walk_records(int32_t from, const Tensor* seed, const Site& site, const Walk& walk);
  void run_backward(size_t record, const Walk& walk);
  void give_recorded(int32_t index, const Tensor& gradient);
  void spread_wanted(size_t first_record);  // from inputs of records to their outputs
  void check_twice_differentiable(int32_t from, const Site& site) const;
  // visit(number) for the records that a walk from this slot meets, in its order.
  template <class Visit>
  void for_each_reached(int32_t from, const Visit& visit) const {
    std::vector<bool> reached(slots_.size());
    reached[static_cast<size_t>(from)] = true;
    for (size_t i = records_.size(); i-- > 0;) {
      const auto outputs = outputs_of(records_[i]);
      if (std::any_of(outputs.begin(), outputs.end(),
                      [&](int32_t output) { return reached[static_cast<size_t>(output)]; })) {
        visit(i);
        for (const int32_t input : inputs_of(records_[i])) {
          if (input >= 0) {
            reached[static_cast<size_t>(input)] = true;
          }
        }
      }
    }
  }
  void make_ones(int32_t index);  // where this slot's gradient is the tape's own seed
  void find_last_readers(int32_t from);
  void note_gradients(const Record& record);  // for optimizers
  void check_anomaly(const Record& record);
  int32_t slot_to_walk_from(const char* what, const Operand& y) const;
  std::string why_not_here(const Operand& y) const;
  void check_nothing_lost(int32_t from) const;
  void check_open(const char* what, const Site& site) const;
  void close();

  uint64_t id_;
  TapeOptions options_;
  bool closed_ = false;
  // Of the last walk: the slot that it began at, if with a seed of the tape's own. Nothing is added
  // to that gradient: only what the slot depends on gets one.
  int32_t one_slot_ = -1;
  bool has_ones_ = false;  // that seed is written only if somebody asks for it
  std::vector<Record> records_;
  std::vector<Slot> slots_;
  std::vector<int32_t> links_;
  SeenCut seen_cut_;
  bool has_lost_ = false;   // some record has
  bool has_masks_ = false;  // some slot has
  std::unordered_map<const ParameterState*, int32_t> parameter_slots_;
};

}  // namespace warptape
