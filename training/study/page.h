#pragma once
#include <string>

#include "training/study/analysis.h"
#include "training/study/results.h"

namespace warptape::weight_norm_study {

// A page, as index.html, that takes nothing from outside and is well-formed XML: the three claims
// with effect sizes and their uncertainty, tables, and curves.
std::string study_page(const Results& results);

// The table of claims as text, for a terminal. Empty as long as there is nothing to compare.
std::string claims_text(const Results& results);

}  // namespace warptape::weight_norm_study
