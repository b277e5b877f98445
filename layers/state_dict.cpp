#include "layers/state_dict.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <string_view>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/weight_norm/weight_norm.h"
#include "layers/field_paths.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

using Names = std::vector<std::string>;

constexpr std::array<std::string_view, 5> wrappers{
    "module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"};

// A key without the parts that wrappers add, and those parts. The last part is a parameter's own
// name.
struct Unwrapped {
  std::string key;
  Names parts;
};

Unwrapped unwrap(const std::string& key) {
  Unwrapped result;
  size_t begin = 0;
  for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    const std::string part = key.substr(begin, dot - begin);
    if (std::find(wrappers.begin(), wrappers.end(), part) == wrappers.end()) {
      result.key += part + ".";
    } else {
      result.parts.push_back(part);
    }
    begin = dot + 1;
  }
  result.key += key.substr(begin);
  return result;
}

// Whether different keys are still different without what wrappers add.
bool stay_different(const Names& keys) {
  const std::set<std::string> before(keys.begin(), keys.end());
  std::set<std::string> after;
  for (const std::string& key : before) {
    after.insert(unwrap(key).key);
  }
  return after.size() == before.size();
}

Names keys_of(const StateDict& state) {
  Names keys;
  for (const auto& [key, tensor] : state) {
    keys.push_back(key);
  }
  return keys;
}

// Walks a module and decides for each of its fields what to do with which tensors; the assignments
// are carried out only if nothing was wrong.
class Loader : public Visitor {
 public:
  Loader(Module& module, const StateDict& state)
      : unwraps_(stay_different(keys_of(state)) && stay_different(keys_of(state_dict(module)))) {
    for (const auto& [key, tensor] : state) {
      if (!tensors_.emplace(name_of(key), Entry{key, tensor}).second) {
        repeated_ += fmt::format("\n  twice: {}", excerpt(key));
      }
    }
  }

  void on_module(const std::string& name, Module& module) override {
    const std::string outer = prefix_;
    prefix_ += name + ".";
    descend(module);
    prefix_ = outer;
  }

  void on_parameter(const std::string& name, Parameter& parameter) override {
    const std::string key = prefix_ + name;
    if (const Tensor* tensor = take(key, parameter.value().shape())) {
      assignments_.push_back([&parameter, tensor] { parameter.assign(*tensor); });
    }
  }

  void on_buffer(const std::string& name, Buffer& buffer) override {
    if (!buffer.is_persistent()) {
      return;
    }
    if (const Tensor* tensor = take(prefix_ + name, buffer.value().shape())) {
      assignments_.push_back([&buffer, tensor] { buffer.assign(*tensor); });
    }
  }

  // A weight may be there in several forms: the one that has all of its keys, else the first that
  // has some, so that the others are said to be missing.
  void on_weight(const std::string& name, Weight& weight) override {
    Reparametrization* const by = weight.reparametrization();
    for (const auto is_there : {&Loader::has_all, &Loader::has_some}) {
      for (const Names& keys : by == nullptr ? std::vector<Names>() : by->spellings(name)) {
        if ((this->*is_there)(keys)) {
          load_fields(*by, keys);
          return;
        }
      }
      for (const Names& keys : WeightNorm::keys_of(name)) {
        if ((this->*is_there)(keys)) {
          load_normalised(weight, prefix_ + keys[0], prefix_ + keys[1]);
          return;
        }
      }
    }
    if (by != nullptr && !has(prefix_ + name)) {
      load_fields(*by, by->spellings(name)[0]);  // names what is missing
    } else if (const Tensor* tensor = take(prefix_ + name, weight.shape())) {
      assignments_.push_back([&weight, tensor] { weight.assign(*tensor); });
    }
  }

  Names finish(const Module& module, const Site& site) {
    std::string problems = missing_;
    for (const auto& [name, entry] : tensors_) {
      if (!entry.used) {
        problems += fmt::format("\n  unexpected: {} {}", excerpt(entry.key), entry.tensor.shape());
      }
    }
    problems += repeated_ + mis_shaped_;
    check<ValueError>(problems.empty(), site, "[load_state_dict] does not fit {}:{}",
                      escaped(module.type_name()), problems);
    for (const auto& assign : assignments_) {
      assign();
    }
    return removed_;
  }

 private:
  struct Entry {
    std::string key;  // as the dict has it
    Tensor tensor;
    bool used = false;
  };

  // What a key of the dict and a key of the module have in common where they belong together.
  std::string name_of(const std::string& key) const { return unwraps_ ? unwrap(key).key : key; }

  bool has(const std::string& key) const { return tensors_.count(name_of(key)) > 0; }
  bool has_some(const Names& keys) const {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const std::string& key) { return has(prefix_ + key); });
  }
  bool has_all(const Names& keys) const {
    return std::all_of(keys.begin(), keys.end(),
                       [&](const std::string& key) { return has(prefix_ + key); });
  }

  // The tensor of this key if it is there and has the shape; else the problem is noted.
  const Tensor* take(const std::string& key, const Shape& wanted) {
    const auto found = tensors_.find(name_of(key));
    if (found == tensors_.end()) {
      missing_ += fmt::format("\n  missing: {} {}", excerpt(key), wanted);
      return nullptr;
    }
    Entry& entry = found->second;
    entry.used = true;
    note_removed(entry.key, key);
    if (!(entry.tensor.shape() == wanted)) {
      mis_shaped_ += fmt::format("\n  mis-shaped: {}: got {}, wanted {}", excerpt(entry.key),
                                 entry.tensor.shape(), wanted);
      return nullptr;
    }
    return &entry.tensor;
  }

  void note_removed(const std::string& key, const std::string& own) {
    if (key == own) {
      return;
    }
    for (const std::string& part : unwrap(key).parts) {
      if (std::find(removed_.begin(), removed_.end(), part) == removed_.end()) {
        removed_.push_back(part);
      }
    }
  }

  // The shape of the tensor of this key, or another one where it is absent.
  Shape shape_of(const std::string& key, const Shape& otherwise) const {
    const auto found = tensors_.find(name_of(key));
    return found == tensors_.end() ? otherwise : found->second.tensor.shape();
  }

  // The tensors of these keys, in the shapes that this reparametrisation can take; none if one of
  // them is missing or mis-shaped.
  std::vector<Tensor> take_all(const Reparametrization& by, const Names& keys) {
    std::vector<Shape> found = by.shapes();
    for (size_t i = 0; i < keys.size(); ++i) {
      found[i] = shape_of(keys[i], found[i]);
    }
    const std::vector<Shape> wanted = by.shapes_to_load(found);
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (const Tensor* tensor = take(keys[i], wanted[i])) {
        tensors.push_back(*tensor);
      }
    }
    return tensors.size() == keys.size() ? tensors : std::vector<Tensor>();
  }

  void load_fields(Reparametrization& by, Names keys) {
    for (std::string& key : keys) {
      key = prefix_ + key;
    }
    const std::vector<Tensor> values = take_all(by, keys);
    if (!values.empty()) {
      assignments_.push_back([&by, values] { by.load(values, {}); });
    }
  }

  // What weight norm computes of g and v, into a weight that is plain or of another kind.
  void load_normalised(Weight& weight, const std::string& key_g, const std::string& key_v) {
    const Shape& shape = weight.shape();
    const NormDim dim =
        NormDim::of_shapes(shape, shape_of(key_g, NormDim().norm_shape(shape, "weight_norm", {})))
            .value_or(0);
    const Tensor* g = take(key_g, dim.norm_shape(shape, "weight_norm", {}));
    const Tensor* v = take(key_v, shape);
    if (g != nullptr && v != nullptr) {
      assignments_.push_back([&weight, g, v, dim] {
        weight.assign(weight_norm(primitives::cast(*v, float64), primitives::cast(*g, float64),
                                  {.dim = dim}));
      });
    }
  }

  bool unwraps_;
  std::map<std::string, Entry> tensors_;  // by name_of their keys
  Names removed_;
  std::string prefix_;
  std::string missing_;
  std::string repeated_;
  std::string mis_shaped_;
  std::vector<std::function<void()>> assignments_;
};

}  // namespace

StateDict state_dict(const Module& module) {
  struct Collect : FieldReader {
    explicit Collect(const Module& module) : paths(module) { read(module); }
    void on_module(const std::string& name, const Module& child) override {
      paths.descend(name, [&] { read(child); });
    }
    void on_parameter(const std::string& name, const Parameter& parameter) override {
      found.emplace_back(paths.add(name), parameter.value().detach());
    }
    void on_buffer(const std::string& name, const Buffer& buffer) override {
      if (buffer.is_persistent()) {
        found.emplace_back(paths.add(name), buffer.value());
      }
    }
    FieldPaths paths;
    StateDict found;
  };
  return Collect(module).found;
}

StateDict without_wrappers(const StateDict& state) {
  if (!stay_different(keys_of(state))) {
    return state;
  }
  StateDict result;
  for (const auto& [key, tensor] : state) {
    result.emplace_back(unwrap(key).key, tensor);
  }
  return result;
}

std::vector<std::string> load_state_dict(Module& module, const StateDict& state, const Site& site) {
  named_parameters(module);  // refuses names that are there twice
  Loader loader(module, state);
  loader.descend(module);
  return loader.finish(module, site);
}

}  // namespace warptape
