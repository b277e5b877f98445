#pragma once
// Things by name. A kind has a name, a description, and options if it has any.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/options.h"

namespace warptape {

// One of a registry, by name, with those of its options that are not left at their defaults.
struct Choice {
  Choice() = default;
  Choice(const char* name, OptionValues options = {}) : name(name), options(std::move(options)) {}
  Choice(std::string name, OptionValues options = {})
      : name(std::move(name)), options(std::move(options)) {}

  std::string name;
  OptionValues options;
};

// "a, b or c"
std::string joined_by_or(const std::vector<std::string>& names);

// What those of a registry declare under one name.
struct DeclaredOption {
  struct Owner {
    std::string kind;
    Option option;
  };
  std::string name;
  std::vector<Owner> owners;  // one or more

  std::vector<std::string> kinds() const;
};

namespace registry_detail {

// A registry as far as its kinds do not matter: names, each with its options.
using Names = std::vector<std::pair<std::string, std::vector<Option>>>;

void check_new(const char* what, const Names& all, const std::string& name,
               const std::vector<Option>& options);
size_t find(const char* what, const Names& all, const std::string& name);
std::vector<DeclaredOption> declared(const Names& all);
OptionValues complete(const char* what, const Names& all, const Choice& choice,
                      const OptionNames& names);

}  // namespace registry_detail

template <class Kind>
class Registry {
 public:
  // what: "optimizer", as a recipe and errors call it
  Registry(const char* what, std::vector<Kind> kinds) : what_(what) {
    for (Kind& kind : kinds) {
      add(std::move(kind));
    }
  }

  const std::vector<Kind>& all() const { return kinds_; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Kind& kind : kinds_) {
      names.push_back(kind.name);
    }
    return names;
  }

  // ValueError lists the names.
  const Kind& find(const std::string& name) const {
    return kinds_[registry_detail::find(what_, names_and_options(), name)];
  }

  // A program's own, before it starts threads. ValueError for a name that is taken, and for an
  // option that another kind declares with another type.
  void add(Kind kind) {
    registry_detail::check_new(what_, names_and_options(), kind.name, options_of(kind));
    kinds_.push_back(std::move(kind));
  }

  // Of all kinds, in the order in which they first come.
  std::vector<DeclaredOption> options() const {
    return registry_detail::declared(names_and_options());
  }

  // Every option of what is chosen: as it is given, or its default. ValueError that names the
  // option for one that the kind does not have, and for a value that it does not take.
  OptionValues complete(const Choice& choice, const OptionNames& names) const {
    return registry_detail::complete(what_, names_and_options(), choice, names);
  }
  OptionValues complete(const Choice& choice) const {
    return complete(choice, OptionNames::keys(what_));
  }

 private:
  registry_detail::Names names_and_options() const {
    registry_detail::Names result;
    for (const Kind& kind : kinds_) {
      result.emplace_back(kind.name, options_of(kind));
    }
    return result;
  }
  static std::vector<Option> options_of(const Kind& kind) {
    if constexpr (requires { kind.options; }) {
      return kind.options;
    } else {
      return {};
    }
  }

  const char* what_;
  std::vector<Kind> kinds_;
};

}  // namespace warptape
