#include "training/profile/events.h"

#include <algorithm>

namespace warptape::profiling {

Events::Events(const Captured& captured) : captured_(captured) {
  const std::vector<profile::Event>& all = captured.recording.events;
  std::vector<const profile::Event*> steps;
  for (const profile::Event& event : all) {
    by_id_[event.id] = &event;
    inside_ns_[event.parent] += event.duration_ns;
    if (event.name == "step") {
      steps.push_back(&event);
    }
  }
  const auto wanted = static_cast<size_t>(std::max<int64_t>(captured.steps, 0));
  steps_.assign(steps.end() - static_cast<ptrdiff_t>(std::min(wanted, steps.size())), steps.end());
  for (size_t i = 0; i < steps_.size(); ++i) {
    step_of_[steps_[i]->id] = static_cast<int64_t>(i);
  }
  // Ranges come after those around them.
  for (const profile::Event& event : all) {
    if (const auto around = step_of_.find(event.parent); around != step_of_.end()) {
      step_of_[event.id] = around->second;
    }
    if (step_of_.count(event.id) != 0) {
      of_steps_.push_back(&event);
    }
  }
}

const profile::Event* Events::find(uint64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

int64_t Events::step_of(const profile::Event& event) const {
  const auto found = step_of_.find(event.id);
  return found == step_of_.end() ? -1 : found->second;
}

int64_t Events::self_ns(const profile::Event& event) const {
  const auto found = inside_ns_.find(event.id);
  return event.duration_ns - (found == inside_ns_.end() ? 0 : found->second);
}

std::vector<double> Events::step_times_ms() const {
  std::vector<double> times;
  int64_t last_end = -1;
  for (const profile::Event* step : steps_) {
    const int64_t end = step->start_ns + step->duration_ns;
    times.push_back(static_cast<double>(end - (last_end < 0 ? step->start_ns : last_end)) / 1e6);
    last_end = end;
  }
  return times;
}

std::string Events::layer_at(const void* layer) const {
  const auto found = captured_.layers.find(layer);
  return found == captured_.layers.end() ? "" : found->second;
}

std::string Events::layer_of(const profile::Event& event) const {
  return layer_at(event.layer);
}

std::string Events::op_of(const profile::Event& event) {
  constexpr size_t suffix = sizeof(" backward") - 1;
  return event.phase == profile::Phase::Backward ? event.name.substr(0, event.name.size() - suffix)
                                                 : event.name;
}

std::map<const void*, std::string> layer_paths(const Module& model) {
  struct Paths : FieldReader {
    void on_module(const std::string& name, const Module& module) override {
      const std::string outer = prefix;
      const std::string path = prefix + name;
      found.emplace(&module, path);  // the first of two names
      prefix = path + ".";
      read(module);
      prefix = outer;
    }
    std::string prefix;
    std::map<const void*, std::string> found;
  } paths;
  paths.found.emplace(&model, "");
  paths.read(model);
  return paths.found;
}

std::map<const void*, BlockName> block_names(Module& model) {
  std::map<const void*, BlockName> names;
  const auto add = [&](const Tensor& tensor, const std::string& path, const char* what) {
    if (!tensor.defined()) {
      return;
    }
    const size_t dot = path.rfind('.');
    const bool is_root = dot == std::string::npos;
    dispatch_all(tensor.dtype(), [&]<class T>() {
      names.emplace(tensor.data<T>(), BlockName{is_root ? "" : path.substr(0, dot),
                                                what + (is_root ? path : path.substr(dot + 1))});
    });
  };
  for (const NamedParameter& named : named_parameters(model)) {
    add(named.parameter->value(), named.name, "parameter ");
    add(named.parameter->state()->grad, named.name, "gradient of ");
  }
  for (const NamedBuffer& named : named_buffers(model)) {
    add(named.buffer->value(), named.name, "buffer ");
  }
  return names;
}

}  // namespace warptape::profiling
