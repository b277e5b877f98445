#pragma once
// Module: something with parameters, buffers and sub-modules. It lists its fields once; state dict,
// printing, training mode, moves between devices, freezing and deep copies follow from that.
//
//   struct Net : Module {
//     Conv2d conv{{.in_channels = 3, .out_channels = 8, .kernel_size = 3}};
//     Linear head{8, 10};
//     void fields(Visitor& visit) override { visit("conv", conv)("head", head); }
//     Tensor forward(const Operand& x) override { return head(mean(conv(x), {2, 3})); }
//   };
//
// A member that fields() forgets is an error in the first call: ValueError that says which. What
// lies inside of the module counts, not what it holds by pointer or in a std::vector; what shall
// not be part of it is left out by name: visit.leave_out(teacher).
//
// The line of a call is the line of whatever runs in it: an error in forward(), or in a forward()
// that this one calls, names the line of the outermost call of a module on its thread.
//
// Modules of another signature, with several inputs or outputs, derive from ModuleOf (module_of.h).
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

#include <atomic>
#include <functional>
#include <iosfwd>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "core/deferred.h"
#include "core/operand.h"
#include "core/profile.h"

namespace warptape {

class Module;
class Weight;

template <class Field>
inline constexpr bool is_one_field = std::is_same_v<Field, Weight> ||
                                     std::is_same_v<Field, Parameter> ||
                                     std::is_same_v<Field, Buffer> ||
                                     (std::is_base_of_v<Module, Field> && !std::is_const_v<Field>);

// Meets the fields of a module in their order. What a visitor does not override does nothing,
// except that a Weight falls apart into its parameters. on_module goes down by descend().
class Visitor {
 public:
  virtual ~Visitor() = default;
  Visitor& operator()(const std::string& name, Module& module);
  Visitor& operator()(const std::string& name, Parameter& parameter);  // undefined ones are skipped
  Visitor& operator()(const std::string& name, Buffer& buffer);        // likewise
  Visitor& operator()(const std::string& name, Weight& weight);
  // What a pointer or a std::optional holds, if it holds something; a range of fields (std::vector)
  // as a list with the names "0", "1", ...
  template <class Field>
  requires(!is_one_field<Field>) Visitor& operator()(const std::string& name, Field& field);

  // Says of a member (Module, Parameter, Buffer or Weight) that it is no part of the module.
  template <MemberKind kind>
  Visitor& leave_out(const Member<kind>& member) {
    on_left_out(member.place());
    return *this;
  }

  // Meets the fields of `module`. ValueError if two of them have one name.
  void descend(Module& module);

 protected:
  virtual void on_module(const std::string& name, Module& module);
  // A range of fields; by default a module as others are.
  virtual void on_list(const std::string& name, Module& list) { on_module(name, list); }
  virtual void on_parameter(const std::string& name, Parameter& parameter);
  virtual void on_buffer(const std::string& name, Buffer& buffer);
  virtual void on_weight(const std::string& name, Weight& weight);
  virtual void on_left_out(const MemberPlace&) {}

 private:
  void meet_list(const std::string& name, Module& list);
  void note_name(const std::string& name);

  const Module* inside_ = nullptr;  // whose fields are met, where descend() is used
  std::vector<std::string> names_;  // of its fields so far
};

// Reads the fields of a const module, in their order. A Weight is met itself, and then the
// parameters that it falls apart into.
class FieldReader {
 public:
  virtual ~FieldReader() = default;
  // Meets the fields of `module`. ValueError if two of them have one name.
  void read(const Module& module);
  void read_unchecked(const Module& module);  // whatever their names are

 protected:
  virtual void on_module(const std::string& name, const Module& module);
  virtual void on_parameter(const std::string& name, const Parameter& parameter);
  virtual void on_buffer(const std::string& name, const Buffer& buffer);
  virtual void on_weight(const std::string& name, const Weight& weight);

 private:
  class Adapter;
};

// What is called before and after forward(). Both get the operands among the inputs.
using ForwardPreHook = std::function<void(Module& module, std::vector<Operand>& inputs)>;
using ForwardHook =
    std::function<void(Module& module, const std::vector<Operand>& inputs, Tensor& output)>;
struct ForwardHooks;

// Removes a hook, if its module still has it. Letting go of the handle leaves the hook where it is.
class HookHandle {
 public:
  HookHandle() = default;
  void remove();

 private:
  friend class Module;
  HookHandle(std::weak_ptr<ForwardHooks> hooks, uint64_t id) : hooks_(std::move(hooks)), id_(id) {}
  std::weak_ptr<ForwardHooks> hooks_;
  uint64_t id_ = 0;
};

class Module : public Member<MemberKind::Module> {
 public:
  virtual ~Module() = default;

  virtual void fields(Visitor& visit);
  virtual Tensor forward(const Operand& x) = 0;
  // forward(x); errors name the path of the module, by the fields of the module that called it.
  Tensor operator()(const Operand& x);

  virtual std::string type_name() const;  // "Conv2d"; the class's name unless overridden
  virtual std::string settings() const;   // what stands between the parentheses when printed
  // Whether it normalises, so that its parameters scale and shift what is normalised
  // (ParameterRole::Norm).
  virtual bool is_norm() const { return false; }

  // Training mode, of this module and all below it: dropout acts only in training. On at the start.
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }

  // Moves the parameters, with their gradients, and the buffers to another device. They stay the
  // same parameters to optimizers, whose own state does not move: move a model before the first
  // step. Filters (rank 3 and 4) lie channels-last on "cuda" and row-major on the CPU, as
  // convolutions read them there.
  void to(Device device);

  // As torch.nn.Module's: called in their order by every call of the module. They may replace the
  // inputs (as many as there were), or the output, by assigning to them. Copies of the module have
  // copies of its hooks; assigning one to another does not move hooks.
  HookHandle register_forward_pre_hook(ForwardPreHook hook);
  HookHandle register_forward_hook(ForwardHook hook);

  // A class of modules must not have new and delete of its own: these tell how large a module is,
  // by which the first call knows the members that lie in it. (GCC's -Wfree-nonheap-object is wrong
  // about them where a class has another base with virtual functions before Module.)
  static void* operator new(size_t size);
  static void* operator new(size_t size, std::align_val_t alignment);
  static void* operator new(size_t, void* place) noexcept { return place; }
  static void operator delete(void* pointer) noexcept;
  static void operator delete(void* pointer, std::align_val_t alignment) noexcept;
  static void operator delete(Module* module, std::destroying_delete_t, size_t size);
  static void operator delete(Module* module, std::destroying_delete_t, size_t size,
                              std::align_val_t alignment);

 protected:
  Module() = default;
  Module(const Module& other);
  Module(Module&& other) noexcept = default;
  Module& operator=(const Module& other);
  Module& operator=(Module&&) noexcept = default;

  // Runs forward() as a call of this module from that line.
  template <class Forward>
  auto call_from(const Site& site, const Forward& forward) {
    const SiteScope scope(site);
    const profile::LayerScope layer(this);
    try {
      if (!is_checked_.yes()) {
        check_fields(site);
      }
      DeferralScope deferral;
      if (deferral.is_outermost()) {
        refresh_weights(site);
      }
      auto result = forward();
      deferral.finish();
      return result;
    } catch (Error& error) {
      name_layer(error);
      throw;
    }
  }
  bool has_hooks() const { return hooks_ != nullptr && has_any_hook(); }
  bool has_output_hooks() const;
  void run_pre_hooks(std::vector<Operand>& inputs);
  void run_hooks(const std::vector<Operand>& inputs, Tensor& output);

 private:
  void refresh_weights(const Site& site);  // those of all modules below that are computed
  // Whether a call has checked the fields of this object; of a copy none has.
  class Checked {
   public:
    Checked() = default;
    Checked(const Checked&) noexcept {}
    Checked& operator=(const Checked&) noexcept { return *this; }
    ~Checked() = default;
    bool yes() const { return done_.load(std::memory_order_relaxed); }
    void set() { done_.store(true, std::memory_order_relaxed); }

   private:
    std::atomic<bool> done_{false};
  };

  void check_fields(const Site& site);
  void name_layer(Error& error);
  bool has_any_hook() const;
  const std::shared_ptr<ForwardHooks>& own_hooks();

  bool training_ = true;
  Checked is_checked_;
  std::shared_ptr<ForwardHooks> hooks_;  // null: there was never one
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
    if (std::is_same_v<Field, Buffer>) {
      return "BufferList";
    }
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
                "visit(name, field): a field is a Module, a Parameter, a Buffer or a Weight, not "
                "const, or a pointer to one, or a range of them");
  if constexpr (is_range) {
    FieldList<Field> list(field);
    meet_list(name, list);
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

struct NamedBuffer {
  std::string name;
  Buffer* buffer;
};

// In the order of fields. A parameter that is tied to another appears under every name. ValueError
// if two parameters or buffers have one name.
std::vector<NamedParameter> named_parameters(Module& module);
std::vector<NamedBuffer> named_buffers(Module& module);  // those that are not persistent too

// The states of all parameters, each once, however many names and paths lead to it: what optimizers
// take. Notes its first name in each, for messages.
std::vector<std::shared_ptr<ParameterState>> parameters(Module& module);

// What lists a module to change it takes no const one.
std::vector<NamedParameter> named_parameters(const Module& module) = delete;
std::vector<NamedBuffer> named_buffers(const Module& module) = delete;
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
