#pragma once
// How work is spread over the GPU is said while it is queued, for whoever listens: nobody, but for
// tests and the commands that print plans (tools/plan_notes.h).

#include <string>

namespace warptape {

namespace matrix {
struct Plan;
struct ProductSize;
}  // namespace matrix

class PlanListener {
 public:
  // Of this thread; null: nobody listens.
  static PlanListener*& current() {
    static thread_local PlanListener* listener = nullptr;
    return listener;
  }
  // True if the launch is to be skipped.
  virtual bool hear(const char* name, const std::string& plan) = 0;
  // Of products of the matrix core, right before that: what is multiplied.
  virtual void hear_product(const matrix::ProductSize&, const matrix::Plan&) {}

 protected:
  ~PlanListener() = default;
};

// For who launches `name`, with the plan that describe() returns as text. True if the launch is to
// be skipped.
template <class Describe>
bool tell_plan(const char* name, const Describe& describe) {
  PlanListener* const listener = PlanListener::current();
  return listener != nullptr && listener->hear(name, describe());
}

}  // namespace warptape
