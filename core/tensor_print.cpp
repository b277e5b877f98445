#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/tensor.h"

namespace warptape {
namespace {

constexpr int64_t edge_items = 3;
constexpr int64_t print_whole_up_to = 1000;

struct Printer {
  const Tensor& tensor;
  std::vector<std::string> elements;  // formatted, logical order
  size_t width = 0;
  bool summarize = false;

  void print(std::string& out, int dim, int64_t offset, int64_t block) const {
    if (dim == tensor.rank()) {
      const std::string& text = elements[static_cast<size_t>(offset)];
      out += std::string(width - text.size(), ' ') + text;
      return;
    }
    const int64_t size = tensor.shape()[dim];
    block = size == 0 ? 0 : block / size;
    const bool last = dim == tensor.rank() - 1;
    const std::string separator =
        last ? ", "
             : "," + std::string(static_cast<size_t>(tensor.rank() - 1 - dim), '\n') +
                   std::string(static_cast<size_t>(dim + 1) + 7, ' ');
    out += "[";
    for (int64_t i = 0; i < size; ++i) {
      if (i > 0) {
        out += separator;
      }
      if (summarize && size > 2 * edge_items && i == edge_items) {
        out += "...";
        i = size - edge_items - 1;
        continue;
      }
      print(out, dim + 1, offset + i * block, block);
    }
    out += "]";
  }
};

template <class T>
std::string format_element(T value, bool scientific, bool integral) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) {
      return fmt::format("{}", value);
    }
    return scientific ? fmt::format("{:.4e}", value)
           : integral ? fmt::format("{:.0f}.", value)
                      : fmt::format("{:.4f}", value);
  } else {
    return fmt::format("{}", static_cast<int64_t>(value));
  }
}

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) {
    return "tensor(undefined)";
  }
  Printer printer{tensor, {}, 0, tensor.numel() > print_whole_up_to};
  dispatch_all(tensor.dtype(), [&]<class T>() {
    const std::vector<T> values = tensor.to_vector<T>();
    double smallest = INFINITY;
    double largest = 0;
    bool integral = true;
    for (T value : values) {
      const double magnitude = std::abs(static_cast<double>(value));
      if (std::isfinite(magnitude)) {
        integral = integral && magnitude == std::floor(magnitude);
        largest = std::max(largest, magnitude);
        smallest = magnitude > 0 ? std::min(smallest, magnitude) : smallest;
      }
    }
    const bool scientific = largest >= 1e8 || (!integral && (smallest < 1e-4 || largest > 1e5));
    for (T value : values) {
      printer.elements.push_back(format_element(value, scientific, integral));
      printer.width = std::max(printer.width, printer.elements.back().size());
    }
  });
  std::string out = "tensor(";
  printer.print(out, 0, 0, tensor.numel());
  if (tensor.numel() == 0) {
    out += ", size=" + tensor.shape().to_string();
  }
  if (tensor.dtype() != float32 && tensor.dtype() != int64) {
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

}  // namespace warptape
