#pragma once
// Parameter: a handle on shared state {value, gradient, whether the gradient is empty,
// requires_grad}. Copying a Parameter copies the state deeply (so copying a module does), moving
// keeps it (optimizers and tapes hold the state), tie() shares it. Assigning one copies the
// elements into the state that is there.

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "core/members.h"
#include "core/tensor.h"

namespace warptape {

struct ParameterState : std::enable_shared_from_this<ParameterState> {
  ParameterState();
  ~ParameterState();
  ParameterState(const ParameterState&) = delete;
  ParameterState& operator=(const ParameterState&) = delete;

  // Takes the tensor for the value, sharing its storage; the way in for every new value.
  void set_value(const Tensor& tensor);

  const uint64_t id;  // from 1, never used twice; the value carries it
  Tensor value;
  Tensor grad;  // allocated at its first use; keeps its address until the parameter moves
  bool grad_is_empty = true;
  bool requires_grad = true;
  std::string name;          // its path in the module that parameters() listed last; for messages
  int optimizers = 0;        // how many hold it
  bool awaits_step = false;  // it is in the list of fresh gradients (core/fresh_gradients.h)
};

// The parameter whose value this is, sharing its storage; null where there is none any more.
std::shared_ptr<ParameterState> find_parameter(const Tensor& value);

class Parameter : public Member<MemberKind::Parameter> {
 public:
  Parameter() : state_(std::make_shared<ParameterState>()) {}
  explicit Parameter(const Tensor& value);  // shares the storage, as a constant
  Parameter(const Parameter& other);
  // Copies other's elements into this parameter, which stays the same one to optimizers and to what
  // is tied to it. Only where they cannot hold them (another shape or dtype, or one of both is
  // undefined) it becomes a new one, as a copy.
  Parameter& operator=(const Parameter& other);
  Parameter(Parameter&&) noexcept = default;
  Parameter& operator=(Parameter&&) noexcept = default;
  ~Parameter() = default;

  bool defined() const { return state_ && state_->value.defined(); }
  // As an operand it is the parameter itself, so that ops on it are recorded; detach() makes a
  // constant of it.
  const Tensor& value() const;

  // Copies the elements in, from any device, cast to the parameter's dtype; ShapeError if the shape
  // differs.
  void assign(const Tensor& value, const Site& site = Site::here());

  // The gradient of the last backward passes; undefined if there is none.
  Tensor grad() const { return !state_ || state_->grad_is_empty ? Tensor() : state_->grad; }
  void zero_grad();  // writes no memory

  bool requires_grad() const { return state_ && state_->requires_grad; }
  void set_requires_grad(bool on);

  // Makes this parameter the same one as `other`: one value, one gradient. ShapeError or DTypeError
  // if both are defined and differ.
  void tie(const Parameter& other, const Site& site = Site::here());

  const std::shared_ptr<ParameterState>& state() const { return state_; }  // null once moved from

 private:
  std::shared_ptr<ParameterState> state_;
};

// For whoever is about to copy an object that has these parameters, each by the copy constructor:
// those of them that are tied to each other have copies that are tied to each other.
void expect_copies(const std::vector<const Parameter*>& parameters);

std::ostream& operator<<(std::ostream& out, const Parameter& parameter);  // its value

}  // namespace warptape
