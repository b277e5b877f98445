#include "layers/module.h"

#include <cxxabi.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <typeinfo>
#include <unordered_set>
#include <utility>

#include "core/check.h"
#include "core/deferred.h"
#include "layers/field_paths.h"
#include "layers/module_hooks.h"
#include "layers/weight.h"
#include "layers/weight_norm.h"

namespace warptape {

void Visitor::descend(Module& module) {
  const Module* const outer = std::exchange(inside_, &module);
  std::vector<std::string> outer_names = std::exchange(names_, {});
  module.fields(*this);
  names_ = std::move(outer_names);
  inside_ = outer;
}

void Visitor::note_name(const std::string& name) {
  if (inside_ == nullptr) {
    return;
  }
  check<ValueError>(std::find(names_.begin(), names_.end(), name) == names_.end(),
                    "[fields] {} lists two fields with the name \"{}\", wanted one",
                    inside_->type_name(), name);
  names_.push_back(name);
}

Visitor& Visitor::operator()(const std::string& name, Module& module) {
  note_name(name);
  on_module(name, module);
  return *this;
}

Visitor& Visitor::operator()(const std::string& name, Parameter& parameter) {
  note_name(name);
  if (parameter.defined()) {
    on_parameter(name, parameter);
  }
  return *this;
}

Visitor& Visitor::operator()(const std::string& name, Buffer& buffer) {
  note_name(name);
  if (buffer.defined()) {
    on_buffer(name, buffer);
  }
  return *this;
}

Visitor& Visitor::operator()(const std::string& name, Weight& weight) {
  note_name(name);
  // A plain one falls into a parameter of the same name.
  std::vector<std::string> names = std::exchange(names_, {});
  on_weight(name, weight);
  names_ = std::move(names);
  return *this;
}

void Visitor::meet_list(const std::string& name, Module& list) {
  note_name(name);
  on_list(name, list);
}

void Visitor::on_module(const std::string&, Module&) {}
void Visitor::on_parameter(const std::string&, Parameter&) {}
void Visitor::on_buffer(const std::string&, Buffer&) {}
void Visitor::on_weight(const std::string& name, Weight& weight) {
  weight.fields(name, *this);
}

// Hands a reader what a visitor meets.
class FieldReader::Adapter final : public Visitor {
 public:
  explicit Adapter(FieldReader& reader) : reader_(reader) {}

 protected:
  void on_module(const std::string& name, Module& module) override {
    reader_.on_module(name, module);
  }
  void on_parameter(const std::string& name, Parameter& parameter) override {
    reader_.on_parameter(name, parameter);
  }
  void on_buffer(const std::string& name, Buffer& buffer) override {
    reader_.on_buffer(name, buffer);
  }
  void on_weight(const std::string& name, Weight& weight) override {
    reader_.on_weight(name, weight);
    Visitor::on_weight(name, weight);
  }

 private:
  FieldReader& reader_;
};

void FieldReader::read(const Module& module) {
  // fields() lists for readers and for writers, and is therefore not const; through this it only
  // hands out what is const.
  Adapter(*this).descend(const_cast<Module&>(module));
}

void FieldReader::read_unchecked(const Module& module) {
  Adapter adapter(*this);
  const_cast<Module&>(module).fields(adapter);  // as above
}

void FieldReader::on_module(const std::string&, const Module&) {}
void FieldReader::on_parameter(const std::string&, const Parameter&) {}
void FieldReader::on_buffer(const std::string&, const Buffer&) {}
void FieldReader::on_weight(const std::string&, const Weight&) {}

namespace {

// The parameters of a module and of all below it, as objects.
struct Objects : FieldReader {
  void on_module(const std::string&, const Module& module) override { read_unchecked(module); }
  void on_parameter(const std::string&, const Parameter& parameter) override {
    found.push_back(&parameter);
  }
  std::vector<const Parameter*> found;
};

// Said by the base class, before the fields are copied.
void expect_copies_of(const Module& module) {
  Objects objects;
  objects.read_unchecked(module);
  expect_copies(objects.found);
}

}  // namespace

Module::Module(const Module& other)
    : Member(other), training_(other.training_), hooks_(copy_of(other.hooks_)) {
  expect_copies_of(other);
}

Module& Module::operator=(const Module& other) {
  if (this != &other) {
    expect_copies_of(other);
  }
  return *this;
}

void Module::fields(Visitor&) {}

std::string Module::settings() const {
  return {};
}

namespace {

// Where a module stands below another: "blocks.0.fc".
struct FindPath : Visitor {
  explicit FindPath(const void* wanted) : wanted(wanted) {}
  void on_module(const std::string& name, Module& module) override {
    if (!found.empty()) {
      return;
    }
    const std::string outer = std::exchange(path, path.empty() ? name : path + "." + name);
    if (&module == wanted) {
      found = path;
    } else {
      module.fields(*this);
    }
    path = outer;
  }
  const void* wanted;
  std::string path;
  std::string found;
};

}  // namespace

Tensor Module::operator()(const Operand& x) {
  return call_from(x.site(), [&] {
    if (!has_hooks()) {
      return forward(x);
    }
    std::vector<Operand> inputs{x};
    run_pre_hooks(inputs);
    Tensor output = forward(inputs[0]);
    run_hooks(inputs, output);
    return output;
  });
}

void Module::refresh_weights(const Site& site) {
  refresh_weight_norm(*this, site);
}

void Module::name_layer(Error& error) {
  // The error says which module it left last, here a part of this one.
  std::string path = error.layer();
  if (error.module() != nullptr && error.module() != this) {
    FindPath find(error.module());
    fields(find);
    const bool both = !find.found.empty() && !path.empty();
    path = find.found + (both ? "." : "") + path;
  }
  error.set_layer(this, path);
}

std::string Module::type_name() const {
  int status = 0;
  char* demangled = abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? demangled : "Module";
  std::free(demangled);
  const size_t scope = name.rfind("::");
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

void Module::train(bool on) {
  struct SetMode : Visitor {
    explicit SetMode(bool on) : on(on) {}
    void on_module(const std::string&, Module& module) override { module.train(on); }
    void on_weight(const std::string&, Weight& weight) override {
      if (weight.reparametrization() != nullptr) {
        weight.reparametrization()->train(on);
      }
    }
    bool on;
  } set_mode(on);
  training_ = on;
  fields(set_mode);
}

namespace {

// As convolutions read their filters there.
Tensor moved(const Tensor& tensor, Device device) {
  Tensor result = tensor.detach().to(device);
  if (tensor.rank() >= 3 && tensor.device().type != device.type) {
    const bool on_gpu = device.type == DeviceType::CUDA;
    result = result.to(on_gpu ? MemoryFormat::ChannelsLast : MemoryFormat::RowMajor);
  }
  return result;
}

}  // namespace

void Module::to(Device device) {
  for (const NamedBuffer& named : named_buffers(*this)) {
    named.buffer->set_value(moved(named.buffer->value(), device));
  }
  for (const auto& state : parameters(*this)) {
    state->set_value(moved(state->value, device));
    if (state->grad.defined()) {
      state->grad = moved(state->grad, device);
    }
  }
}

namespace {

// What a module and all below it have.
struct Collect : Visitor {
  explicit Collect(Module& module) : paths(module) { descend(module); }
  void on_module(const std::string& name, Module& child) override {
    paths.descend(name, [&] { descend(child); });
  }
  void on_parameter(const std::string& name, Parameter& parameter) override {
    parameters.push_back({paths.add(name), &parameter});
  }
  void on_buffer(const std::string& name, Buffer& buffer) override {
    buffers.push_back({paths.add(name), &buffer});
  }
  FieldPaths paths;
  std::vector<NamedParameter> parameters;
  std::vector<NamedBuffer> buffers;
};

}  // namespace

std::vector<NamedParameter> named_parameters(Module& module) {
  return Collect(module).parameters;
}

std::vector<NamedBuffer> named_buffers(Module& module) {
  return Collect(module).buffers;
}

std::vector<std::shared_ptr<ParameterState>> parameters(Module& module) {
  std::vector<std::shared_ptr<ParameterState>> states;
  std::unordered_set<const ParameterState*> seen;
  for (const NamedParameter& named : named_parameters(module)) {
    const auto& state = named.parameter->state();
    if (seen.insert(state.get()).second) {
      state->name = named.name;
      states.push_back(state);
    }
  }
  return states;
}

int64_t count_parameters(const Module& module) {
  struct Count : FieldReader {
    void on_module(const std::string&, const Module& child) override { read(child); }
    void on_parameter(const std::string&, const Parameter& parameter) override {
      if (seen.insert(parameter.state().get()).second) {
        count += parameter.value().numel();
      }
    }
    std::unordered_set<const ParameterState*> seen;
    int64_t count = 0;
  } count;
  count.read(module);
  return count.count;
}

namespace {

int set_requires_grad(Module& module, const std::string& pattern, bool on, const char* who,
                      const Site& site) {
  int matched = 0;
  for (const NamedParameter& named : named_parameters(module)) {
    if (::fnmatch(pattern.c_str(), named.name.c_str(), 0) == 0) {
      named.parameter->set_requires_grad(on);
      ++matched;
    }
  }
  check<ValueError>(matched > 0, site, "[{}] pattern \"{}\" matches no parameter of {}", who,
                    escaped(pattern), escaped(module.type_name()));
  return matched;
}

// "(name): Type(settings)" per line; modules with children span lines.
struct Print : FieldReader {
  void on_module(const std::string& name, const Module& module) override {
    out += std::string(indent, ' ') + "(" + escaped(name) + "): ";
    print(module);
  }
  void on_weight(const std::string&, const Weight& weight) override {
    if (weight.reparametrization() != nullptr) {
      reparametrizations += ", " + weight.reparametrization()->settings();
    }
  }
  void print(const Module& module) {
    const std::string outer_reparametrizations = std::exchange(reparametrizations, {});
    const std::string before = std::exchange(out, {});
    indent += 2;
    read(module);
    indent -= 2;
    const std::string children = std::exchange(out, before);
    std::string settings = escaped(module.settings()) + reparametrizations;
    if (module.settings().empty() && !reparametrizations.empty()) {
      settings = reparametrizations.substr(2);
    }
    out += escaped(module.type_name()) + "(" + (children.empty() ? settings : "");
    if (!children.empty()) {
      const std::string own =
          settings.empty() ? "" : std::string(indent + 2, ' ') + settings + "\n";
      out += "\n" + own + children + std::string(indent, ' ');
    }
    out += indent == 0 ? ")" : ")\n";
    reparametrizations = outer_reparametrizations;
  }
  std::string out;
  std::string reparametrizations;
  size_t indent = 0;
};

}  // namespace

int freeze(Module& module, const std::string& pattern, const Site& site) {
  return set_requires_grad(module, pattern, false, "freeze", site);
}

int unfreeze(Module& module, const std::string& pattern, const Site& site) {
  return set_requires_grad(module, pattern, true, "unfreeze", site);
}

std::string to_string(const Module& module) {
  Print print;
  print.print(module);
  return print.out;
}

std::ostream& operator<<(std::ostream& out, const Module& module) {
  return out << to_string(module);
}

}  // namespace warptape
