#pragma once
// Tensor: a value, a cheap handle on dense storage plus an offset, with shape, dtype, device and
// memory format. Copying a Tensor shares the storage; clone() copies the elements.

#include <iosfwd>
#include <memory>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/storage.h"

namespace warptape {

// Where a tape knows a tensor: slot `slot` of the tape with this id. Tape ids start at 1 and are
// never used twice; id 0 is a constant.
struct TapeHandle {
  uint64_t tape = 0;
  int32_t slot = -1;
};

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage, defined() is false

  // Uninitialised elements.
  static Tensor empty(const Shape& shape, DType dtype = float32, Device device = cpu,
                      MemoryFormat format = MemoryFormat::RowMajor);
  static Tensor empty_like(const Tensor& other);  // shape, dtype, device and format
  static Tensor full(const Shape& shape, double value, DType dtype = float32, Device device = cpu);
  static Tensor zeros(const Shape& shape, DType dtype = float32, Device device = cpu) {
    return full(shape, 0, dtype, device);
  }
  static Tensor ones(const Shape& shape, DType dtype = float32, Device device = cpu) {
    return full(shape, 1, dtype, device);
  }

  // Elements in logical (row-major) order; the dtype is T's. Throws ShapeError if the count
  // differs.
  template <class T>
  static Tensor from_vector(const std::vector<T>& values, const Shape& shape, Device device = cpu) {
    return from_host(values.data(), static_cast<int64_t>(values.size()), dtype_of<T>(), shape,
                     device);
  }
  // Elements in logical (row-major) order, whatever the memory format. T must match the dtype.
  template <class T>
  std::vector<T> to_vector() const {
    std::vector<T> values(static_cast<size_t>(numel()));
    to_host(values.data(), dtype_of<T>());
    return values;
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t size(int dim) const { return shape_[dim < 0 ? dim + rank() : dim]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const;
  MemoryFormat memory_format() const { return format_; }
  Strides strides() const { return strides_of(shape_, format_); }
  int64_t bytes() const { return numel() * size_of(dtype_); }

  // The element of a one-element tensor, as double (ShapeError otherwise).
  double item(const Site& site = Site::here()) const;

  // Elements in memory order. T must match the dtype. mutable_data() bumps the version: whoever
  // saved this tensor for a backward pass will refuse to use it.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(checked_data(dtype_of<T>()));
  }
  template <class T>
  T* mutable_data() {
    bump_version();
    return static_cast<T*>(const_cast<void*>(checked_data(dtype_of<T>())));
  }
  const void* raw_data() const;
  void* mutable_raw_data();

  // Writes to the storage so far, by this tensor or any view of it.
  uint64_t version() const { return storage_ ? storage_->version() : 0; }
  void bump_version() const;

  Tensor detach() const;  // the same elements, a constant to every tape
  Tensor clone() const;   // new storage, same format; not recorded
  // The same elements on another device, in the same format; shares the storage if the device is
  // the same. Not recorded.
  Tensor to(Device device) const;
  Tensor view(const Shape& shape) const;           // zero-copy, row-major only; not recorded
  Tensor slice(int64_t begin, int64_t end) const;  // zero-copy part of dimension 0; not recorded

  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }
  // True if no other tensor holds the storage.
  bool is_sole_owner() const { return storage_.use_count() == 1; }

  const TapeHandle& tape_handle() const { return tape_handle_; }
  void set_tape_handle(TapeHandle handle) { tape_handle_ = handle; }

 private:
  static Tensor from_host(const void* values, int64_t count, DType dtype, const Shape& shape,
                          Device device);
  void to_host(void* values, DType dtype) const;
  const void* checked_data(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // in elements
  Shape shape_;
  DType dtype_ = float32;
  MemoryFormat format_ = MemoryFormat::RowMajor;
  TapeHandle tape_handle_;
};

// A row-major tensor from its elements: tensor<float>({1, 2, 3, 4}, {2, 2}).
template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape, Device device = cpu) {
  return Tensor::from_vector<T>(values, shape, device);
}

// Prints shape and elements as PyTorch does; long dimensions are cut to their first and last three.
std::string to_string(const Tensor& tensor);
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace warptape
