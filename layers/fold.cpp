#include "layers/fold.h"

#include <map>
#include <utility>

#include "core/check.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

// The weights of a model by their paths, each once, under its first name.
class Weights : public Visitor {
 public:
  explicit Weights(Module& model) { descend(model); }
  std::vector<std::pair<std::string, Weight*>> found;

 protected:
  void on_module(const std::string& name, Module& module) override {
    const std::string outer = std::exchange(prefix_, prefix_ + name + ".");
    descend(module);
    prefix_ = outer;
  }
  void on_weight(const std::string& name, Weight& weight) override {
    found.emplace_back(prefix_ + name, &weight);
  }

 private:
  std::string prefix_;
};

}  // namespace

Folded fold(Module& model, const Site& site) {
  refresh_weight_norm(model, site);  // all of them in one launch
  Folded folded;
  for (const auto& [name, weight] : Weights(model).found) {
    if (weight->reparametrization() != nullptr) {
      std::string settings = weight->reparametrization()->settings();
      folded.push_back({name, std::move(settings), weight->remove_reparametrization("fold", site)});
    }
  }
  return folded;
}

void unfold(Module& model, Folded folded, const Site& site) {
  std::map<std::string, Weight*> weights;
  for (const auto& [name, weight] : Weights(model).found) {
    weights.emplace(name, weight);
  }
  for (const FoldedWeight& each : folded) {
    const auto found = weights.find(each.name);
    check<ValueError>(found != weights.end(), site, "[unfold] {}: it is no weight of {}",
                      excerpt(each.name), escaped(model.type_name()));
    check<ValueError>(each.by != nullptr && found->second->reparametrization() == nullptr, site,
                      "[unfold] {}: got a weight that is not plain, wanted one as fold leaves it",
                      excerpt(each.name));
  }
  for (FoldedWeight& each : folded) {
    weights.at(each.name)->restore_reparametrization(std::move(each.by), "unfold", site);
  }
}

}  // namespace warptape
