#include "tools/declared_options.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/check.h"
#include "tools/numbers.h"

namespace warptape::tools {
namespace {

// "optimizers sgd and rmsprop: its momentum [0; rmsprop 0.9]"; kinds: how many there are in all.
std::string help_of(const DeclaredOption& option, const char* what, size_t kinds) {
  std::vector<std::string> helps;
  std::string defaults = to_string(option.owners[0].option.standard);
  for (const auto& [kind, own] : option.owners) {
    if (std::find(helps.begin(), helps.end(), own.help) == helps.end()) {
      helps.push_back(own.help);
    }
    if (own.standard != option.owners[0].option.standard) {
      defaults += fmt::format("; {} {}", kind, to_string(own.standard));
    }
  }
  const bool is_of_all = option.owners.size() == kinds;
  const bool is_flag = std::holds_alternative<bool>(option.owners[0].option.standard);
  return fmt::format(
      "{}{}{}",
      is_of_all ? std::string() : fmt::format("{} {}: ", what, joined_by_or(option.kinds())),
      fmt::join(helps, " or "),
      is_flag ? "" : fmt::format(" [{}]", defaults.empty() ? "none" : defaults));
}

// What the kinds take, and whether one of them takes a value; whether the chosen one does is known
// when all has been read.
std::string wanted_by(const DeclaredOption& option) {
  std::vector<std::string> wanted;
  for (const auto& owner : option.owners) {
    if (std::find(wanted.begin(), wanted.end(), owner.option.wanted) == wanted.end()) {
      wanted.push_back(owner.option.wanted);
    }
  }
  return joined_by_or(wanted);
}
bool is_accepted(const DeclaredOption& option, const OptionValue& value) {
  return std::any_of(option.owners.begin(), option.owners.end(),
                     [&](const auto& owner) { return owner.option.accepts(value); });
}

template <class T>
T read_value(const std::string& flag, const std::string& text, const DeclaredOption& option) {
  if constexpr (std::is_same_v<T, std::string> || is_list<T>) {
    T value;
    if constexpr (is_list<T>) {
      value = read_numbers<typename T::value_type>(flag, text,
                                                   {wanted_by(option), [](auto) { return true; }});
    } else {
      value = text;
    }
    if (!is_accepted(option, value)) {
      throw CLI::ValidationError(
          flag, fmt::format("got \"{}\", wanted {}", excerpt(text), wanted_by(option)));
    }
    return value;
  } else {
    return read_number<T>(flag, text,
                          {wanted_by(option), [&](T value) { return is_accepted(option, value); }});
  }
}

template <class T>
const char* kind_of_value() {
  return std::is_same_v<T, double>    ? "FLOAT"
         : std::is_same_v<T, int64_t> ? "INT"
         : is_list<T>                 ? "INTS"
                                      : "TEXT";
}

}  // namespace

void add_declared_options(CLI::App& command, const char* who, const char* what,
                          const std::vector<DeclaredOption>& options, size_t kinds,
                          OptionValues& given) {
  for (const DeclaredOption& option : options) {
    std::string flag = OptionNames::flags(who)(option.name);
    if (command.get_option_no_throw(flag) != nullptr) {
      flag = fmt::format("--{}-{}", what, flag.substr(2));
    }
    const std::string help = help_of(option, what, kinds);
    const auto put = [&given, name = option.name](OptionValue value) { given[name] = value; };
    std::visit(
        [&]<class T>(const T& standard) {
          if constexpr (std::is_same_v<T, bool>) {
            // One that is on by default is there to be turned off.
            command.add_flag_function(
                standard ? "--no-" + flag.substr(2) : flag,
                [put, standard](int64_t count) { put((count > 0) != standard); }, help);
          } else {
            command
                .add_option_function<std::string>(
                    flag,
                    [put, flag, option](const std::string& text) {
                      put(read_value<T>(flag, text, option));
                    },
                    help)
                ->type_name(fmt::format("{}:{}", kind_of_value<T>(), wanted_by(option)));
          }
        },
        option.owners[0].option.standard);
  }
}

}  // namespace warptape::tools
