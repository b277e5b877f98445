#pragma once
#include "layers/sequential.h"

namespace warptape {

// As torch.nn.ModuleList: modules by value, named "0", "1", ..., which whoever holds them calls.
//
//   ModuleList blocks;
//   blocks.append(Linear(4, 4)).append(Linear(4, 2));
//   for (Module& block : blocks) {
//     x = block(x);
//   }
class ModuleList : public Sequential {
 public:
  class Iterator {
   public:
    Iterator(ModuleList& list, size_t index) : list_(&list), index_(index) {}
    Module& operator*() const { return (*list_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    ModuleList* list_;
    size_t index_;
  };

  ModuleList() = default;
  template <class... Layers>
  requires(sizeof...(Layers) > 0 && (std::is_base_of_v<Module, std::decay_t<Layers>> && ...) &&
           !(sizeof...(Layers) == 1 && (std::is_same_v<std::decay_t<Layers>, ModuleList> &&
                                        ...))) explicit ModuleList(Layers&&... layers) {
    (append(std::forward<Layers>(layers)), ...);
  }
  Iterator begin() { return {*this, 0}; }
  Iterator end() { return {*this, size()}; }

  Tensor forward(const Operand& x) override {
    throw ValueError("[ModuleList] it has no forward: call its modules" + at(x.site()));
  }
  std::string type_name() const override { return "ModuleList"; }
};

}  // namespace warptape
