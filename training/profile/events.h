#pragma once
// The ranges of a recording, joined: which lie in which, in which step, how long by themselves.

#include <unordered_map>

#include "training/profile/step_profile.h"

namespace warptape::profiling {

class Events {
 public:
  // The last captured.steps ranges "step" count, or all where there are fewer.
  explicit Events(const Captured& captured);

  const profile::Event* find(uint64_t id) const;  // null: no such range
  // Of the steps that count, in their order; those within these.
  const std::vector<const profile::Event*>& of_steps() const { return of_steps_; }
  const std::vector<const profile::Event*>& steps() const { return steps_; }
  int64_t step_of(const profile::Event& event) const;  // -1: in none that counts
  bool is_of_steps(const profile::Event& event) const { return step_of(event) >= 0; }
  int64_t self_ns(const profile::Event& event) const;
  // From the end of one step to the end of the next; of the first, its own time.
  std::vector<double> step_times_ms() const;

  // The path of its layer; "(optimizer)" and the like where it is in none of the model.
  std::string layer_of(const profile::Event& event) const;
  std::string layer_at(const void* layer) const;
  static std::string op_of(const profile::Event& event);  // its name without " backward"

 private:
  const Captured& captured_;
  std::unordered_map<uint64_t, const profile::Event*> by_id_;
  std::unordered_map<uint64_t, int64_t> inside_ns_;  // time of the ranges directly inside
  std::unordered_map<uint64_t, int64_t> step_of_;
  std::vector<const profile::Event*> steps_;
  std::vector<const profile::Event*> of_steps_;
};

Memory look_at_memory(const Captured& captured, const Events& events);

}  // namespace warptape::profiling
