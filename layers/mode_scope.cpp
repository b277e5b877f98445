#include "layers/mode_scope.h"

namespace warptape {

ModeScope::~ModeScope() {
  for (const auto& [module, mode] : modes_) {  // outer ones first: train() reaches all below
    module->train(mode);
  }
}

void ModeScope::remember(Module& module) {
  struct Visit : Visitor {
    explicit Visit(ModeScope& scope) : scope(scope) {}
    void on_module(const std::string&, Module& child) override { scope.remember(child); }
    // It lives during the visit alone, and has no mode of its own.
    void on_list(const std::string&, Module& list) override { list.fields(*this); }
    ModeScope& scope;
  } visit(*this);
  modes_.emplace_back(&module, module.is_training());
  module.fields(visit);
}

}  // namespace warptape
