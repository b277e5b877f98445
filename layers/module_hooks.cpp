#include "layers/module_hooks.h"

#include "core/check.h"

namespace warptape {

std::shared_ptr<ForwardHooks> copy_of(const std::shared_ptr<ForwardHooks>& hooks) {
  return hooks == nullptr ? nullptr : std::make_shared<ForwardHooks>(*hooks);
}

void HookHandle::remove() {
  if (const auto hooks = hooks_.lock()) {
    const auto has_id = [&](const auto& hook) { return hook.first == id_; };
    std::erase_if(hooks->before, has_id);
    std::erase_if(hooks->after, has_id);
  }
  hooks_.reset();
}

const std::shared_ptr<ForwardHooks>& Module::own_hooks() {
  if (hooks_ == nullptr) {
    hooks_ = std::make_shared<ForwardHooks>();
  }
  return hooks_;
}

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook) {
  const auto& hooks = own_hooks();
  hooks->before.emplace_back(++hooks->last_id, std::move(hook));
  return {hooks, hooks->last_id};
}

HookHandle Module::register_forward_hook(ForwardHook hook) {
  const auto& hooks = own_hooks();
  hooks->after.emplace_back(++hooks->last_id, std::move(hook));
  return {hooks, hooks->last_id};
}

bool Module::has_any_hook() const {
  return !hooks_->before.empty() || !hooks_->after.empty();
}

bool Module::has_output_hooks() const {
  return hooks_ != nullptr && !hooks_->after.empty();
}

void Module::run_pre_hooks(std::vector<Operand>& inputs) {
  const size_t count = inputs.size();
  const auto before = hooks_->before;  // a hook may remove hooks
  for (const auto& [id, hook] : before) {
    hook(*this, inputs);
    check<ValueError>(inputs.size() == count, "[{}] a pre-hook left {} inputs, wanted {}",
                      type_name(), inputs.size(), count);
  }
}

void Module::run_hooks(const std::vector<Operand>& inputs, Tensor& output) {
  const auto after = hooks_->after;
  for (const auto& [id, hook] : after) {
    hook(*this, inputs, output);
  }
}

}  // namespace warptape
