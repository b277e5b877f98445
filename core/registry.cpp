#include "core/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/check.h"

namespace warptape {

std::string OptionNames::operator()(const std::string& option) const {
  if (!as_flags_ || option == "model") {  // which is the first word, without a flag
    return option;
  }
  std::string flag = "--" + option;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string OptionNames::in_front(const std::string& option) const {
  return "[" + who_ + "] " + (*this)(option);
}

std::string to_string(const OptionValue& value) {
  return std::visit(
      []<class T>(const T& typed) {
        if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          return fmt::format("{}", fmt::join(typed, ","));
        } else if constexpr (std::is_same_v<T, std::string>) {
          return escaped(typed);
        } else {
          return fmt::format("{}", typed);
        }
      },
      value);
}

std::string joined_by_or(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 < names.size() ? ", " : " or ") + names[i];
  }
  return text;
}

std::vector<std::string> DeclaredOption::kinds() const {
  std::vector<std::string> kinds;
  for (const Owner& owner : owners) {
    kinds.push_back(owner.kind);
  }
  return kinds;
}

namespace registry_detail {

std::vector<DeclaredOption> declared(const Names& all) {
  std::vector<DeclaredOption> result;
  for (const auto& [kind, options] : all) {
    for (const Option& option : options) {
      auto same = std::find_if(result.begin(), result.end(),
                               [&](const auto& known) { return known.name == option.name; });
      if (same == result.end()) {
        same = result.insert(same, {option.name, {}});
      }
      same->owners.push_back({kind, option});
    }
  }
  return result;
}

void check_new(const char* what, const Names& all, const std::string& name,
               const std::vector<Option>& options) {
  check<ValueError>(!name.empty(), "[{}] got an empty name", what);
  for (const auto& known : all) {
    check<ValueError>(known.first != name, "[{}] got \"{}\", which is taken", what, escaped(name));
  }
  const std::vector<DeclaredOption> before = declared(all);
  for (size_t i = 0; i < options.size(); ++i) {
    const Option& option = options[i];
    check<ValueError>(option.accepts(option.standard), "[{}] {}: {}: got the default {}, wanted {}",
                      what, escaped(name), option.name, to_string(option.standard), option.wanted);
    for (size_t j = 0; j < i; ++j) {
      check<ValueError>(options[j].name != option.name, "[{}] {}: got the option {} twice", what,
                        escaped(name), option.name);
    }
    for (const DeclaredOption& known : before) {
      const Option& first = known.owners[0].option;
      const bool is_like =
          known.name != option.name ||
          (first.standard.index() == option.standard.index() &&
           (!std::holds_alternative<bool>(option.standard) || first.standard == option.standard));
      check<ValueError>(is_like,
                        "[{}] {}: {}: got {}, default {}; wanted {}, default {}, as {} has it",
                        what, escaped(name), option.name, option.wanted, to_string(option.standard),
                        first.wanted, to_string(first.standard), known.owners[0].kind);
    }
  }
}

size_t find(const char* what, const Names& all, const std::string& name) {
  std::vector<std::string> names;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].first == name) {
      return i;
    }
    names.push_back(all[i].first);
  }
  throw ValueError(
      fmt::format("[{}] got \"{}\", wanted {}", what, escaped(name), joined_by_or(names)));
}

OptionValues complete(const char* what, const Names& all, const Choice& choice,
                      const OptionNames& names) {
  const std::vector<Option>& options = all[find(what, all, choice.name)].second;
  const auto is_one = [&](const std::string& name) {
    return std::any_of(options.begin(), options.end(),
                       [&](const Option& option) { return option.name == name; });
  };
  for (const auto& [name, value] : choice.options) {
    if (is_one(name)) {
      continue;
    }
    for (const DeclaredOption& other : declared(all)) {
      check<ValueError>(other.name != name, "{}: got {} {}, wanted {}", names.in_front(name),
                        names(what), choice.name, joined_by_or(other.kinds()));
    }
    std::vector<std::string> own;
    for (const Option& option : options) {
      own.push_back(names(option.name));
    }
    throw ValueError(fmt::format("{}: no option of {} {}, which has {}",
                                 names.in_front(escaped(name)), names(what), choice.name,
                                 own.empty() ? "none" : joined_by_or(own)));
  }
  OptionValues result;
  for (const Option& option : options) {
    const auto given = choice.options.find(option.name);
    const OptionValue& value = given == choice.options.end() ? option.standard : given->second;
    check<ValueError>(option.accepts(value), "{}: got {}, wanted {}", names.in_front(option.name),
                      to_string(value), option.wanted);
    // A whole number that stands for a number becomes one.
    const auto* whole = std::get_if<int64_t>(&value);
    const bool is_number = std::holds_alternative<double>(option.standard);
    result[option.name] =
        whole != nullptr && is_number ? OptionValue(static_cast<double>(*whole)) : value;
  }
  return result;
}

}  // namespace registry_detail
}  // namespace warptape
