#pragma once
// A result that waits for the next op. A model is written plainly, pool(relu(conv(x))), yet runs as
// few kernels as one that names fused ops: inside a module's call an op may put its kernels off for
// as long as nothing else happens, so that the op that takes its result can do both at once.
//
//   Tensor y = relu(x);    y has a shape, a dtype and a place on the tape, and no elements yet
//   pool(std::move(y))     the pooling is the only holder of y: it reads x and applies ReLU itself
//
// At most one result of a thread waits. Its kernels run, in the order in which the ops were called,
// as soon as anything else may see or change something: before anything is allocated, which every
// op does for its own result, before a tensor is written to, when its elements are asked for, and
// when the outermost call of a module returns. So nothing that it reads can have changed.
//
// Only the holder of the last handle takes a result over. Who keeps one (a variable, a hook, a list
// of activations) may ask for its elements or its gradient: then there is one, and nothing is
// fused.
//
// The record on the tape is made when the op is called. That of a result which was taken over gets
// no gradient, as nobody has the tensor.

#include <memory>
#include <utility>

#include "core/operand.h"
#include "core/philox.h"
#include "core/profile.h"

namespace warptape {

// An op that was called and has not run.
class Deferred {
 public:
  virtual ~Deferred() = default;

  // The result: runs the kernels. Of the shape, dtype and format that were promised.
  virtual Tensor compute() = 0;
  // The layer that called the op, for profiles; it may run in the call of another.
  const void* layer() const { return layer_; }
  // Told of the result as its holders see it, for what backward keeps.
  virtual void computed(const Tensor&) {}

  // The same op, called anew with another one behind it ("relu"), or with its result in another
  // memory format. Undefined: it has no such form.
  virtual Tensor followed_by(const char* op);
  // With dropout() by this stream behind it, and with a sum with `other`, of the same shape, dtype
  // and device.
  virtual Tensor dropped(double p, const RandomStream& stream);
  virtual Tensor plus(const Operand& other);
  virtual Tensor in_format(MemoryFormat format);

  // Whether the op behind may hold the result as it is, not computed, for the one behind that: ReLU
  // holds a convolution's for a pooling.
  virtual bool can_wait_longer() const { return false; }

  // The work of x if it is of this kind and has not run. It stays x's, which may have other
  // holders.
  template <class Work>
  static std::shared_ptr<Work> of(const Operand& x) {
    return std::dynamic_pointer_cast<Work>(work_of(x));
  }
  // The work of x if x waits, nobody else holds it, and it is of this kind and `suits`; else null.
  // It is taken over: x itself is computed only if somebody asks for its elements after all.
  template <class Work, class Suits>
  static std::shared_ptr<Work> take(const Operand& x, const Suits& suits) {
    auto work = std::dynamic_pointer_cast<Work>(waiting(x));
    if (work == nullptr || !suits(*work)) {
      return nullptr;
    }
    Storage::take_waiting();
    return work;
  }
  // What `change` makes of the work of x, as take() would give it: followed_by and its like.
  // Undefined, and x waits as before, where there is no such work or form.
  template <class Change>
  static Tensor changed(const Operand& x, const Change& change) {
    const auto work = waiting(x);
    if (work == nullptr) {
      return {};
    }
    auto storage = Storage::take_waiting();
    const profile::LayerScope as_called(work->layer());  // a longer op is still that layer's
    Tensor y = change(*work);
    if (!y.defined()) {
      Storage::set_waiting(std::move(storage));
    }
    return y;
  }

  // An op's result, like `promise` without elements. `record`, which puts it on the tape, may be
  // called before the work has run. Outside of a module's call it runs at once.
  struct Promise {
    Shape shape;
    DType dtype;
    Device device;
    MemoryFormat format;
  };
  template <class Record>
  static Tensor result(const std::shared_ptr<Deferred>& work, const Promise& promise,
                       Record&& record) {
    Tensor y = begin(work, promise);
    record(y);
    work->handle_ = y.tape_handle();
    return y;
  }

 private:
  friend class Storage;
  static std::shared_ptr<Deferred> work_of(const Operand& x);
  static std::shared_ptr<Deferred> waiting(const Operand& x);
  static Tensor begin(const std::shared_ptr<Deferred>& work, const Promise& promise);
  std::shared_ptr<Storage> run(const std::shared_ptr<Storage>& self);

  const void* const layer_ = profile::current_layer;
  Tensor promised_;  // without storage
  TapeHandle handle_;
};

// x with its elements in this format, where the op that x waits for can write them so; else x.
Operand in_format_if_waiting(const Operand& x, MemoryFormat format);

// While one lives on this thread, results may wait. A module's call is one.
class DeferralScope {
 public:
  DeferralScope();
  ~DeferralScope();  // computes what waits if this is the outermost one; errors are kept by it
  DeferralScope(const DeferralScope&) = delete;
  DeferralScope& operator=(const DeferralScope&) = delete;

  bool is_outermost() const;
  void finish();  // the same, before a result is handed out: raises what goes wrong
};

// While one lives on this thread, results do not wait, also within a module's call: ops run as they
// are called, and none is fused.
class PromptScope {
 public:
  PromptScope();
  ~PromptScope();
  PromptScope(const PromptScope&) = delete;
  PromptScope& operator=(const PromptScope&) = delete;

 private:
  int scopes_before_;
};

}  // namespace warptape
