#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/tensor.h"

namespace warptape {
namespace {

// PyTorch's defaults.
constexpr int64_t edge_items = 3;
constexpr int64_t print_whole_up_to = 1000;
constexpr size_t line_width = 80;

// The elements as text, all in one style, as PyTorch chooses it.
struct Elements {
  std::vector<std::string> text;  // logical order
  size_t width = 1;               // of the finite ones; others may be longer
};

template <class T>
Elements format_integers(const std::vector<T>& values) {
  Elements result;
  for (T value : values) {
    result.text.push_back(fmt::format("{}", static_cast<int64_t>(value)));
    result.width = std::max(result.width, result.text.back().size());
  }
  return result;
}

template <class T>
Elements format_floats(const std::vector<T>& values) {
  double smallest = INFINITY;
  double largest = 0;
  bool whole = true;  // all finite elements are whole numbers
  for (T value : values) {
    const double magnitude = std::abs(static_cast<double>(value));
    if (std::isfinite(magnitude) && magnitude != 0) {
      whole = whole && magnitude == std::ceil(magnitude);
      largest = std::max(largest, magnitude);
      smallest = std::min(smallest, magnitude);
    }
  }
  const bool scientific =
      largest != 0 && (largest / smallest > 1000 || largest > 1e8 || (!whole && smallest < 1e-4));
  Elements result;
  for (const Compute<T> value : values) {
    const bool finite = std::isfinite(value);
    result.text.push_back(!finite      ? fmt::format("{}", value)
                          : scientific ? fmt::format("{:.4e}", value)
                          : whole      ? fmt::format("{:.0f}.", value)
                                       : fmt::format("{:.4f}", value));
    if (finite && value != 0) {
      result.width = std::max(result.width, result.text.back().size());
    }
  }
  return result;
}

struct Printer {
  const Tensor& tensor;
  Elements elements;
  bool summarize;

  std::string element(int64_t offset) const {
    const std::string& text = elements.text[static_cast<size_t>(offset)];
    return std::string(elements.width - std::min(elements.width, text.size()), ' ') + text;
  }

  // The entries of one dimension, with "..." for the middle of a long one.
  template <class Entry>
  std::vector<std::string> entries(int64_t size, const char* dots, const Entry& entry) const {
    std::vector<std::string> result;
    for (int64_t i = 0; i < size; ++i) {
      if (summarize && size > 2 * edge_items && i == edge_items) {
        result.emplace_back(dots);
        i = size - edge_items;
      }
      result.push_back(entry(i));
    }
    return result;
  }

  std::string vector(int64_t offset, size_t indent) const {
    const auto items =
        entries(tensor.size(-1), " ...", [&](int64_t i) { return element(offset + i); });
    const size_t room = line_width > indent ? line_width - indent : 0;
    const size_t per_line = std::max<size_t>(1, room / (elements.width + 2));
    std::string out = "[";
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) {
        out += i % per_line == 0 ? ",\n" + std::string(indent + 1, ' ') : ", ";
      }
      out += items[i];
    }
    return out + "]";
  }

  std::string print(int dim, int64_t offset, int64_t block, size_t indent) const {
    if (dim == tensor.rank()) {
      return element(offset);
    }
    if (dim == tensor.rank() - 1) {
      return vector(offset, indent);
    }
    const int64_t size = tensor.shape()[dim];
    block = size == 0 ? 0 : block / size;
    const auto items = entries(size, "...", [&](int64_t i) {
      return print(dim + 1, offset + i * block, block, indent + 1);
    });
    const auto breaks = static_cast<size_t>(tensor.rank() - 1 - dim);
    std::string out = "[";
    for (size_t i = 0; i < items.size(); ++i) {
      out += i > 0 ? "," + std::string(breaks, '\n') + std::string(indent + 1, ' ') : "";
      out += items[i];
    }
    return out + "]";
  }
};

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) {
    return "tensor(undefined)";
  }
  std::string out = "tensor(";
  if (tensor.numel() == 0) {
    out += tensor.rank() == 1 ? "[]" : "[], size=" + tensor.shape().to_string();
  } else {
    const Elements elements = dispatch_all(tensor.dtype(), [&]<class T>() {
      if constexpr (is_floating(dtype_of<T>())) {
        return format_floats(tensor.to_vector<T>());
      } else {
        return format_integers(tensor.to_vector<T>());
      }
    });
    const Printer printer{tensor, elements, tensor.numel() > print_whole_up_to};
    out += printer.print(0, 0, tensor.numel(), out.size());
  }
  const bool obvious = tensor.dtype() == float32 || (tensor.dtype() == int64 && tensor.numel() > 0);
  if (!obvious) {
    out += std::string(", dtype=") + to_string(tensor.dtype());
  }
  if (tensor.device() != cpu) {
    out += ", device=" + to_string(tensor.device());
  }
  return out + ")";
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  return out << to_string(tensor);
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  return out << shape.to_string();
}

std::ostream& operator<<(std::ostream& out, DType dtype) {
  return out << to_string(dtype);
}

std::ostream& operator<<(std::ostream& out, MemoryFormat format) {
  return out << to_string(format);
}

std::ostream& operator<<(std::ostream& out, Device device) {
  return out << to_string(device);
}

}  // namespace warptape
