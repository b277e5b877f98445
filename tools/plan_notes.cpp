#include "tools/plan_notes.h"

#include <algorithm>

namespace warptape {

PlanNotes::PlanNotes(Launches launches) : outer_(current()), launches_(launches) {
  current() = this;
}

PlanNotes::~PlanNotes() {
  current() = outer_;
}

bool PlanNotes::hear(const char* name, const std::string& plan) {
  const std::string line = std::string(name) + ": " + plan;
  if (std::find(plans_.begin(), plans_.end(), line) == plans_.end()) {
    plans_.push_back(line);
  }
  return launches_ == Launches::Skip;
}

}  // namespace warptape
