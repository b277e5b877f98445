// warptape predict, of models of sequences

#include <algorithm>

#include <fmt/format.h>

#include "core/check.h"
#include "core/primitives.h"
#include "layers/precision.h"
#include "models/tcn.h"
#include "tools/predict_options.h"
#include "training/npy.h"
#include "training/sequence_checkpoint.h"

namespace warptape::tools {
namespace {

// Sequences that go through the model at once: so many steps at most, where one has fewer.
constexpr int64_t steps_at_once = int64_t{1} << 18;

}  // namespace

void predict_sequences(const PredictOptions& options, Device device) {
  const NamedTensors checkpoint = load_safetensors(options.checkpoint);
  ToldSequenceModel told = told_by(checkpoint, options.checkpoint, options.model);
  told.general.every_step = told.general.every_step || options.every_step;
  check_precision(options, told.general.dtype);
  const std::unique_ptr<Module> model =
      sequence_models().find(options.model).make(told.general, told.own);
  load_checkpoint(options.checkpoint, without_duplicates(checkpoint.tensors), *model);
  const Tensor input = load_array(options.input, 3, "(N, C, L)");
  check<ValueError>(input.size(1) == told.general.input_channels,
                    "[predict] {}: got {} channels in shape {}, the checkpoint {} takes {}",
                    escaped(options.input), input.size(1), input.shape(),
                    escaped(options.checkpoint), told.general.input_channels);
  model->to(device);
  if (options.precision == "bf16") {
    set_precision(*model, bfloat16);
  }
  model->eval();
  const int64_t count = input.size(0);
  const int64_t length = input.size(2);
  const Shape shape = told.general.every_step ? Shape{count, length, told.general.output_size}
                                              : Shape{count, told.general.output_size};
  Tensor output = Tensor::empty(shape, told.general.dtype);
  const int64_t batch = std::max<int64_t>(1, steps_at_once / std::max<int64_t>(1, length));
  for (int64_t begin = 0; begin < count; begin += batch) {
    const int64_t end = std::min(count, begin + batch);
    Tensor part = output.slice(begin, end);
    const Tensor x = primitives::cast(input.slice(begin, end).to(device), told.general.dtype);
    primitives::copy(in_float32((*model)(x)).to(cpu), part);
  }
  fmt::print("{}\n", to_string(*model));
  save_array(options.output, output, "outputs");
}

}  // namespace warptape::tools
