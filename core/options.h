#pragma once
// Options by name, as an optimizer, a schedule, a model or a task declares its own. From a
// declaration follow the flags of `warptape train` with their help, the keys in config.json, and
// what both say of a value that cannot be.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"

namespace warptape {

using OptionValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;
using OptionValues = std::map<std::string, OptionValue>;  // by name

// Which values a field takes, and how help and errors say that.
template <class T>
struct Rule {
  const char* wanted;  // "a number above 0"
  bool (*accepts)(const T&);
};

namespace rules {

inline constexpr int64_t most = int64_t{1} << 40;
inline constexpr Rule<int64_t> one_or_more{"a whole number of 1 or more, up to 2^40",
                                           [](const int64_t& v) { return v >= 1 && v <= most; }};
inline constexpr Rule<int64_t> not_negative{"a whole number of 0 or more, up to 2^40",
                                            [](const int64_t& v) { return v >= 0 && v <= most; }};
inline constexpr Rule<double> zero_or_more{
    "a number of 0 or more", [](const double& v) { return v >= 0 && std::isfinite(v); }};
inline constexpr Rule<double> above_zero{"a number above 0",
                                         [](const double& v) { return v > 0 && std::isfinite(v); }};
inline constexpr Rule<double> below_one{"a number from 0 to below 1",
                                        [](const double& v) { return v >= 0 && v < 1; }};
inline constexpr Rule<double> up_to_one{"a number from 0 to 1",
                                        [](const double& v) { return v >= 0 && v <= 1; }};
inline constexpr Rule<bool> flag{"true or false", [](const bool&) { return true; }};
// Lists, which the command line takes with commas between the numbers.
inline constexpr Rule<std::vector<int64_t>> counts{
    "whole numbers of 1 or more, as in 25,25,25", [](const std::vector<int64_t>& v) {
      return !v.empty() && std::all_of(v.begin(), v.end(), one_or_more.accepts);
    }};
inline constexpr Rule<std::vector<int64_t>> counts_or_none{
    "whole numbers of 1 or more, as in 1,2,4", [](const std::vector<int64_t>& v) {
      return std::all_of(v.begin(), v.end(), one_or_more.accepts);
    }};

}  // namespace rules

struct Option {
  std::string name;  // "weight_decay": the key in config.json, and --weight-decay
  OptionValue standard;
  std::string wanted;  // "a number of 0 or more"
  std::function<bool(const OptionValue&)> accepts;
  std::string help;
};

// How an option is named in errors: "[train] --weight-decay" where it came as a flag, else
// "[optimizer] weight_decay".
class OptionNames {
 public:
  static OptionNames keys(std::string who) { return {std::move(who), false}; }
  static OptionNames flags(std::string who) { return {std::move(who), true}; }

  std::string operator()(const std::string& option) const;  // "--weight-decay"
  std::string in_front(const std::string& option) const;    // "[train] --weight-decay"

 private:
  OptionNames(std::string who, bool as_flags) : who_(std::move(who)), as_flags_(as_flags) {}

  std::string who_;
  bool as_flags_;
};

std::string to_string(const OptionValue& value);

// The value as this type: whole numbers are numbers too.
template <class T>
std::optional<T> value_as(const OptionValue& value) {
  if (const T* same = std::get_if<T>(&value)) {
    return *same;
  }
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* whole = std::get_if<int64_t>(&value)) {
      return static_cast<double>(*whole);
    }
  }
  return std::nullopt;
}

// The fields of a struct that are options, each with its name, rule and help. Defaults are the
// struct's own.
//
//   OptionList<SGD::Options>()
//       ("lr", &SGD::Options::lr, rules::zero_or_more, "Learning rate")
//       ("nesterov", &SGD::Options::nesterov, rules::flag, "Nesterov momentum")
template <class Options>
class OptionList {
 public:
  template <class T>
  OptionList& operator()(const char* name, T Options::*member, const Rule<T>& rule,
                         const char* help) {
    const auto accepts = [rule](const OptionValue& value) {
      const auto typed = value_as<T>(value);
      return typed && rule.accepts(*typed);
    };
    options_.push_back({name, Options().*member, rule.wanted, accepts, help});
    setters_.emplace_back([member](Options& options, const OptionValue& value) {
      options.*member = value_as<T>(value).value();
    });
    return *this;
  }

  const std::vector<Option>& options() const { return options_; }

  // Of values that are there for every option, each as its rule wants it.
  Options read(const OptionValues& values) const {
    Options result;
    for (size_t i = 0; i < options_.size(); ++i) {
      setters_[i](result, values.at(options_[i].name));
    }
    return result;
  }

 private:
  std::vector<Option> options_;
  std::vector<std::function<void(Options&, const OptionValue&)>> setters_;
};

}  // namespace warptape
