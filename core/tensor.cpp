#include "core/tensor.h"

#include "core/allocation_hooks.h"
#include "core/check.h"
#include "core/primitives.h"

namespace warptape {

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device, MemoryFormat format) {
  // Sizes come from files and options too: refuse what cannot be counted before allocating it.
  const int64_t count = shape.numel();
  check<ShapeError>(shape.is_countable(size_of(dtype)),
                    "[Tensor] shape {} of {}: the size in bytes overflows 64 bits", shape,
                    to_string(dtype));
  Tensor result;
  result.offset_ = dtype == uint8 ? 0 : allocation_hooks::first_element;
  const int64_t all_bytes = (count + result.offset_) * size_of(dtype);
  result.storage_ = Storage::allocate(static_cast<size_t>(all_bytes), device);
  result.shape_ = shape;
  result.dtype_ = dtype;
  result.format_ = normalized(format, shape.rank());
  return result;
}

Tensor Tensor::empty_like(const Tensor& other) {
  return empty(other.shape(), other.dtype(), other.device(), other.memory_format());
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  primitives::fill(result, value);
  return result;
}

Tensor Tensor::from_host(const void* values, int64_t count, DType dtype, const Shape& shape,
                         Device device) {
  check<ShapeError>(count == shape.numel(), "[tensor] values: got {}, wanted {} for shape {}",
                    count, shape.numel(), shape);
  Tensor result = empty(shape, dtype, device);
  backend(device).copy_from_host(result.mutable_raw_data(), values,
                                 static_cast<size_t>(result.bytes()));
  return result;
}

void Tensor::to_host(void* values, DType dtype) const {
  checked_data(dtype);
  if (format_ != MemoryFormat::RowMajor) {
    primitives::relayout(to(cpu), MemoryFormat::RowMajor).to_host(values, dtype);
    return;
  }
  backend(device()).copy_to_host(values, raw_data(), static_cast<size_t>(bytes()));
}

void Tensor::refuse_undefined(const char* asked, const Site& site) {
  throw Error(
      fmt::format("[{}] of an undefined tensor: it was never given elements{}", asked, at(site)));
}

double Tensor::item(const Site& site) const {
  if (!defined()) {
    refuse_undefined("item", site);
  }
  check<ShapeError>(numel() == 1, site,
                    "[item] elements: got a tensor of shape {}, wanted one element", shape_);
  return dispatch_all(dtype_, [&]<class T>() { return static_cast<double>(to_vector<T>()[0]); });
}

const void* Tensor::checked_data(DType wanted) const {
  known("data");
  check<DTypeError>(wanted == dtype_, "[Tensor] data: asked for {}, the tensor holds {}",
                    to_string(wanted), to_string(dtype_));
  return raw_data();
}

const void* Tensor::raw_data() const {
  return static_cast<const char*>(known("data").storage_->data()) + offset_ * size_of(dtype_);
}

void* Tensor::mutable_raw_data() {
  bump_version();
  return const_cast<void*>(raw_data());
}

void Tensor::bump_version() const {
  if (storage_) {
    Storage::compute_waiting();  // it may read this tensor
    storage_->bump_version();
  }
}

void Tensor::set_tape_handle(TapeHandle handle) {
  tape_handle_ = handle;
  cut_ = {};
}

void Tensor::set_parameter_id(uint64_t id) {
  parameter_id_ = id;
  tape_handle_ = {};
  cut_ = {};
}

void Tensor::cut_from(const Tensor& from, const char* by, bool meant) {
  const bool had_gradient = from.tape_handle_.tape != 0 || from.parameter_id_ != 0;
  cut_ = had_gradient ? Cut{by, meant, from.tape_handle_.tape} : from.cut_;
  tape_handle_ = {};
  parameter_id_ = 0;
}

Tensor Tensor::detach() const {
  Tensor result = *this;
  result.cut_from(*this, "detach()", true);
  return result;
}

Tensor Tensor::constant() const {
  Tensor result = *this;
  result.tape_handle_ = {};
  result.parameter_id_ = 0;
  result.cut_ = {};
  return result;
}

Tensor Tensor::read_as(const Shape& shape, MemoryFormat format) const {
  Tensor result = constant();
  result.shape_ = shape;
  result.format_ = normalized(format, shape.rank());
  return result;
}

}  // namespace warptape
