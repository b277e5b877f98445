#include "training/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <vector>

#include "core/check.h"
#include "training/file.h"
#include "training/half.h"
#include "training/npy_header.h"

namespace warptape {
namespace {

// Elements are copied between file and memory as they are, or with their bytes reversed.
static_assert(std::endian::native == std::endian::little);

// How the elements of a file become ours.
struct Elements {
  int64_t size = 0;  // bytes per element in the file
  bool reversed = false;
  bool is_bool = false;
  DType dtype = float32;
};

Elements elements_of(const InputFile& file, const std::string& descr, const NpyOptions& options) {
  const std::string kind = descr.empty() ? "" : descr.substr(1);
  const bool big = descr.starts_with('>');
  const bool ordered = big || descr.starts_with('<');
  if (ordered && (kind == "f4" || kind == "f8")) {
    return {kind == "f4" ? 4 : 8, big, false, kind == "f4" ? float32 : float64};
  }
  if (ordered && kind == "f2") {
    return {2, big, false, float32};
  }
  if (ordered && (kind == "i4" || kind == "i8")) {
    return {kind == "i4" ? 4 : 8, big, false, int64};
  }
  if ((ordered || descr.starts_with('|')) && (kind == "u1" || kind == "b1")) {
    return {1, false, kind == "b1", uint8};
  }
  if (ordered && kind == "u2" && options.u2_is_bfloat16) {
    return {2, big, false, bfloat16};
  }
  file.fail(fmt::format("dtype: got '{}'{}, wanted f2, f4, f8, i4, i8, u1 or b1 with < or > or |",
                        excerpt(descr), kind.starts_with('O') ? " (Python objects)" : ""));
}

// Throws unless the data of the file is exactly what dtype and shape take. Sizes of 0 are left out
// of the overflow check on purpose: the strides of (0, 2^40, 2^40) could not be counted either.
int64_t check_size(const InputFile& file, const NpyHeader& header, int64_t element_size) {
  constexpr int64_t largest_element = 8;
  int64_t checked = largest_element;
  int64_t count = 1;
  for (const int64_t extent : header.shape) {
    file.require(!__builtin_mul_overflow(checked, std::max<int64_t>(extent, 1), &checked),
                 "shape ({}): its size in bytes overflows 64 bits", fmt::join(header.shape, ", "));
    count *= extent;
  }
  const uint64_t data = file.size() - header.data_start;
  const auto wanted = static_cast<uint64_t>(count * element_size);
  file.require(data == wanted, "data: got {} bytes, wanted {} for dtype '{}' and shape ({})", data,
               wanted, header.descr, fmt::join(header.shape, ", "));
  return count;
}

void reverse_elements(uint8_t* bytes, int64_t count, int64_t size) {
  for (int64_t i = 0; i < count; ++i) {
    std::reverse(bytes + i * size, bytes + (i + 1) * size);
  }
}

// Elements of a Fortran-order file, whose first dimension runs fastest, in row-major order.
template <class T>
void from_fortran_order(const T* from, const Shape& shape, T* to) {
  Strides stride{};
  int64_t count = 1;
  for (int dim = 0; dim < shape.rank(); ++dim) {
    stride[static_cast<size_t>(dim)] = count;
    count *= shape[dim];
  }
  std::array<int64_t, Shape::max_rank> index{};
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[offset];
    for (int dim = shape.rank() - 1; dim >= 0; --dim) {
      const auto at = static_cast<size_t>(dim);
      offset += stride[at];
      if (++index[at] < shape[dim]) {
        break;
      }
      offset -= stride[at] * shape[dim];
      index[at] = 0;
    }
  }
}

// The element at `bytes`, which is narrower than T: float16 for float, int32 for int64_t.
template <class T>
T widened(const uint8_t* bytes) {
  if constexpr (std::is_same_v<T, float>) {
    uint16_t value = 0;
    std::memcpy(&value, bytes, sizeof(value));
    return from_float16(value);
  } else {
    int32_t value = 0;
    std::memcpy(&value, bytes, sizeof(value));
    return static_cast<T>(value);
  }
}

// The elements of the file, in its order. `to` has room for `count` of them.
template <class T>
void read_elements(const InputFile& file, const NpyHeader& header, const Elements& elements,
                   int64_t count, T* to) {
  // Narrower elements are read into the end of the room and widened from its front.
  const int64_t unused = count * (static_cast<int64_t>(sizeof(T)) - elements.size);
  uint8_t* bytes = reinterpret_cast<uint8_t*>(to) + unused;
  file.read(header.data_start, bytes, static_cast<uint64_t>(count * elements.size));
  if (elements.reversed) {
    reverse_elements(bytes, count, elements.size);
  }
  if (unused > 0) {
    for (int64_t i = 0; i < count; ++i) {
      to[i] = widened<T>(bytes + i * elements.size);
    }
  }
  if (elements.is_bool) {
    std::transform(to, to + count, to, [](T value) { return static_cast<T>(value != 0); });
  }
}

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return "<f4";
    case DType::Float64:
      return "<f8";
    case DType::BFloat16:
      return "<u2";
    case DType::UInt8:
      return "|u1";
    case DType::Int64:
      return "<i8";
  }
  return "?";
}

std::string make_header(const Tensor& tensor) {
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                 descr_of(tensor.dtype()), tensor.shape());
  constexpr size_t fixed = 10;  // magic, version, length
  constexpr size_t alignment = 64;
  const size_t unpadded = fixed + dict.size() + 1;
  dict.append((alignment - unpadded % alignment) % alignment, ' ');
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xff);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

}  // namespace

Tensor load_npy(const std::string& path, const NpyOptions& options) {
  const InputFile file(path, "load_npy");
  const NpyHeader header = read_npy_header(file);
  const Elements elements = elements_of(file, header.descr, options);
  const int64_t count = check_size(file, header, elements.size);
  Tensor tensor = Tensor::empty(Shape(header.shape), elements.dtype);
  dispatch_all(elements.dtype, [&]<class T>() {
    T* to = tensor.mutable_data<T>();
    if (!header.fortran_order) {
      read_elements(file, header, elements, count, to);
      return;
    }
    std::vector<T> values(static_cast<size_t>(count));
    read_elements(file, header, elements, count, values.data());
    from_fortran_order(values.data(), tensor.shape(), to);
  });
  return tensor;
}

void save_npy(const std::string& path, const Tensor& tensor) {
  check<ValueError>(tensor.defined(), "[save_npy] tensor: got an undefined tensor");
  write_file_atomically(
      path,
      [&](OutputFile& file) {
        file.write(make_header(tensor));
        dispatch_all(tensor.dtype(), [&]<class T>() {
          const std::vector<T> values = tensor.to_vector<T>();
          file.write(values.data(), values.size() * sizeof(T));
        });
      },
      "save_npy");
}

}  // namespace warptape
