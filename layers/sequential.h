#pragma once
#include <memory>
#include <vector>

#include "layers/module.h"

namespace warptape {

// As torch.nn.Sequential: modules by value, one after the other, named "0", "1", ...
//
//   Sequential net(Linear(4, 8), ReLU(), Linear(8, 2));
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... Layers>
  requires(sizeof...(Layers) > 0 && (std::is_base_of_v<Module, std::decay_t<Layers>> && ...) &&
           !(sizeof...(Layers) == 1 && (std::is_same_v<std::decay_t<Layers>, Sequential> &&
                                        ...))) explicit Sequential(Layers&&... layers) {
    (append(std::forward<Layers>(layers)), ...);
  }
  Sequential(const Sequential& other);
  // Assigns module by module where the types are the same, else becomes a copy.
  Sequential& operator=(const Sequential& other);
  Sequential(Sequential&&) noexcept = default;
  Sequential& operator=(Sequential&&) noexcept = default;

  template <class Layer>
  Sequential& append(Layer&& layer) {
    items_.push_back(std::make_unique<Holder<std::decay_t<Layer>>>(std::forward<Layer>(layer)));
    return *this;
  }
  size_t size() const { return items_.size(); }
  Module& operator[](size_t index);  // ValueError if there is none

  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "Sequential"; }

 private:
  struct Item {
    virtual ~Item() = default;
    virtual std::unique_ptr<Item> clone() const = 0;
    // False, and nothing is done, if the other one's layer is of another type.
    virtual bool assign(const Item& other) = 0;
    virtual Module& module() = 0;
  };
  template <class Layer>
  struct Holder final : Item {
    explicit Holder(const Layer& value) : layer(value) {}
    explicit Holder(Layer&& value) : layer(std::move(value)) {}
    std::unique_ptr<Item> clone() const override { return std::make_unique<Holder>(layer); }
    bool assign(const Item& other) override {
      const auto* same = dynamic_cast<const Holder*>(&other);
      if constexpr (std::is_copy_assignable_v<Layer>) {
        if (same != nullptr) {
          layer = same->layer;
        }
        return same != nullptr;
      }
      return false;
    }
    Module& module() override { return layer; }
    Layer layer;
  };
  std::vector<std::unique_ptr<Item>> items_;
};

}  // namespace warptape
