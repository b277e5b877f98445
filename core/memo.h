#pragma once
// What a pure function gave, by its argument: for plans and choices that every step asks for anew.

#include <cstddef>
#include <map>
#include <utility>

namespace warptape {

// Of one thread: declare it thread_local. Sizes may differ from batch to batch without end: what is
// full begins anew.
template <class Argument, class Result>
class Memo {
 public:
  // What compute() gave for this argument, now or before.
  template <class Compute>
  const Result& of(const Argument& argument, const Compute& compute) {
    const auto found = results_.find(argument);
    if (found != results_.end()) {
      return found->second;
    }
    Result result = compute();
    if (results_.size() == most) {
      results_.clear();
    }
    return results_.emplace(argument, std::move(result)).first->second;
  }

 private:
  static constexpr size_t most = 512;
  std::map<Argument, Result> results_;
};

}  // namespace warptape
