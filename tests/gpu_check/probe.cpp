// Uses something of each library, at compile time and when it is run.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace warptape {
int registers_of_probe();  // 0 without a GPU
}  // namespace warptape

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  CLI::App program("probe");
  CLI11_PARSE(program, argc, argv);
  const nlohmann::json json = {{"registers", warptape::registers_of_probe()}};
  fmt::print("{}\n", json.dump());
  return 0;
}
