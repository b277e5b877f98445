#pragma once
// What cuDNN would run, asked without a GPU: for tests.

#include <string>

#include "kernels/conv2d/conv2d_kernels.h"

namespace warptape {

enum class ConvPass { Forward, DataGrad, WeightGrad };

// A plan that needs more workspace than this is not used: our kernels serve, which need none.
inline constexpr int64_t cudnn_workspace_limit = 64 << 20;  // bytes

struct CudnnPlanReport {
  std::string engine;     // "eng11_k2=4_k3=0"; empty where there is no plan
  std::string why_none;   // cuDNN's words
  int64_t workspace = 0;  // bytes
};

// The plan for a GPU with these properties (cuDNN's JSON) and this capability (90 for sm_90).
CudnnPlanReport cudnn_plan_report(ConvPass pass, const ConvGeometry& geometry, bool has_bias,
                                  const std::string& device_properties, int compute_capability);

}  // namespace warptape
