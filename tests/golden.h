#pragma once
// Reference values from PyTorch in float64: tests/golden/*.json, made by the scripts beside them.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/tensor.h"

namespace warptape {

inline nlohmann::json load_golden(const std::string& name) {
  std::ifstream file(std::string(WARPTAPE_SOURCE_DIR "/tests/golden/") + name);
  return nlohmann::json::parse(file);
}

inline Tensor golden_tensor(const nlohmann::json& json) {
  const Shape shape(json["shape"].get<std::vector<int64_t>>());
  if (json.value("dtype", "float64") == "int64") {
    return tensor(json["data"].get<std::vector<int64_t>>(), shape);
  }
  if (json.value("dtype", "float64") == "uint8") {
    return tensor(json["data"].get<std::vector<uint8_t>>(), shape);
  }
  return tensor(json["data"].get<std::vector<double>>(), shape);
}

// Largest difference relative to max(1, |wanted|), and relative alone where values are huge.
inline void expect_near(const std::vector<double>& got, const std::vector<double>& wanted,
                        double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(std::abs(got[i] - wanted[i]), tolerance * std::max(1.0, std::abs(wanted[i])))
        << what << ", element " << i << ": got " << got[i] << ", wanted " << wanted[i];
  }
}

}  // namespace warptape
