#include "core/deferred.h"

#include <utility>

#include "core/allocation_hooks.h"

namespace warptape {
namespace {

thread_local int scopes = 0;

// Tensors that begin there in their storages, as the promised one does (allocation_hooks.h).
class FirstElement {
 public:
  explicit FirstElement(int64_t at) : before_(std::exchange(allocation_hooks::first_element, at)) {}
  ~FirstElement() { allocation_hooks::first_element = before_; }
  FirstElement(const FirstElement&) = delete;
  FirstElement& operator=(const FirstElement&) = delete;

 private:
  int64_t before_;
};

}  // namespace

Tensor Deferred::followed_by(const char*) {
  return {};
}

Tensor Deferred::dropped(double, const RandomStream&) {
  return {};
}

Tensor Deferred::plus(const Operand&) {
  return {};
}

Tensor Deferred::in_format(MemoryFormat) {
  return {};
}

std::shared_ptr<Deferred> Deferred::waiting(const Operand& x) {
  return x.defined() && x.is_sole_owner() ? work_of(x) : nullptr;
}

std::shared_ptr<Deferred> Deferred::work_of(const Operand& x) {
  if (!x.defined()) {
    return nullptr;
  }
  const std::shared_ptr<Deferred> work = x.storage_->work();
  // A view of the result, or a constant made of it, is another tensor.
  const bool is_result =
      work != nullptr && x.shape_ == work->promised_.shape_ &&
      x.format_ == work->promised_.format_ && x.offset_ == work->promised_.offset_ &&
      x.tape_handle().tape == work->handle_.tape && x.tape_handle().slot == work->handle_.slot;
  return is_result ? work : nullptr;
}

Tensor Deferred::begin(const std::shared_ptr<Deferred>& work, const Promise& promise) {
  // Of no elements nobody asks for the data.
  if (scopes == 0 || promise.shape.numel() == 0) {
    Tensor y = work->compute();
    work->computed(y);
    return y;
  }
  Tensor& promised = work->promised_;
  promised.shape_ = promise.shape;
  promised.dtype_ = promise.dtype;
  promised.format_ = normalized(promise.format, promise.shape.rank());
  promised.offset_ = promise.dtype == uint8 ? 0 : allocation_hooks::first_element;
  Tensor y = promised;
  const int64_t bytes = (promise.shape.numel() + y.offset_) * size_of(promise.dtype);
  y.storage_ = Storage::wait_for(work, static_cast<size_t>(bytes), promise.device);
  return y;
}

std::shared_ptr<Storage> Deferred::run(const std::shared_ptr<Storage>& self) {
  const FirstElement as_promised(promised_.offset_);
  const profile::LayerScope layer(layer_);
  const Tensor made = compute();
  Tensor y = promised_;
  y.storage_ = self;
  computed(y);
  return made.storage_;
}

Operand in_format_if_waiting(const Operand& x, MemoryFormat format) {
  if (!x.defined() || x.memory_format() == format) {
    return x;
  }
  Tensor y = Deferred::changed(x, [&](Deferred& work) { return work.in_format(format); });
  return y.defined() ? Operand(std::move(y), x.site().file, x.site().line) : x;
}

PromptScope::PromptScope() : scopes_before_(std::exchange(scopes, 0)) {}

PromptScope::~PromptScope() {
  scopes = scopes_before_;
}

DeferralScope::DeferralScope() {
  ++scopes;
}

DeferralScope::~DeferralScope() {
  try {
    finish();
  } catch (...) {  // whoever asks for the elements meets it again
  }
  --scopes;
}

bool DeferralScope::is_outermost() const {
  return scopes == 1;
}

void DeferralScope::finish() {
  if (is_outermost()) {
    Storage::compute_waiting();
  }
}

}  // namespace warptape
