#pragma once
// The launches of a step as `warptape profile` lists them: a cost sheet (cost_sheet.h).

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace warptape::tools {

struct LaunchesOptions {
  bool wanted = false;
  std::string predict;     // a GPU's name, or empty
  int64_t measure_at = 0;  // a small batch; 0: nothing is run
  bool cases = false;      // instead of a model

  // device: as --device says. A build that counts each access has no times to show.
  bool are_asked_for(const std::string& device) const;
};
void add_launches_options(CLI::App& command, LaunchesOptions& options);

// batch_size: 0 is the model's. ValueError in builds without the emulated device.
std::string launches_text(const std::string& model, int64_t batch_size,
                          const std::string& precision, const LaunchesOptions& options,
                          bool as_json);
std::string launches_of_cases();

}  // namespace warptape::tools
