#pragma once
// Flags from what the kinds of a registry declare.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "core/registry.h"

namespace warptape::tools {

// A flag of this command ("train") for every option that one of so many kinds of a registry
// declares; what: the registry's name in help. Values go to `given` if the kind that is chosen has
// them or not: who reads them asks the registry. Where the command has that flag already, as
// --block, it is --model-block.
void add_declared_options(CLI::App& command, const char* who, const char* what,
                          const std::vector<DeclaredOption>& options, size_t kinds,
                          OptionValues& given);

template <class Kind>
void add_declared_options(CLI::App& command, const char* who, const char* what,
                          const Registry<Kind>& registry, OptionValues& given) {
  add_declared_options(command, who, what, registry.options(), registry.all().size(), given);
}

}  // namespace warptape::tools
