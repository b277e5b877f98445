#pragma once
// Options that take numbers. Every number is decimal, whatever CLI11 would make of it: 010 is ten,
// and 0x10, 1_000, "5 " and an empty text are refused.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

namespace warptape::tools {

// The whole text as a finite decimal number; empty if it is none, or if T has no room for it.
template <class T>
std::optional<T> parse_number(std::string_view text);  // int64_t, uint64_t, double

// Which numbers an option takes, and what help and errors say about that.
template <class T>
struct NumberRule {
  std::string wanted;  // "a number above 0"
  std::function<bool(T)> accepts;
};

NumberRule<int64_t> whole_number(int64_t least, int64_t most);
NumberRule<int64_t> count();       // 1 to 2^40
NumberRule<uint64_t> any_whole();  // of 64 bits

// ValidationError that names the option unless the text is such a number.
template <class T>
T read_number(const std::string& option, std::string_view text, const NumberRule<T>& rule);

// The same of numbers with commas between them.
template <class T>
std::vector<T> read_numbers(const std::string& option, std::string_view text,
                            const NumberRule<T>& rule);

template <class Target>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

// Adds an option whose text goes to `read`.
template <class T>
CLI::Option* add_number_function(CLI::App& command, const std::string& name,
                                 const std::function<void(const std::string&)>& read,
                                 const NumberRule<T>& rule, const std::string& description) {
  const char* kind = std::is_same_v<T, double> ? "FLOAT" : std::is_signed_v<T> ? "INT" : "UINT";
  return command.add_option_function<std::string>(name, read, description)
      ->type_name(fmt::format("{}:{}", kind, rule.wanted));
}

// Adds an option whose number goes to `target`: a number, an optional, or a list.
template <class T, class Target>
CLI::Option* add_number(CLI::App& command, const std::string& name, Target& target,
                        const NumberRule<T>& rule, const std::string& description = "") {
  const auto read = [&target, name, rule](const std::string& text) {
    if constexpr (is_list<Target>) {
      target = read_numbers(name, text, rule);
    } else {
      target = static_cast<Target>(read_number(name, text, rule));
    }
  };
  return add_number_function(command, name, read, rule, description);
}

// The same with the target's present value as the default that the help shows.
template <class T, class Target>
CLI::Option* add_number_with_default(CLI::App& command, const std::string& name, Target& target,
                                     const NumberRule<T>& rule,
                                     const std::string& description = "") {
  return add_number(command, name, target, rule, description)
      ->default_str(fmt::format("{}", target));
}

}  // namespace warptape::tools
