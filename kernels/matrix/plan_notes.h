#pragma once
// Who wants to know how work is spread over the GPU listens while it is queued: tests hold the
// plans to a table, `warptape kernel` and `warptape bench kernels` print them.

#include <string>
#include <vector>

namespace warptape {

// Takes note of the plans that this thread launches while the object lives; the innermost listens.
class PlanNotes {
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

  // For who launches `name`: notes the plan that describe() returns as text, if somebody listens.
  // True if the launch is to be skipped.
  template <class Describe>
  static bool take(const char* name, const Describe& describe) {
    return innermost_ != nullptr && innermost_->note(name, describe());
  }

 private:
  bool note(const char* name, const std::string& plan);

  static thread_local PlanNotes* innermost_;
  PlanNotes* const outer_;
  const Launches launches_;
  std::vector<std::string> plans_;
};

}  // namespace warptape
