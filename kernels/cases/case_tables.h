#pragma once
#include <vector>

#include "kernels/cases/case.h"

namespace warptape {

// The case tables of all registered ops, in the order of kernels/CMakeLists.txt.
std::vector<CaseTable> case_tables();

}  // namespace warptape
