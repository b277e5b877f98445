// Every op against PyTorch: values and gradients in float64, in both memory formats, on every
// device.

#include <fmt/format.h>
#include <functional>
#include <map>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"
#include "tests/kernels/perceptron.h"

namespace warptape {
namespace {

using Json = nlohmann::json;
using Operands = std::vector<Operand>;
using Run = std::function<Tensor(const Operands&, const Json& options)>;

Pair pair(const Json& options, const char* key) {
  return {options.at(key)[0].get<int64_t>(), options.at(key)[1].get<int64_t>()};
}

// "same", (height, width), or (top, bottom, left, right).
// 0 where none is given, the whole tensor where it is empty.
NormDim norm_dim(const Json& options) {
  if (!options.contains("dim")) {
    return 0;
  }
  const auto axes = options.at("dim").get<std::vector<int>>();
  return axes.empty() ? NormDim(WholeTensor) : NormDim(std::span(axes));
}

Padding2d padding_2d(const Json& options) {
  const Json& padding = options.at("padding");
  if (padding.is_string()) {
    EXPECT_EQ(padding, "same");
    return Padding2d::same();
  }
  if (padding.size() == 2) {
    return pair(options, "padding");
  }
  return Sides2d{padding.at(0), padding.at(1), padding.at(2), padding.at(3)};
}

// "same", "causal", or (left, right).
Padding1d padding_1d(const Json& options) {
  const Json& padding = options.at("padding");
  if (padding.is_string()) {
    return padding == "same" ? Padding1d::same() : Padding1d::causal();
  }
  return Sides1d{padding.at(0), padding.at(1)};
}

Operand optional_operand(const Operands& in, size_t index) {
  return index < in.size() ? in[index] : Operand(Tensor());
}

ConvTranspose1dOptions conv_transpose1d_options(const Json& o) {
  return {.stride = o.at("stride"),
          .padding = padding_1d(o),
          .output_padding = o.at("output_padding"),
          .dilation = o.at("dilation"),
          .groups = o.at("groups")};
}

MaxPool2dOptions max_pool_options(const Json& o) {
  return {.kernel_size = pair(o, "kernel_size"),
          .stride = pair(o, "stride"),
          .padding = pair(o, "padding"),
          .dilation = pair(o, "dilation"),
          .ceil_mode = o.at("ceil_mode")};
}

Reduction reduction(const Json& o) {
  const std::string name = o.at("reduction");
  return name == "mean" ? Reduction::Mean : name == "sum" ? Reduction::Sum : Reduction::None;
}

std::vector<int> dims(const Json& o) {
  return o.at("dims").get<std::vector<int>>();
}

std::optional<int64_t> optional_number(const Json& o, const char* key) {
  return o.at(key).is_null() ? std::nullopt : std::optional<int64_t>(o.at(key).get<int64_t>());
}

// A pointwise op's options, by their names; those that are not named have their defaults.
template <class Functor>
Functor from_json(const Json& named) {
  Functor functor{};
  size_t known = 0;
  if constexpr (requires { functor.options([](const char*, auto&) {}); }) {
    functor.options([&]<class T>(const char* name, T& value) {
      if (named.contains(name)) {
        value = named.at(name).get<T>();
        ++known;
      }
    });
  }
  EXPECT_EQ(known, named.size()) << named;
  return functor;
}

// The same for a loss, which is also reduced and may have a mask.
template <class Functor>
Functor loss_from_json(const Json& named) {
  Json own = named;
  own.erase("reduction");
  own.erase("masked");
  Functor functor = from_json<Functor>(own);
  functor.reduction = reduction(named);
  return functor;
}

Operand mask_of(const Operands& in, const Json& o) {
  return o.contains("masked") ? in.back() : Operand(Tensor());
}

Tensor bce_with_logits(const Operands& in, const Json& o) {
  const auto options = loss_from_json<losses::BceWithLogits>(o);
  const bool has_weight = in.size() > (o.contains("masked") ? 3 : 2);
  return has_weight ? bce_with_logits_loss(in[0], in[1], in[2], options, mask_of(in, o))
                    : bce_with_logits_loss(in[0], in[1], options, mask_of(in, o));
}

// The running statistics before one call, and what has to have become of them.
Tensor batch_normalised(const Operands& in, const Json& o) {
  const Device device = in[0].device();
  const Shape channels{in[0].size(1)};
  RunningStatistics running;
  if (o.contains("mean")) {
    running.mean = tensor(o.at("mean").get<std::vector<double>>(), channels, device);
    running.variance = tensor(o.at("variance").get<std::vector<double>>(), channels, device);
    running.batches = tensor<int64_t>({o.at("batches").get<int64_t>()}, {}, device);
  }
  BatchNormOptions options{.training = o.at("training"), .eps = o.at("eps")};
  options.momentum = o.at("momentum").is_null()
                         ? std::nullopt
                         : std::optional<double>(o.at("momentum").get<double>());
  Tensor y = batch_norm(in[0], running, optional_operand(in, 1), optional_operand(in, 2), options);
  if (o.contains("mean")) {
    const auto after = [&](const char* key) { return o.at(key).get<std::vector<double>>(); };
    expect_near(running.mean.to_vector<double>(), after("mean_after"), 1e-14, "the running mean");
    expect_near(running.variance.to_vector<double>(), after("variance_after"), 1e-14,
                "the running variance");
    EXPECT_EQ(running.batches.item(), o.at("batches_after").get<double>());
  }
  return y;
}

const std::map<std::string, Run>& runs() {
  static const std::map<std::string, Run> table = {
#define WARPTAPE_RUN(name, Functor, default_options, fill) \
  {#name, [](auto& in, auto& o) { return name(in[0], from_json<pointwise::Functor>(o)); }},
      WARPTAPE_UNARY_OPS(WARPTAPE_RUN)
#undef WARPTAPE_RUN
#define WARPTAPE_RUN(name, Functor, fill) \
  {#name, [](auto& in, auto&) { return name(in[0], in[1]); }},
          WARPTAPE_BINARY_OPS(WARPTAPE_RUN)
#undef WARPTAPE_RUN
#define WARPTAPE_RUN(name, Functor) {#name, [](auto& in, auto&) { return name(in[0], in[1]); }},
              WARPTAPE_COMPARISONS(WARPTAPE_RUN)
#undef WARPTAPE_RUN
#define WARPTAPE_RUN(name, Functor)                                                 \
  {#name, [](auto& in, auto& o) {                                                   \
     return name(in[0], in[1], loss_from_json<losses::Functor>(o), mask_of(in, o)); \
   }},
                  WARPTAPE_LOSSES_OF_TWO(WARPTAPE_RUN)
#undef WARPTAPE_RUN
                      {"bce_with_logits_loss", bce_with_logits},
      {"gaussian_nll_loss",
       [](auto& in, auto& o) {
         return gaussian_nll_loss(in[0], in[1], in[2], loss_from_json<losses::GaussianNll>(o),
                                  mask_of(in, o));
       }},
      {"quantile_loss",
       [](auto& in, auto& o) {
         return quantile_loss(in[0], in[1], o.at("quantiles").template get<std::vector<double>>(),
                              reduction(o), mask_of(in, o));
       }},
      {"nll_loss",
       [](auto& in, auto& o) {
         return nll_loss(in[0], in[1].tensor(),
                         {.reduction = reduction(o), .ignore_index = o.at("ignore_index")});
       }},
      {"where", [](auto& in, auto&) { return where(in[0], in[1], in[2]); }},
      {"slice",
       [](auto& in, auto& o) {
         return slice(in[0], o.at("dim"), optional_number(o, "start"), optional_number(o, "end"),
                      o.at("step"));
       }},
      {"concat", [](auto& in, auto& o) { return concat(in, o.at("dim")); }},
      {"stack", [](auto& in, auto& o) { return stack(in, o.at("dim")); }},
      {"permute", [](auto& in, auto& o) { return permute(in[0], dims(o)); }},
      {"pad",
       [](auto& in, auto& o) {
         return pad(in[0], o.at("pad").template get<std::vector<int64_t>>(), o.at("value"));
       }},
      {"embedding",
       [](auto& in, auto& o) {
         return embedding(in[0], in[1], {.padding_idx = optional_number(o, "padding_idx")});
       }},
      {"gather", [](auto& in, auto& o) { return gather(in[0], o.at("dim"), in[1]); }},
      {"batch_norm", batch_normalised},
      {"layer_norm",
       [](auto& in, auto& o) {
         const Shape shape(o.at("normalized_shape").template get<std::vector<int64_t>>());
         return layer_norm(in[0], shape, optional_operand(in, 1), optional_operand(in, 2),
                           o.at("eps"));
       }},
      {"group_norm",
       [](auto& in, auto& o) {
         return group_norm(in[0], o.at("num_groups"), optional_operand(in, 1),
                           optional_operand(in, 2), o.at("eps"));
       }},
      {"sum", [](auto& in, auto& o) { return sum(in[0], dims(o), o.at("keepdim")); }},
      {"mean", [](auto& in, auto& o) { return mean(in[0], dims(o), o.at("keepdim")); }},
      {"max", [](auto& in, auto& o) { return max(in[0], dims(o), o.at("keepdim")); }},
      {"argmax",
       [](auto& in, auto& o) {
         std::optional<int> dim;
         if (!o.at("dim").is_null()) {
           dim = o.at("dim").template get<int>();
         }
         return argmax(in[0], dim, o.at("keepdim"));
       }},
      {"matmul",
       [](auto& in, auto& o) {
         return matmul(in[0], in[1],
                       {.transpose_a = o.at("transpose_a"), .transpose_b = o.at("transpose_b")});
       }},
      {"linear", [](auto& in, auto&) { return linear(in[0], in[1], optional_operand(in, 2)); }},
      {"linear_relu_linear",
       [](auto& in, auto&) { return perceptron(in[0], in[1], in[2], in[3], in[4]); }},
      {"conv1d",
       [](auto& in, auto& o) {
         return conv1d(in[0], in[1], optional_operand(in, 2),
                       {.stride = o.at("stride"),
                        .padding = padding_1d(o),
                        .dilation = o.at("dilation"),
                        .groups = o.at("groups")});
       }},
      {"conv2d",
       [](auto& in, auto& o) {
         return conv2d(in[0], in[1], optional_operand(in, 2),
                       {.stride = pair(o, "stride"),
                        .padding = padding_2d(o),
                        .dilation = pair(o, "dilation"),
                        .groups = o.at("groups")});
       }},
      {"conv_transpose1d",
       [](auto& in, auto& o) {
         return conv_transpose1d(in[0], in[1], optional_operand(in, 2),
                                 conv_transpose1d_options(o));
       }},
      {"weight_normed_conv_transpose1d",
       [](auto& in, auto& o) {
         return conv_transpose1d(in[0], weight_norm(in[1], in[2]), in[3],
                                 {.stride = o.at("stride"), .groups = o.at("groups")});
       }},
      {"conv_transpose2d",
       [](auto& in, auto& o) {
         return conv_transpose2d(in[0], in[1], optional_operand(in, 2),
                                 {.stride = pair(o, "stride"),
                                  .padding = pair(o, "padding"),
                                  .output_padding = pair(o, "output_padding"),
                                  .dilation = pair(o, "dilation"),
                                  .groups = o.at("groups")});
       }},
      {"max_pool1d",
       [](auto& in, auto& o) {
         return max_pool1d(in[0], {.kernel_size = o.at("kernel_size"),
                                   .stride = o.at("stride"),
                                   .padding = o.at("padding"),
                                   .dilation = o.at("dilation"),
                                   .ceil_mode = o.at("ceil_mode")});
       }},
      {"avg_pool1d",
       [](auto& in, auto& o) {
         return avg_pool1d(in[0], {.kernel_size = o.at("kernel_size"),
                                   .stride = o.at("stride"),
                                   .padding = o.at("padding"),
                                   .ceil_mode = o.at("ceil_mode"),
                                   .count_include_pad = o.at("count_include_pad")});
       }},
      {"adaptive_avg_pool1d",
       [](auto& in, auto& o) { return adaptive_avg_pool1d(in[0], o.at("output_size")); }},
      {"adaptive_max_pool1d",
       [](auto& in, auto& o) { return adaptive_max_pool1d(in[0], o.at("output_size")); }},
      {"max_pool2d", [](auto& in, auto& o) { return max_pool2d(in[0], max_pool_options(o)); }},
      {"relu_max_pool2d",
       [](auto& in, auto& o) { return relu_max_pool2d(in[0], max_pool_options(o)); }},
      {"avg_pool2d",
       [](auto& in, auto& o) {
         return avg_pool2d(in[0], {.kernel_size = pair(o, "kernel_size"),
                                   .stride = pair(o, "stride"),
                                   .padding = pair(o, "padding"),
                                   .ceil_mode = o.at("ceil_mode"),
                                   .count_include_pad = o.at("count_include_pad")});
       }},
      {"global_avg_pool2d", [](auto& in, auto&) { return global_avg_pool2d(in[0]); }},
      {"reshape",
       [](auto& in, auto& o) {
         return reshape(in[0], o.at("shape").template get<std::vector<int64_t>>());
       }},
      {"flatten",
       [](auto& in, auto& o) { return flatten(in[0], o.at("start_dim"), o.at("end_dim")); }},
      {"transpose", [](auto& in, auto& o) { return transpose(in[0], o.at("dim0"), o.at("dim1")); }},
      {"softmax", [](auto& in, auto& o) { return softmax(in[0], o.at("dim")); }},
      {"log_softmax", [](auto& in, auto& o) { return log_softmax(in[0], o.at("dim")); }},
      {"cross_entropy",
       [](auto& in, auto& o) {
         return cross_entropy(in[0], in[1].tensor(),
                              {.reduction = reduction(o),
                               .ignore_index = o.at("ignore_index"),
                               .label_smoothing = o.at("label_smoothing")});
       }},
      {"weight_norm",
       [](auto& in, auto& o) { return weight_norm(in[0], in[1], {.dim = norm_dim(o)}); }},
  };
  return table;
}

void check_case(const Json& golden, MemoryFormat format, Device device) {
  std::vector<Tensor> inputs;
  Tape tape;
  for (const Json& input : golden["inputs"]) {
    inputs.push_back(primitives::relayout(golden_tensor(input), format).to(device));
    if (is_floating(inputs.back().dtype())) {
      tape.watch(inputs.back());
    }
  }
  const Tensor output =
      runs().at(golden["op"])(Operands(inputs.begin(), inputs.end()), golden["options"]);
  const Tensor wanted = golden_tensor(golden["output"]);
  ASSERT_TRUE(output.shape() == wanted.shape())
      << output.shape().to_string() << ", wanted " << wanted.shape().to_string();
  ASSERT_EQ(output.dtype(), wanted.dtype());
  if (output.dtype() == int64) {
    EXPECT_EQ(output.to_vector<int64_t>(), wanted.to_vector<int64_t>());
    return;
  }
  if (output.dtype() == uint8) {
    EXPECT_EQ(output.to_vector<uint8_t>(), wanted.to_vector<uint8_t>());
    return;
  }
  expect_near(output.to_vector<double>(), wanted.to_vector<double>(), 1e-12, "output");
  tape.backward(output, golden_tensor(golden["grad_output"]).to(device));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!golden["grads"][i].is_null()) {
      expect_near(tape.gradient(inputs[i]).to_vector<double>(),
                  golden_tensor(golden["grads"][i]).to_vector<double>(), 1e-12,
                  "gradient of input " + std::to_string(i));
    }
  }
}

// Those of the pointwise ops, of those that move data, of sequences, of windows over them, of
// losses, and of all others.
std::vector<Json> all_cases() {
  std::vector<Json> cases;
  for (const char* file : {"ops.json", "pointwise.json", "moving.json", "sequences.json",
                           "windows.json", "losses.json", "norms.json"}) {
    Json golden = load_golden(file);
    for (Json& entry : golden["cases"]) {
      cases.push_back(std::move(entry));
    }
  }
  return cases;
}

TEST(GoldenOps, EveryCaseMatchesPyTorch) {
  const std::vector<Json> cases = all_cases();
  ASSERT_GT(cases.size(), 150u);
  for (const Json& entry : cases) {
    for (Device device : available_devices()) {
      for (MemoryFormat format : {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast}) {
        SCOPED_TRACE(fmt::format("{} {}, {} on {}", entry["op"].get<std::string>(),
                                 entry["name"].get<std::string>(), to_string(format),
                                 to_string(device)));
        check_case(entry, format, device);
      }
    }
  }
}

// An op without a golden case would go unnoticed otherwise. Dropout draws its own numbers.
TEST(GoldenOps, EveryOpHasACase) {
  std::map<std::string, int> cases;
  for (const Json& entry : all_cases()) {
    ++cases[entry["op"].get<std::string>()];
  }
  for (const auto& [op, run] : runs()) {
    EXPECT_GT(cases[op], 0) << op;
  }
}

}  // namespace
}  // namespace warptape
