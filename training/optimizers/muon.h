#pragma once
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "training/optimizer.h"

namespace warptape {

// Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), for matrices: the mean of
// gradients is brought near the orthogonal matrix that is nearest to it before it is taken for a
// direction, by `ns_steps` steps of a Newton-Schulz iteration, X <- a X + (b A + c A A) X with
// A = X X^T, from X = G / max(||G||, eps). Options, defaults and the update are those of
// torch.optim.Muon, which iterates in bfloat16; here it is the parameter's dtype. Matrices of one
// shape are iterated together.
//
// A filter (O, I, ...) is the matrix of its rows, (O, I * ...), as in Jordan's own program; PyTorch
// takes none. ValueError for a parameter of rank 0 or 1: biases and gains of normalisations belong
// to another optimizer, such as AdamW, and by its authors' advice so do embeddings and the last
// layer.
class Muon : public Optimizer {
 public:
  // What the direction of an (m, n) matrix is scaled by.
  enum class AdjustLr {
    Original,          // sqrt(max(1, m / n))
    MatchRmsAdamW,     // 0.2 sqrt(max(m, n)): rates and weight decay are those of AdamW
    SpectralUnclamped  // sqrt(m / n)
  };
  struct Options {
    double lr = 1e-3;
    double weight_decay = 0.1;  // decoupled
    double momentum = 0.95;
    bool nesterov = true;
    std::array<double, 3> ns_coefficients = {3.4445, -4.7750, 2.0315};  // a, b, c
    double eps = 1e-7;
    int ns_steps = 5;  // below 100
    AdjustLr adjust_lr_fn = AdjustLr::Original;
    // NorMuon (Li et al. 2025, arXiv 2510.05491): every row of the orthogonalised O is divided by
    // the root of the mean over steps of its mean square, V <- beta2 V + (1 - beta2) mean(O O), to
    // O / (sqrt(V) + eps), and scaled by 0.2 sqrt(m n) / || ||, in place of adjust_lr_fn.
    bool row_normalization = false;
    double beta2 = 0.95;
    Constraint constraint = Constraint::None;
  };
  struct Group {
    ParameterStates parameters = {};
    // In place of the optimizer's:
    std::optional<double> lr = {};
    std::optional<double> weight_decay = {};
    std::optional<double> momentum = {};
    std::optional<bool> nesterov = {};
    std::optional<std::array<double, 3>> ns_coefficients = {};
    std::optional<double> eps = {};
    std::optional<int> ns_steps = {};
    std::optional<AdjustLr> adjust_lr_fn = {};
    std::optional<bool> row_normalization = {};
    std::optional<double> beta2 = {};
    std::optional<Constraint> constraint = {};
  };
  Muon(ParameterStates parameters, Options options)  // ValueError names the option
      : Muon(std::vector<Group>{{.parameters = std::move(parameters)}}, options) {}
  explicit Muon(ParameterStates parameters) : Muon(std::move(parameters), Options()) {}
  template <class GroupOfMuon = Group>  // a template, so that {} means no parameters
  explicit Muon(std::vector<GroupOfMuon> groups) : Muon(std::move(groups), Options()) {}
  template <class GroupOfMuon = Group>
  Muon(std::vector<GroupOfMuon> groups, Options options)
      : Optimizer("Muon", with_defaults(std::move(groups), options)) {
    check_rule();
  }

 private:
  static std::vector<GroupOf> with_defaults(std::vector<Group> groups, const Options& options);
  std::vector<const char*> buffers(const OptimizerOptions& options) const override;
  Tensor make_buffer(size_t buffer, const Tensor& value) const override;
  void update(Device device, std::span<ParameterUpdate> updates, const OptimizerOptions& options,
              StepState& state) override;

  Tensor uncounted_;  // steps of the launches before the last one, which nobody reads
};

}  // namespace warptape
