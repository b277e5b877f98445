#include "kernels/matrix/plan_notes.h"

#include <algorithm>

namespace warptape {

thread_local PlanNotes* PlanNotes::innermost_ = nullptr;

PlanNotes::PlanNotes(Launches launches) : outer_(innermost_), launches_(launches) {
  innermost_ = this;
}

PlanNotes::~PlanNotes() {
  innermost_ = outer_;
}

bool PlanNotes::note(const char* name, const std::string& plan) {
  const std::string line = std::string(name) + ": " + plan;
  if (std::find(plans_.begin(), plans_.end(), line) == plans_.end()) {
    plans_.push_back(line);
  }
  return launches_ == Launches::Skip;
}

}  // namespace warptape
