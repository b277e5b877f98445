#pragma once
// Module: something with parameters and sub-modules. It lists its fields once; state dict,
// printing, training mode, moves between devices, freezing and deep copies follow from that.
//
//   struct Net : Module {
//     Conv2d conv{{.in_channels = 3, .out_channels = 8, .kernel_size = 3}};
//     Linear head{8, 10};
//     void fields(Visitor& visit) override { visit("conv", conv)("head", head); }
//     Tensor forward(const Operand& x) override { return head(mean(conv(x), {2, 3})); }
//   };
//
// Copies and assignments:
//   Net copy = net;   parameters of its own with the same values, without gradients. Those that are
//                     tied in net are tied in the copy.
//   net = best;       copies best's values into the parameters that net has, which stay the same
//                     to optimizers and to each other (tied ones stay tied). net keeps its mode,
//                     its devices and what is frozen. Only what cannot hold best's values, because
//                     of another shape, dtype or structure, becomes a copy of best's: it is new to
//                     an optimizer that was made before, whose step() says so.
//   net = std::move(best), net = Net();   net gets best's parameters themselves.
//
// Threads: any number may call one model at once, on "cuda" each on a stream of its own if it
// likes, as long as nothing else is done to the model. Gradients belong to the parameters, which a
// model has once: a single thread at a time trains it, loads, moves or assigns it, or changes its
// mode (evaluate() does). Threads that train at once need a copy of the model each.

#include <iosfwd>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

#include "core/operand.h"

namespace warptape {

class Module;
class Weight;

template <class Field>
inline constexpr bool is_one_field = std::is_same_v<Field, Weight> ||
                                     std::is_same_v<Field, Parameter> ||
                                     (std::is_base_of_v<Module, Field> && !std::is_const_v<Field>);

// Meets the fields of a module in their order. What a visitor does not override does nothing,
// except that a Weight falls apart into its parameters. on_module goes down by descend().
class Visitor {
 public:
  virtual ~Visitor() = default;
  Visitor& operator()(const std::string& name, Module& module);
  Visitor& operator()(const std::string& name, Parameter& parameter);  // undefined ones are skipped
  Visitor& operator()(const std::string& name, Weight& weight);
  // What a pointer or a std::optional holds, if it holds something; a range of fields (std::vector)
  // as a list with the names "0", "1", ...
  template <class Field>
  requires(!is_one_field<Field>) Visitor& operator()(const std::string& name, Field& field);

  // Meets the fields of `module`. ValueError if two of them have one name.
  void descend(Module& module);

 protected:
  virtual void on_module(const std::string& name, Module& module);
  virtual void on_parameter(const std::string& name, Parameter& parameter);
  virtual void on_weight(const std::string& name, Weight& weight);

 private:
  void note_name(const std::string& name);

  const Module* inside_ = nullptr;  // whose fields are met, where descend() is used
  std::vector<std::string> names_;  // of its fields so far
};

class Module {
 public:
  virtual ~Module() = default;

  virtual void fields(Visitor& visit);
  // Passes the operand on to the first op, so that errors name the caller's line.
  virtual Tensor forward(const Operand& x) = 0;
  // forward(x); errors name the path of the module, by the fields of the module that called it.
  Tensor operator()(const Operand& x);

  virtual std::string type_name() const;  // "Conv2d"; the class's name unless overridden
  virtual std::string settings() const;   // what stands between the parentheses when printed

  // Training mode, of this module and all below it: dropout acts only in training. On at the start.
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }

  // Moves the parameters, with their gradients, to another device. They stay the same parameters to
  // optimizers, whose own state does not move: move a model before the first step. Filters (rank 4)
  // lie channels-last on "cuda" and row-major on the CPU, as convolutions read them there.
  void to(Device device);

 protected:
  Module() = default;
  Module(const Module& other);
  Module(Module&&) noexcept = default;
  Module& operator=(const Module& other);
  Module& operator=(Module&&) noexcept = default;

 private:
  bool training_ = true;
};

// A range of fields, to a visitor: torch.nn.ModuleList or ParameterList.
template <class Range>
class FieldList final : public Module {
 public:
  explicit FieldList(Range& range) : range_(range) {}
  void fields(Visitor& visit) override {
    size_t index = 0;
    for (auto& field : range_) {
      visit(std::to_string(index++), field);
    }
  }
  Tensor forward(const Operand& x) override {
    throw Error("[" + type_name() + "] it has no forward" + at(x.site()));
  }
  std::string type_name() const override {
    using Field = std::remove_cvref_t<decltype(*std::begin(range_))>;
    return std::is_same_v<Field, Parameter> ? "ParameterList" : "ModuleList";
  }

 private:
  Range& range_;
};

template <class Field>
requires(!is_one_field<Field>) Visitor& Visitor::operator()(const std::string& name, Field& field) {
  constexpr bool is_range = requires {
    std::begin(field) != std::end(field);
  };
  constexpr bool is_pointer = requires {
    *field;
    static_cast<bool>(field);
  };
  static_assert(is_range || is_pointer,
                "visit(name, field): a field is a Module, a Parameter or a Weight, not const, or a "
                "pointer to one, or a range of them");
  if constexpr (is_range) {
    FieldList<Field> list(field);
    (*this)(name, static_cast<Module&>(list));
  } else if constexpr (is_pointer) {
    if (field) {
      (*this)(name, *field);
    }
  }
  return *this;
}

// A parameter with its path from the root: "conv1.weight_v".
struct NamedParameter {
  std::string name;
  Parameter* parameter;
};

// For what lists a module to read it: fields() lists for all, and is therefore not const.
inline Module& to_list(const Module& module) {
  return const_cast<Module&>(module);
}

// In the order of fields. A parameter that is tied to another appears under every name. ValueError
// if two have one name.
std::vector<NamedParameter> named_parameters(Module& module);

// The states of all parameters, each once, however many names and paths lead to it: what optimizers
// take. Notes its first name in each, for messages.
std::vector<std::shared_ptr<ParameterState>> parameters(Module& module);

// What lists a module to change it takes no const one.
std::vector<NamedParameter> named_parameters(const Module& module) = delete;
std::vector<std::shared_ptr<ParameterState>> parameters(const Module& module) = delete;

int64_t count_parameters(const Module& module);  // elements

// Sets requires_grad of the parameters whose name matches a shell pattern ("fc1.*"). ValueError if
// none does. Returns how many did.
int freeze(Module& module, const std::string& pattern, const Site& site = Site::here());
int unfreeze(Module& module, const std::string& pattern, const Site& site = Site::here());

// The nested tree as PyTorch prints it.
std::string to_string(const Module& module);
std::ostream& operator<<(std::ostream& out, const Module& module);

}  // namespace warptape
