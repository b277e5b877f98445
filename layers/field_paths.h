#pragma once
// Where a visitor is below the module that it began at: paths of fields, each of them once.

#include <string>
#include <unordered_set>
#include <utility>

#include "layers/module.h"

namespace warptape {

class FieldPaths {
 public:
  explicit FieldPaths(const Module& root) : root_(root) {}

  // Calls below() with the fields of the sub-module `name` to come.
  template <class Below>
  void descend(const std::string& name, const Below& below) {
    const std::string outer = std::exchange(prefix_, prefix_ + name + ".");
    below();
    prefix_ = outer;
  }

  // "fc1.weight". ValueError for one that was there: fields "a.b" and "a" with a field "b" meet
  // here, or "w_g" and a weight-normalised "w".
  std::string add(const std::string& name);

 private:
  const Module& root_;
  std::string prefix_;
  std::unordered_set<std::string> paths_;
};

}  // namespace warptape
