#pragma once
// Buffer: a tensor of a module that is not trained, such as a running mean. It has no gradient, and
// goes where the module's parameters go: into state dicts, copies and to other devices. Copying a
// Buffer copies the elements; assigning one copies them into the tensor that is there.

#include "core/members.h"
#include "core/tensor.h"

namespace warptape {

struct BufferOptions {
  bool persistent = true;  // part of state dicts
};

class Buffer : public Member<MemberKind::Buffer> {
 public:
  Buffer() = default;
  // Shares the storage, as a constant.
  explicit Buffer(const Tensor& value, BufferOptions options = {});
  Buffer(const Buffer& other);
  // Copies other's elements; where they do not fit (another shape or dtype, or one of both is
  // undefined) it becomes a copy of other.
  Buffer& operator=(const Buffer& other);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;
  ~Buffer() = default;

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  bool is_persistent() const { return options_.persistent; }

  // Copies the elements in, from any device, cast to the buffer's dtype; ShapeError if the shape
  // differs. A backward pass that has kept the old value refuses to run then.
  void assign(const Tensor& value, const Site& site = Site::here());
  // Takes another tensor for the value, sharing its storage, as a constant.
  void set_value(const Tensor& value) { value_ = value.detach(); }

 private:
  Tensor value_;
  BufferOptions options_;
};

}  // namespace warptape
