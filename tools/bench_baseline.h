#pragma once
// What an earlier run of `warptape bench step --json` measured, beside this one.

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace warptape::tools {

// The file's object. FileError if it is none, or lacks what bench step prints; ValueError where it
// is of another case: `now` has model, batch_size, precision, device, device_name and threads.
nlohmann::ordered_json read_baseline(const std::string& path, const nlohmann::ordered_json& now);

// {"median_ms": {"before", "now", "ratio"}, ...}: median and shortest step, CPU time, memory, and
// "profile" with the ops that both have. A ratio is now / before: below 1 is less than it was.
nlohmann::ordered_json compare_with_baseline(const nlohmann::ordered_json& before,
                                             const nlohmann::ordered_json& now);

std::string to_lines(const nlohmann::ordered_json& comparison);

}  // namespace warptape::tools
