#include "core/tensor.h"

#include "core/offset_allocations.h"
#include "core/primitives.h"

namespace warptape {
namespace {

thread_local bool offset_allocations = false;

}  // namespace

OffsetAllocations::OffsetAllocations(bool on) : before_(offset_allocations) {
  offset_allocations = on;
}

OffsetAllocations::~OffsetAllocations() {
  offset_allocations = before_;
}

bool OffsetAllocations::are_on() {
  return offset_allocations;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device, MemoryFormat format) {
  // Sizes come from files and options too: refuse what cannot be counted before allocating it.
  int64_t bytes = size_of(dtype);
  for (int64_t size : shape) {
    check<ShapeError>(!__builtin_mul_overflow(bytes, size, &bytes),
                      "[Tensor] shape {}: the size in bytes overflows 64 bits", shape);
  }
  Tensor result;
  result.offset_ = OffsetAllocations::are_on() && dtype != uint8 ? 1 : 0;
  const int64_t all_bytes = bytes + result.offset_ * size_of(dtype);
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

Device Tensor::device() const {
  return storage_ ? storage_->device() : cpu;
}

double Tensor::item(const Site& site) const {
  check<ShapeError>(defined() && numel() == 1, site,
                    "[item] elements: got a tensor of shape {}, wanted one element", shape_);
  return dispatch_all(dtype_, [&]<class T>() { return static_cast<double>(to_vector<T>()[0]); });
}

const void* Tensor::checked_data(DType wanted) const {
  check<Error>(defined(), "[Tensor] data of an undefined tensor");
  check<DTypeError>(wanted == dtype_, "[Tensor] data: asked for {}, the tensor holds {}",
                    to_string(wanted), to_string(dtype_));
  return raw_data();
}

const void* Tensor::raw_data() const {
  return static_cast<const char*>(storage_->data()) + offset_ * size_of(dtype_);
}

void* Tensor::mutable_raw_data() {
  bump_version();
  return const_cast<void*>(raw_data());
}

void Tensor::bump_version() const {
  if (storage_) {
    storage_->bump_version();
  }
}

Tensor Tensor::detach() const {
  Tensor result = *this;
  result.tape_handle_ = {};
  return result;
}

Tensor Tensor::clone() const {
  Tensor result = empty_like(*this);
  primitives::copy(*this, result);
  return result;
}

Tensor Tensor::to(Device device) const {
  check<Error>(defined(), "[to] of an undefined tensor");
  if (device == this->device()) {
    return detach();
  }
  Tensor result = empty(shape_, dtype_, device, format_);
  const auto count = static_cast<size_t>(bytes());
  if (device == cpu) {
    backend(this->device()).copy_to_host(result.mutable_raw_data(), raw_data(), count);
  } else {
    backend(device).copy_from_host(result.mutable_raw_data(), raw_data(), count);
  }
  return result;
}

Tensor Tensor::view(const Shape& shape) const {
  check<ShapeError>(shape.numel() == numel(), "[view] elements: got shape {}, wanted {} as in {}",
                    shape, numel(), shape_);
  check<ShapeError>(format_ == MemoryFormat::RowMajor,
                    "[view] memory format: got {}, wanted row_major", to_string(format_));
  Tensor result = detach();
  result.shape_ = shape;
  return result;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  check<ShapeError>(rank() > 0 && 0 <= begin && begin <= end && end <= shape_[0],
                    "[slice] range: got [{}, {}), wanted a part of dimension 0 of {}", begin, end,
                    shape_);
  Tensor result = detach();
  result.offset_ += begin * strides()[0];
  result.shape_[0] = end - begin;
  return result;
}

}  // namespace warptape
