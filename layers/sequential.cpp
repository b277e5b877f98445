#include "layers/sequential.h"

#include <utility>

#include "core/check.h"

namespace warptape {

Sequential::Sequential(const Sequential& other) : Module(other) {
  for (const auto& item : other.items_) {
    items_.push_back(item->clone());
  }
}

Sequential& Sequential::operator=(const Sequential& other) {
  if (this == &other) {
    return *this;
  }
  Sequential copy(other);  // first: other may be one of the modules here
  items_.resize(copy.items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    if (!items_[i] || !items_[i]->assign(*copy.items_[i])) {
      items_[i] = std::move(copy.items_[i]);
      items_[i]->module().train(is_training());
    }
  }
  return *this;
}

Module& Sequential::operator[](size_t index) {
  check<ValueError>(index < items_.size(), "[Sequential] index: got {}, wanted one of {} modules",
                    index, items_.size());
  return items_[index]->module();
}

void Sequential::fields(Visitor& visit) {
  for (size_t i = 0; i < items_.size(); ++i) {
    visit(std::to_string(i), items_[i]->module());
  }
}

Tensor Sequential::forward(const Operand& x) {
  check<Error>(!items_.empty(), x.site(), "[Sequential] has no modules");
  Tensor y = items_[0]->module()(x);
  // Each is handed on, so that the next module may do its work with its own (core/deferred.h).
  for (size_t i = 1; i < items_.size(); ++i) {
    y = items_[i]->module()(Operand(std::move(y), x.site().file, x.site().line));
  }
  return y;
}

}  // namespace warptape
