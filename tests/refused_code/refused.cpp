// Code that must not compile, one mistake per number, each with the one line that the compiler has
// to say. tests/refused_code/CMakeLists.txt lists them. Number 0 is free of mistakes.

#include "core/operand.h"
#include "layers/linear.h"
#include "layers/state_dict.h"

namespace warptape {

struct Net : Module {
  void fields(Visitor& visit) override {
    visit("fc", fc);
#if REFUSED == 1
    visit("width", width);
#elif REFUSED == 2
    visit("names", names);
#elif REFUSED == 3
    const Linear& constant = fc;
    visit("constant", constant);
#endif
  }
  Tensor forward(const Operand& x) override {
    Tensor y = x;
#if REFUSED == 4
    return deep ? x : fc(x);
#else
    if (deep) {
      y = fc(x);
    }
    return y;
#endif
  }
  Linear fc{2, 2};
  int width = 2;
  std::vector<std::string> names;
  bool deep = false;
};

void use(const Net& net) {
  (void)state_dict(net);
#if REFUSED == 5
  (void)named_parameters(net);
#elif REFUSED == 6
  (void)parameters(net);
#elif REFUSED == 7
  (void)Tensor().data<int>();
#endif
}

}  // namespace warptape
