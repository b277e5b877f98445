#pragma once
#include <iterator>
#include <string>

namespace warptape {

// What each axis has of something, as Python prints a tuple: "(3, 3)" or "(3,)".
template <class Axes, class Get>
std::string tuple_of(const Axes& axes, const Get& get) {
  std::string text;
  for (const auto& axis : axes) {
    text += (text.empty() ? "(" : ", ") + std::to_string(get(axis));
  }
  return text + (std::size(axes) == 1 ? ",)" : ")");
}

template <class Numbers>
std::string tuple_of(const Numbers& numbers) {
  return tuple_of(numbers, [](int64_t number) { return number; });
}

}  // namespace warptape
