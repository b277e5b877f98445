// Convolution on cuDNN's graph API. The only file with cudnn-frontend's headers, which take long to
// compile. A plan is built once per geometry and kept; the process has one handle.

#include "kernels/conv2d/conv2d_cudnn.h"

#define CUDNN_FRONTEND_SKIP_JSON_LIB
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#include <compare>
#include <map>
#include <memory>
#include <mutex>

#include "core/check.h"
#include "core/device/gpu.h"
#include "core/graph_memory.h"
#include "kernels/vendor/gpu_libraries.h"
#include "kernels/vendor/load_cudnn.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // where the frontend looks for cuDNN's functions
}

namespace warptape {
namespace {

namespace fe = cudnn_frontend;
using Dims = std::vector<int64_t>;
using TensorNode = std::shared_ptr<fe::graph::Tensor_attributes>;

// Names of the tensors in a plan; uid_x stands for x and dx, and so on.
enum Uid : int64_t { uid_x = 1, uid_weight, uid_bias, uid_y };

// Bytes to which tensors are aligned: what cuDNN takes for granted.
constexpr uintptr_t alignment = 16;

// What a plan depends on.
struct Key {
  ConvPass pass;
  ConvGeometry geometry;
  bool has_bias;
  bool tf32 = tf32_is_on();

  auto operator<=>(const Key&) const = default;
};

// Dimensions are in the order (N, C, H, W), whatever lies beside what in memory.
Dims channels_last_strides(const Dims& dims) {
  const int64_t channels = dims[1];
  const int64_t row = dims[3] * channels;
  return {dims[2] * row, 1, row, channels};
}

TensorNode input(fe::graph::Graph& graph, Uid uid, const Dims& dims) {
  return graph.tensor(fe::graph::Tensor_attributes().set_uid(uid).set_dim(dims).set_stride(
      channels_last_strides(dims)));
}

void set_output(const TensorNode& node, Uid uid, const Dims& dims) {
  node->set_output(true).set_uid(uid).set_dim(dims).set_stride(channels_last_strides(dims));
}

template <class Attributes>
Attributes window(const ConvGeometry& g) {
  const WindowAxis& y = g.vertical();
  const WindowAxis& x = g.horizontal();
  Attributes attributes;
  attributes.set_padding({y.padding_before, x.padding_before});
  attributes.set_stride({y.stride, x.stride});
  attributes.set_dilation({y.dilation, x.dilation});
  return attributes;
}

void describe(fe::graph::Graph& graph, ConvPass pass, const ConvGeometry& g, bool has_bias) {
  const WindowAxis& rows = g.vertical();
  const WindowAxis& columns = g.horizontal();
  const Dims x{g.batch, g.in_channels, rows.size, columns.size};
  const Dims w{g.out_channels, g.in_per_group(), rows.kernel, columns.kernel};
  const Dims y{g.batch, g.out_channels, rows.out, columns.out};
  switch (pass) {
    case ConvPass::Forward: {
      TensorNode out = graph.conv_fprop(input(graph, uid_x, x), input(graph, uid_weight, w),
                                        window<fe::graph::Conv_fprop_attributes>(g));
      if (has_bias) {
        out->set_dim(y).set_stride(channels_last_strides(y));
        out = graph.pointwise(out, input(graph, uid_bias, {1, g.out_channels, 1, 1}),
                              fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
      }
      set_output(out, uid_y, y);
      break;
    }
    case ConvPass::DataGrad:
      set_output(graph.conv_dgrad(input(graph, uid_y, y), input(graph, uid_weight, w),
                                  window<fe::graph::Conv_dgrad_attributes>(g)),
                 uid_x, x);
      break;
    case ConvPass::WeightGrad:
      set_output(graph.conv_wgrad(input(graph, uid_y, y), input(graph, uid_x, x),
                                  window<fe::graph::Conv_wgrad_attributes>(g)),
                 uid_weight, w);
      break;
  }
}

struct Plan {
  std::shared_ptr<fe::graph::Graph> graph;  // nullptr where there is none
  int64_t workspace = 0;                    // bytes
  std::string engine;
  std::string why_none;
};

// The GPU to plan for: a handle on this machine's, or the properties of one that is not there.
struct Target {
  cudnnHandle_t handle = nullptr;
  std::shared_ptr<fe::DeviceProperties> properties;
  int compute_capability = 0;
};

// The first plan, in cuDNN's order of expected speed, that keeps our promises: float32 arithmetic
// unless TF32 is allowed, the same bits from run to run, no compiler at run time.
Plan make_plan(const Target& target, ConvPass pass, const ConvGeometry& g, bool has_bias) {
  auto graph = std::make_shared<fe::graph::Graph>();
  const auto succeeds = [](fe::error_t error) {
    check<DeviceError>(error.is_good(), "{}", error.get_message());
  };
  Plan plan;
  if (!g.vertical().is_padded_evenly() || !g.horizontal().is_padded_evenly()) {
    plan.why_none = "the padding differs between the sides";
    return plan;
  }
  try {
    graph->set_io_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT)
        .set_intermediate_data_type(fe::DataType_t::FLOAT);
    // Else it asks the shared CUDA runtime, which need not be there.
    graph->set_sm_version(target.compute_capability);
    if (target.properties != nullptr) {
      graph->set_device_properties(target.properties);
    }
    describe(*graph, pass, g, has_bias);
    succeeds(graph->validate());
    succeeds(graph->build_operation_graph(target.handle));
    succeeds(graph->create_execution_plans({fe::HeurMode_t::A}));
    graph->deselect_workspace_greater_than(cudnn_workspace_limit);
    graph->deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
    graph->deselect_behavior_notes({fe::BehaviorNote_t::RUNTIME_COMPILATION});
    if (!tf32_is_on()) {
      graph->deselect_numeric_notes({fe::NumericalNote_t::TENSOR_CORE,
                                     fe::NumericalNote_t::DOWN_CONVERT_INPUTS,
                                     fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION});
    }
    succeeds(graph->build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE));
    succeeds(graph->get_plan_name(plan.engine));
    plan.workspace = graph->get_workspace_size();
    plan.graph = std::move(graph);
  } catch (const std::exception& error) {
    plan.why_none = error.what();
  }
  return plan;
}

class Convolutions {
 public:
  // nullptr where the library is not there.
  static Convolutions* instance() {
    static Convolutions* const once = loaded_cudnn() == nullptr ? nullptr : new Convolutions;
    return once;
  }

  bool run(ConvPass pass, const ConvGeometry& g, bool has_bias,
           std::unordered_map<int64_t, void*>& addresses) {
    std::lock_guard lock(mutex_);  // held until the work is queued: the handle has one stream
    const Plan& plan = planned(pass, g, has_bias);
    if (plan.graph == nullptr || (plan.workspace > 0 && gpu::is_capturing() &&
                                  !GraphMemory::is_open({DeviceType::CUDA, 0}))) {
      return false;
    }
    Tensor workspace;
    if (plan.workspace > 0) {
      workspace = Tensor::empty({plan.workspace}, uint8, {DeviceType::CUDA, 0});
    }
    const cudnnStatus_t status = fe::detail::set_stream(handle_, gpu::current_stream());
    check<DeviceError>(status == CUDNN_STATUS_SUCCESS, "[conv2d] cuDNN: {}",
                       fe::detail::get_error_string(status));
    fe::error_t error = plan.graph->execute(
        handle_, addresses, workspace.defined() ? workspace.mutable_raw_data() : nullptr);
    check<DeviceError>(error.is_good(), "[conv2d] cuDNN: {}", error.get_message());
    return true;
  }

 private:
  Convolutions() { fe::cudnn_dlhandle = loaded_cudnn(); }

  const Plan& planned(ConvPass pass, const ConvGeometry& g, bool has_bias) {
    const Key key{pass, g, has_bias};
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      if (gpu::is_capturing()) {
        static const Plan not_now;
        return not_now;  // building may load modules, which a capture does not allow
      }
      // Part of the library may be missing: then our kernels serve.
      cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
      if (handle_ == nullptr) {
        status = fe::detail::create_handle(&handle_);
      }
      if (status != CUDNN_STATUS_SUCCESS) {
        handle_ = nullptr;
        Plan none;
        none.why_none = fe::detail::get_error_string(status);
        return plans_.emplace(key, none).first->second;
      }
      const Target target{handle_, nullptr, gpu::properties().compute_capability};
      found = plans_.emplace(key, make_plan(target, pass, g, has_bias)).first;
    }
    return found->second;
  }

  std::mutex mutex_;
  cudnnHandle_t handle_ = nullptr;
  std::map<Key, Plan> plans_;
};

// Of the tensors, which are named as in the forward pass, `written` is the result.
bool run(ConvPass pass, const ConvGeometry& g, const Tensor& x, const Tensor& weight,
         const Tensor& bias, const Tensor& y, const Tensor& written) {
  count_gpu_library_call();
  std::unordered_map<int64_t, void*> addresses;
  for (const auto& [uid, tensor] : {std::pair<Uid, const Tensor*>{uid_x, &x},
                                    {uid_weight, &weight},
                                    {uid_bias, &bias},
                                    {uid_y, &y}}) {
    if (!tensor->defined()) {
      continue;
    }
    void* const address = const_cast<void*>(tensor->raw_data());
    if (tensor->dtype() != float32 || tensor->numel() == 0 ||
        reinterpret_cast<uintptr_t>(address) % alignment != 0) {
      return false;
    }
    addresses.emplace(uid, address);
  }
  Convolutions* const convolutions = Convolutions::instance();
  if (convolutions == nullptr || !convolutions->run(pass, g, bias.defined(), addresses)) {
    return false;
  }
  written.bump_version();
  return true;
}

}  // namespace

bool conv2d_forward_cudnn(const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const ConvGeometry& geometry, Tensor& y) {
  return run(ConvPass::Forward, geometry, x, weight, bias, y, y);
}

bool conv2d_data_grad_cudnn(const Tensor& dy, const Tensor& weight, const ConvGeometry& geometry,
                            Tensor& dx) {
  return run(ConvPass::DataGrad, geometry, dx, weight, {}, dy, dx);
}

bool conv2d_weight_grad_cudnn(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                              Tensor& dweight) {
  return run(ConvPass::WeightGrad, geometry, x, dweight, {}, dy, dweight);
}

CudnnPlanReport cudnn_plan_report(ConvPass pass, const ConvGeometry& geometry, bool has_bias,
                                  const std::string& device_properties, int compute_capability) {
  if (Convolutions::instance() == nullptr) {
    return {"", cudnn_library().reason};
  }
  auto properties = std::make_shared<fe::DeviceProperties>();
  fe::error_t error = properties->deserialize({device_properties.begin(), device_properties.end()});
  if (error.is_bad()) {
    return {"", error.get_message()};
  }
  const Plan plan = make_plan({nullptr, properties, compute_capability}, pass, geometry, has_bias);
  return {plan.engine, plan.why_none, plan.workspace};
}

}  // namespace warptape
