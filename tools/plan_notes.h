#pragma once
// The plans of what is queued: tests hold them to a table, `warptape kernel` and `warptape bench
// kernels` print them.

#include <string>
#include <vector>

#include "kernels/matrix/plan_listener.h"

namespace warptape {

// Takes note of the plans that this thread launches while the object lives; the innermost listens.
class PlanNotes final : public PlanListener {
 public:
  // Skip: nothing whose plan is noted is launched, so that sizes which an emulation could not
  // compute can be planned all the same.
  enum class Launches { Run, Skip };
  explicit PlanNotes(Launches launches = Launches::Run);
  ~PlanNotes();
  PlanNotes(const PlanNotes&) = delete;
  PlanNotes& operator=(const PlanNotes&) = delete;

  // "conv2d: packs of 4, ..."; the same plan again is not noted again.
  const std::vector<std::string>& plans() const { return plans_; }

 private:
  bool hear(const char* name, const std::string& plan) override;

  PlanListener* const outer_;
  const Launches launches_;
  std::vector<std::string> plans_;
};

}  // namespace warptape
