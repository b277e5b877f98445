#pragma once
// How `warptape kernel` shows a profile.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/kernel_cases.h"

namespace warptape::tools {

// What ptxas says of all kernels: the files of a folder, merged into one array; empty where there
// are none. FileError names a file that is none of ptxas_report.py's.
nlohmann::ordered_json read_ptxas_reports(const std::string& folder);

std::string to_text(const KernelRun& run, const nlohmann::ordered_json& ptxas);
nlohmann::ordered_json to_json(const KernelRun& run, const nlohmann::ordered_json& ptxas);

// The worst line of a kernel and the likely reason, or "" where nothing stands out.
std::string hint(const simt::profile::KernelProfile& kernel);

}  // namespace warptape::tools
