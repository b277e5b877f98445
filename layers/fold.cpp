#include "layers/fold.h"

#include <map>
#include <utility>

#include "core/check.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

struct FoundWeight {
  std::string name;
  Weight* weight;
  bool in_training;  // its layer
};

// The weights of a model by their paths.
class Weights : public Visitor {
 public:
  explicit Weights(Module& model) : in_training_(model.is_training()) { descend(model); }
  std::vector<FoundWeight> found;

 protected:
  void on_module(const std::string& name, Module& module) override {
    const std::string outer = std::exchange(prefix_, prefix_ + name + ".");
    const bool mode = std::exchange(in_training_, module.is_training());
    descend(module);
    prefix_ = outer;
    in_training_ = mode;
  }
  void on_weight(const std::string& name, Weight& weight) override {
    found.push_back({prefix_ + name, &weight, in_training_});
  }

 private:
  std::string prefix_;
  bool in_training_;
};

}  // namespace

Folded fold(Module& model, const Site& site) {
  refresh_weight_norm(model, site);  // all of them in one launch
  Folded folded;
  try {
    for (const FoundWeight& each : Weights(model).found) {
      const Reparametrization* const by = each.weight->reparametrization();
      if (by != nullptr) {
        folded.push_back({each.name, by->settings(), each.weight->shape(), nullptr});
        folded.back().by = each.weight->remove_reparametrization("fold", site);
      }
    }
  } catch (...) {
    if (!folded.empty() && folded.back().by == nullptr) {
      folded.pop_back();
    }
    unfold(model, std::move(folded), site);
    throw;
  }
  return folded;
}

void unfold(Module& model, Folded folded, const Site& site) {
  std::map<std::string, FoundWeight> weights;
  for (const FoundWeight& each : Weights(model).found) {
    weights.emplace(each.name, each);
  }
  for (const FoldedWeight& each : folded) {
    const auto found = weights.find(each.name);
    check<ValueError>(found != weights.end(), site, "[unfold] {}: it is no weight of {}",
                      excerpt(each.name), escaped(model.type_name()));
    const Weight& weight = *found->second.weight;
    check<ValueError>(each.by != nullptr && weight.reparametrization() == nullptr, site,
                      "[unfold] {}: got a weight that is not plain, wanted one as fold leaves it",
                      excerpt(each.name));
    check<ShapeError>(weight.shape() == each.shape, site, "[unfold] {}: got shape {}, wanted {}",
                      excerpt(each.name), each.shape, weight.shape());
  }
  for (FoldedWeight& each : folded) {
    const FoundWeight& found = weights.at(each.name);
    found.weight->restore_reparametrization(std::move(each.by), found.in_training, "unfold", site);
  }
}

}  // namespace warptape
