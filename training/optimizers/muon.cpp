#include "training/optimizers/muon.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "kernels/ops.h"
#include "kernels/weight_norm/weight_norm.h"
#include "training/constraints.h"

namespace warptape {
namespace {

constexpr double unbounded = std::numeric_limits<double>::infinity();

// Matrices of one shape and dtype.
struct MatrixBatch {
  Tensor directions;           // (count, m, n)
  std::vector<size_t> places;  // of theirs among the updates

  int64_t rows() const { return directions.size(1); }
  int64_t columns() const { return directions.size(2); }
  // Of a tensor of this batch.
  static Tensor matrix(const Tensor& tensor, size_t k) {
    const auto at = static_cast<int64_t>(k);
    return tensor.slice(at, at + 1);
  }
};

// In the order in which the first of each shape comes. A batch of matrices that do not all start at
// 16 bytes has one: kernels of a step read packs of a direction.
std::vector<MatrixBatch> batches_of(std::span<const ParameterUpdate> updates) {
  std::vector<MatrixBatch> batches;
  std::vector<std::array<int64_t, 2>> shapes;
  for (size_t i = 0; i < updates.size(); ++i) {
    const Tensor& value = updates[i].value;
    if (value.numel() == 0) {
      continue;
    }
    const std::array<int64_t, 2> shape = {value.size(0), value.numel() / value.size(0)};
    size_t at = 0;
    while (at < batches.size() && (shapes[at] != shape || value.bytes() % 16 != 0 ||
                                   updates[batches[at].places[0]].value.dtype() != value.dtype())) {
      ++at;
    }
    if (at == batches.size()) {
      batches.emplace_back();
      shapes.push_back(shape);
    }
    batches[at].places.push_back(i);
  }
  for (size_t at = 0; at < batches.size(); ++at) {
    const Tensor& value = updates[batches[at].places[0]].value;
    const auto count = static_cast<int64_t>(batches[at].places.size());
    batches[at].directions =
        Tensor::empty({count, shapes[at][0], shapes[at][1]}, value.dtype(), value.device());
  }
  return batches;
}

template <class Constants>
void launch_muon(Device device, std::span<ParameterUpdate> updates, const Constants& constants,
                 StepState& state) {
  on_device(
      "Muon", device, [&] { optimizer_step_cpu(updates, constants, state); },
      [&] { optimizer_step_cuda(updates, constants, state); });
}

// One norm per matrix, (count, 1, 1), and at least eps.
Tensor norms_of(const Tensor& matrices, const OptimizerOptions& options) {
  return clamp(norm_except_dim(matrices, 0), {.min = options["eps"]});
}

// Near the nearest orthogonal matrices: singular values of about 0.7 to 1.2 with 5 steps. The Gram
// matrix is that of the shorter side.
Tensor orthogonalized(const Tensor& directions, const OptimizerOptions& options) {
  const auto scalar = [&](const char* name) {
    return Tensor::full({}, options[name], directions.dtype(), directions.device());
  };
  const Tensor a = scalar("ns_a");
  const Tensor b = scalar("ns_b");
  const Tensor c = scalar("ns_c");
  const bool is_tall = directions.size(1) > directions.size(2);
  Tensor x = div(directions, norms_of(directions, options));
  for (int step = 0; step < static_cast<int>(options["ns_steps"]); ++step) {
    const Tensor gram = matmul(x, x, {.transpose_a = is_tall, .transpose_b = !is_tall});
    const Tensor polynomial = b * gram + c * matmul(gram, gram);
    x = a * x + (is_tall ? matmul(x, polynomial) : matmul(polynomial, x));
  }
  return x;
}

double adjustment(Muon::AdjustLr rule, const MatrixBatch& batch) {
  const auto rows = static_cast<double>(batch.rows());
  const auto columns = static_cast<double>(batch.columns());
  switch (rule) {
    case Muon::AdjustLr::MatchRmsAdamW:
      return 0.2 * std::sqrt(std::max(rows, columns));
    case Muon::AdjustLr::SpectralUnclamped:
      return std::sqrt(rows / columns);
    default:
      return std::sqrt(std::max(1.0, rows / columns));
  }
}

// The mean square of each row goes to its mean over steps, in `state`, whose root divides the row.
Tensor with_normal_rows(const MatrixBatch& batch, std::span<const ParameterUpdate> updates,
                        const OptimizerOptions& options, StepState& state) {
  const Tensor& directions = batch.directions;
  const Tensor squares = mean(directions * directions, {2}, true);
  const Tensor means = Tensor::empty_like(squares);
  std::vector<ParameterUpdate> of_rows;
  for (size_t k = 0; k < batch.places.size(); ++k) {
    const ParameterUpdate& of = updates[batch.places[k]];
    of_rows.push_back({MatrixBatch::matrix(means, k),
                       MatrixBatch::matrix(squares, k),
                       {of.buffers[1]},
                       of.entry});
  }
  launch_muon(means.device(), of_rows, MomentumConstants{options["beta2"], false}, state);
  const Tensor normal = directions / (sqrt(means) + options["eps"]);
  const auto elements = static_cast<double>(batch.rows() * batch.columns());
  return normal * (0.2 * std::sqrt(elements) / norms_of(normal, options));
}

void check_are_matrices(const ParameterStates& parameters) {
  for (const auto& parameter : parameters) {
    if (parameter == nullptr || !parameter->value.defined()) {
      continue;  // the optimizer says so of any
    }
    check<ValueError>(parameter->value.rank() >= 2,
                      "[Muon] got {}, wanted matrices or filters, of 2 dimensions or more; give it "
                      "to another optimizer, such as AdamW",
                      describe(*parameter));
  }
}

}  // namespace

std::vector<Optimizer::GroupOf> Muon::with_defaults(std::vector<Group> groups,
                                                    const Options& options) {
  std::vector<GroupOf> result;
  for (Group& group : groups) {
    check_are_matrices(group.parameters);
    const auto [a, b, c] = group.ns_coefficients.value_or(options.ns_coefficients);
    const AdjustLr adjust = group.adjust_lr_fn.value_or(options.adjust_lr_fn);
    const bool by_rows = group.row_normalization.value_or(options.row_normalization);
    result.push_back(
        {std::move(group.parameters),
         group.lr.value_or(options.lr),
         {{"weight_decay", group.weight_decay.value_or(options.weight_decay)},
          {"momentum", group.momentum.value_or(options.momentum)},
          {"nesterov", group.nesterov.value_or(options.nesterov) ? 1.0 : 0.0, 0, 2},
          {"ns_a", a, -unbounded},
          {"ns_b", b, -unbounded},
          {"ns_c", c, -unbounded},
          {"eps", group.eps.value_or(options.eps)},
          {"ns_steps", static_cast<double>(group.ns_steps.value_or(options.ns_steps)), 0, 100},
          {"adjust_lr_fn", static_cast<double>(adjust), 0, 3},
          {"row_normalization", by_rows ? 1.0 : 0.0, 0, 2},
          {"beta2", group.beta2.value_or(options.beta2), 0, 1},
          constraint_option(group.constraint.value_or(options.constraint))}});
  }
  return result;
}

std::vector<const char*> Muon::buffers(const OptimizerOptions& options) const {
  return {"momentum_buffer",
          options["row_normalization"] != 0 ? "second_momentum_buffer" : nullptr};
}

// Zeros, so that the first step needs no rule of its own. The second one has an element per row.
Tensor Muon::make_buffer(size_t buffer, const Tensor& value) const {
  Tensor result;
  if (buffer == 0) {
    result = Tensor::empty_like(value);
  } else {
    std::vector<int64_t> shape(static_cast<size_t>(value.rank()), 1);
    shape[0] = value.size(0);
    result = Tensor::empty(Shape(shape), value.dtype(), value.device());
  }
  primitives::fill(result, 0);
  return result;
}

void Muon::update(Device device, std::span<ParameterUpdate> updates,
                  const OptimizerOptions& options, StepState& state) {
  if (!uncounted_.defined() || uncounted_.device() != device) {
    uncounted_ = Tensor::zeros(state.steps.shape(), int64, device);
  }
  StepState uncounted = state;
  uncounted.steps = uncounted_;
  std::vector<MatrixBatch> batches = batches_of(updates);
  std::vector<ParameterUpdate> momenta;
  for (const MatrixBatch& batch : batches) {
    for (size_t k = 0; k < batch.places.size(); ++k) {
      const ParameterUpdate& of = updates[batch.places[k]];
      momenta.push_back(
          {MatrixBatch::matrix(batch.directions, k), of.grad, {of.buffers[0]}, of.entry, of.clip});
    }
  }
  launch_muon(device, momenta, MomentumConstants{options["momentum"], options["nesterov"] != 0},
              uncounted);
  const bool by_rows = options["row_normalization"] != 0;
  const auto adjust = static_cast<AdjustLr>(static_cast<int>(options["adjust_lr_fn"]));
  for (MatrixBatch& batch : batches) {
    batch.directions = orthogonalized(batch.directions, options);
    batch.directions = by_rows ? with_normal_rows(batch, updates, options, uncounted)
                               : batch.directions * adjustment(adjust, batch);
    for (size_t k = 0; k < batch.places.size(); ++k) {
      ParameterUpdate& of = updates[batch.places[k]];
      of.grad = MatrixBatch::matrix(batch.directions, k);
      of.clip = Tensor();  // the mean is of clipped gradients
      of.buffers = {};
    }
  }
  launch_muon(device, updates, DirectionConstants{options["weight_decay"]}, state);
}

}  // namespace warptape
