#include "tools/numbers.h"

#include <fmt/format.h>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace warptape::tools {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{} || stop != end) {
    return std::nullopt;
  }
  if constexpr (std::is_floating_point_v<T>) {
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  }
  return value;
}

NumberRule<int64_t> whole_number(int64_t least, int64_t most) {
  return {fmt::format("a whole number from {} to {}", least, most),
          [least, most](int64_t value) { return value >= least && value <= most; }};
}

NumberRule<int64_t> count() {
  return whole_number(1, int64_t{1} << 40);
}

NumberRule<uint64_t> any_whole() {
  return {fmt::format("a whole number from 0 to {}", std::numeric_limits<uint64_t>::max()),
          [](uint64_t) { return true; }};
}

template <class T>
T read_number(const std::string& option, std::string_view text, const NumberRule<T>& rule) {
  const std::optional<T> value = parse_number<T>(text);
  if (!value || !rule.accepts(*value)) {
    throw CLI::ValidationError(option, fmt::format("got \"{}\", wanted {}{}", excerpt(text),
                                                   rule.wanted, value ? "" : ", in decimal"));
  }
  return *value;
}

template <class T>
std::vector<T> read_numbers(const std::string& option, std::string_view text,
                            const NumberRule<T>& rule) {
  std::vector<T> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    values.push_back(read_number(option, text.substr(begin, end - begin), rule));
    begin = end + 1;
  }
  return values;
}

template std::optional<int64_t> parse_number(std::string_view);
template std::optional<uint64_t> parse_number(std::string_view);
template std::optional<double> parse_number(std::string_view);
template int64_t read_number(const std::string&, std::string_view, const NumberRule<int64_t>&);
template uint64_t read_number(const std::string&, std::string_view, const NumberRule<uint64_t>&);
template double read_number(const std::string&, std::string_view, const NumberRule<double>&);
template std::vector<int64_t> read_numbers(const std::string&, std::string_view,
                                           const NumberRule<int64_t>&);
template std::vector<double> read_numbers(const std::string&, std::string_view,
                                          const NumberRule<double>&);

}  // namespace warptape::tools
