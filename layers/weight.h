#pragma once
// Weight: what a layer declares instead of a bare parameter. It is plain, or reparametrised:
// computed from other parameters. Only Weight knows those, their key names, and how setting or
// initialising the weight reaches them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/operand.h"
#include "core/rounded_value.h"
#include "layers/module.h"
#include "layers/parameter_role.h"

namespace warptape {

// One way to compute a weight from other parameters: weight_norm (layers/weight_norm.h),
// spectral_norm, dora, or a user's own, which nothing else has to know of. Its fields are
// parameters and buffers: they are part of the layer's state, move, print and copy with it.
class Reparametrization {
 public:
  virtual ~Reparametrization() = default;
  virtual std::unique_ptr<Reparametrization> clone() const = 0;

  // The weight, recorded on the innermost tape if there is one.
  virtual Tensor materialize(const Site& site) = 0;
  // The same in another dtype. A cast of it, if not overridden.
  virtual Tensor materialize_in(DType dtype, const Site& site);
  // Sets the parameters so that materialize() gives `weight`, or, where it cannot give every
  // weight, what it makes of this one.
  virtual void split(const Tensor& weight) = 0;
  // Its parameters and buffers under the names that a checkpoint has for them, for a weight called
  // `name`.
  virtual void fields(const std::string& name, Visitor& visit) = 0;
  virtual std::string settings() const = 0;  // "weight_norm(dim=0)"
  // What one of its parameters is.
  virtual ParameterRole role_of(const Parameter& field) const;
  // By default of all its parameters, and whether one of them does.
  virtual void set_requires_grad(bool on);
  virtual bool requires_grad() const;
  // Copies the elements of other's fields into these; false, and nothing is done, if it is of
  // another kind, has other settings, or their shapes or dtypes differ.
  virtual bool assign_from(const Reparametrization& other);
  // Whether the layer is in training mode: told when it changes, and at the start.
  virtual void train(bool on) { (void)on; }

  // Of checkpoints: the keys of its fields, in their order, and other spellings that are read, too.
  // By default its own names alone.
  virtual std::vector<std::vector<std::string>> spellings(const std::string& name) const;
  std::vector<Shape> shapes() const;  // of its fields, in their order
  // The shapes that its fields can take, given those that a checkpoint has (or, where it lacks one,
  // shapes() has): by default shapes().
  virtual std::vector<Shape> shapes_to_load(const std::vector<Shape>& found) const;
  // Takes values of these shapes for its fields, in their order.
  virtual void load(const std::vector<Tensor>& values, const Site& site);
};

class Weight : public Member<MemberKind::Weight> {
 public:
  // Whether a product reads it. What else reads a weight, such as a norm, takes it as it is in
  // mixed precision, too.
  enum class InProducts { Yes, No };

  Weight() = default;
  explicit Weight(const Tensor& value, InProducts in_products = InProducts::Yes)
      : plain_(value), shape_(value.shape()), in_products_(in_products) {}
  Weight(const Weight& other);
  // Copies other's elements into the parameters that this one has, through to what it is computed
  // from, where other is plain or computed in another way. Where they do not fit (another shape or
  // dtype, or one is undefined) it becomes a copy of other.
  Weight& operator=(const Weight& other);
  Weight(Weight&&) noexcept = default;
  Weight& operator=(Weight&&) noexcept = default;

  // What a layer hands to its op, in the dtype that the layer computes in; site is the caller's
  // line.
  Operand operand(const Site& site);
  // The layer's input in that dtype (a recorded cast, where a float32 input meets bfloat16).
  Operand input(const Operand& x) const;
  // bfloat16: the op gets the weight rounded to it; its parameters and their gradients stay
  // float32. float32: it gets the weight as it is, and so does what is no product.
  void compute_in(DType dtype) {
    set_in_bfloat16(dtype == bfloat16 && in_products_ == InProducts::Yes);
  }
  bool computes_in_bfloat16() const { return in_bfloat16_; }
  // ValueError for another dtype, DTypeError for a weight whose parameters are not float32.
  void check_computes_in(DType dtype, const Site& site);
  // The weight as its parameters give it, recorded on the innermost tape if there is one; detach()
  // makes a constant of it.
  Tensor value(const Site& site = Site::here());
  const Shape& shape() const { return shape_; }
  bool defined() const { return by_ != nullptr || plain_.defined(); }

  // Copies the elements in; of a reparametrised weight, through to what it is computed from.
  void assign(const Tensor& value, const Site& site = Site::here());

  // ValueError if there is one already; the value does not change.
  void reparametrize(std::unique_ptr<Reparametrization> by, const char* who, const Site& site);
  // ValueError if there is none; the weight becomes plain and keeps its value. Returns it.
  std::unique_ptr<Reparametrization> remove_reparametrization(const char* who, const Site& site);
  // Puts back what remove_reparametrization returned, on the device where the weight is by now. It
  // has its old parameters if it gives the weight as that is, else they are set from the weight.
  // ShapeError for that of a weight of another shape.
  void restore_reparametrization(std::unique_ptr<Reparametrization> by, bool in_training,
                                 const char* who, const Site& site);
  Reparametrization* reparametrization() { return by_.get(); }
  const Reparametrization* reparametrization() const { return by_.get(); }

  void fields(const std::string& name, Visitor& visit);

 private:
  void set_in_bfloat16(bool on);

  Parameter plain_;
  std::unique_ptr<Reparametrization> by_;
  Shape shape_;
  InProducts in_products_ = InProducts::Yes;
  bool in_bfloat16_ = false;
  std::shared_ptr<RoundedValue> rounded_;  // of plain_, where it is wanted in bfloat16
};

// A layer's weight of this name. ValueError that lists the weights it has.
Weight& weight_of(Module& layer, const std::string& name, const char* who, const Site& site);

// Makes a layer's weight of this name computed by what make(its value) gives, in the layer's mode.
void reparametrize(Module& layer, const std::string& name,
                   const std::function<std::unique_ptr<Reparametrization>(const Tensor&)>& make,
                   const char* who, const Site& site);

}  // namespace warptape
