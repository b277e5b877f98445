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
  bool watched = false;  // a leaf, rather than what an op gave
};

// What made a constant of a tensor that had a gradient to pass on.
struct Cut {
  const char* by = nullptr;  // "detach()"
  bool meant = false;        // otherwise backward refuses what an op made of the tensor
  uint64_t tape = 0;         // from which it cut; 0: from a parameter
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
  // Elements in logical (row-major) order, whatever the memory format and device. T must match the
  // dtype.
  template <class T>
  std::vector<T> to_vector() const {
    std::vector<T> values(static_cast<size_t>(numel()));
    to_host(values.data(), dtype_of<T>());
    return values;
  }

  // All of these, and everything below but detach(), throw Error if the tensor is undefined.
  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return known("shape").shape_; }
  int rank() const { return known("rank").shape_.rank(); }
  // dim counts from the end when negative; ShapeError outside [-rank, rank).
  int64_t size(int dim) const { return known("size").shape_[dim]; }
  int64_t numel() const { return known("numel").shape_.numel(); }
  DType dtype() const { return known("dtype").dtype_; }
  Device device() const { return known("device").storage_->device(); }
  MemoryFormat memory_format() const { return known("memory_format").format_; }
  CheckedStrides strides() const { return {known("strides").shape_, format_}; }
  int64_t stride(int dim) const { return strides()[dim]; }
  int64_t bytes() const { return known("bytes").shape_.numel() * size_of(dtype_); }

  // The element of a one-element tensor, as double (ShapeError otherwise).
  double item(const Site& site = Site::here()) const;

  // Elements in memory order, on the tensor's device. T must match the dtype. mutable_data() bumps
  // the version: whoever saved this tensor for a backward pass will refuse to use it.
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

  // Recorded, as ops are, where this tensor is on the innermost tape or is a parameter's value.
  Tensor clone(const Site& site = Site::here()) const;  // new storage, same format
  // The same elements on another device, as another dtype (C++ conversion), in another format; this
  // tensor itself where nothing changes. What becomes integers is a constant.
  Tensor to(Device device, const Site& site = Site::here()) const;
  Tensor to(DType dtype, const Site& site = Site::here()) const;
  Tensor to(MemoryFormat format, const Site& site = Site::here()) const;
  // Zero-copy, in its format: another shape; of channels-last it begins with (N, C) as well.
  Tensor view(const Shape& shape, const Site& site = Site::here()) const;
  // Zero-copy: the elements begin, ..., end - 1 of dimension 0.
  Tensor slice(int64_t begin, int64_t end, const Site& site = Site::here()) const;

  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }
  // True if no other tensor holds the storage.
  bool is_sole_owner() const { return storage_.use_count() == 1; }

  // What follows is for tapes, parameters and primitives.
  const TapeHandle& tape_handle() const { return tape_handle_; }
  void set_tape_handle(TapeHandle handle);
  // The parameter whose value this tensor is (ParameterState::id), or 0.
  uint64_t parameter_id() const { return parameter_id_; }
  void set_parameter_id(uint64_t id);
  const Cut& cut() const { return cut_; }
  // For functions that are not recorded: makes this result of theirs a constant that remembers what
  // `from` had.
  void cut_from(const Tensor& from, const char* by, bool meant = false);
  // The same elements of memory, read in another way: a constant. The caller knows that they lie
  // as this shape and format say.
  Tensor read_as(const Shape& shape, MemoryFormat format) const;

 private:
  friend class Deferred;
  static Tensor from_host(const void* values, int64_t count, DType dtype, const Shape& shape,
                          Device device);
  void to_host(void* values, DType dtype) const;
  const void* checked_data(DType wanted) const;
  const Tensor& known(const char* asked) const {
    if (!defined()) [[unlikely]] {
      refuse_undefined(asked, {});
    }
    return *this;
  }
  [[noreturn]] static void refuse_undefined(const char* asked, const Site& site);
  Tensor constant() const;  // the same elements, on no tape and of no parameter

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // in elements
  Shape shape_;
  DType dtype_ = float32;
  MemoryFormat format_ = MemoryFormat::RowMajor;
  TapeHandle tape_handle_;
  uint64_t parameter_id_ = 0;
  Cut cut_;
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
