// A member that fields() forgets is an error in the first call, and nothing else is.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <thread>

#include "kernels/ops.h"
#include "layers/linear.h"
#include "layers/module_list.h"
#include "layers/relu.h"
#include "layers/weight_norm.h"
#include "models/simple_cnn.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

// Lists the members whose names are in `listed`.
struct Net : Module {
  std::string listed = "abcd";
  Linear a{2, 2};
  Parameter b{Tensor::ones({2})};
  ReLU c;
  Buffer d{Tensor::ones({2, 1})};
  explicit Net(std::string which) : listed(std::move(which)) {}
  bool lists(char name) const { return listed.find(name) != std::string::npos; }
  void fields(Visitor& visit) override {
    if (lists('d')) {
      visit("d", d);  // in any order
    }
    if (lists('a')) {
      visit("a", a);
    }
    if (lists('b')) {
      visit("b", b);
    }
    if (lists('c')) {
      visit("c", c);
    }
  }
  Tensor forward(const Operand& x) override { return c(mul(a(x), b)); }
};

void call(Module& module) {
  module(Tensor::ones({1, 2}));
}

void expect_missing(Module& module, const std::vector<std::string>& parts) {
  for (int i = 0; i < 2; ++i) {  // as often as it is called
    expect_throws<ValueError>([&] { call(module); }, parts);
  }
}

TEST(ForgottenMembers, AreNamedByTypeAndNeighbours) {
  Net all("abcd");
  EXPECT_NO_THROW(call(all));
  struct Case {
    const char* listed;
    const char* message;
  };
  const Case cases[] = {
      {"bcd", "lists 3 of 4 members: a Linear before b is missing"},
      {"acd", "lists 3 of 4 members: a Parameter of shape (2,) between a and c is missing"},
      {"abd", "lists 3 of 4 members: a ReLU between b and d is missing"},
      {"abc", "lists 3 of 4 members: a Buffer of shape (2, 1) after c is missing"},
      {"ad",
       "lists 2 of 4 members: a Parameter of shape (2,) between a and d, a ReLU between a and d "
       "are missing"},
      {"", "lists 0 of 4 members: a Linear, a Parameter of shape (2,), a ReLU, a Buffer of shape"},
  };
  for (const Case& one : cases) {
    Net net(one.listed);
    expect_missing(net, {"[Net] fields() ", one.message, "leave_out", "forgotten_member_test.cpp"});
  }
}

TEST(ForgottenMembers, AreFoundWhereverTheModuleLies) {
  const auto heap = std::make_unique<Net>("abc");
  expect_missing(*heap, {"a Buffer of shape (2, 1) after c"});
  const auto shared = std::make_shared<Net>("abc");
  expect_missing(*shared, {"a Buffer"});
  static Net fixed("bcd");
  expect_missing(fixed, {"a Linear before b"});
  std::vector<Net> grown;
  for (int i = 0; i < 5; ++i) {
    grown.emplace_back("abd");
  }
  expect_missing(grown[0], {"a ReLU"});
  Sequential items{Net("abcd"), Net("acd")};
  expect_missing(items, {"[Net] 1: fields() lists 3 of 4", "a Parameter"});
  Net copy = Net("bcd");
  expect_missing(copy, {"a Linear"});
  std::thread([&] { expect_missing(copy, {"a Linear"}); }).join();
}

TEST(ForgottenMembers, OfAPartAreNamedThere) {
  struct Outer : Module {
    Net inner{"abc"};
    Linear head{2, 2};
    void fields(Visitor& visit) override { visit("inner", inner)("head", head); }
    Tensor forward(const Operand& x) override { return head(inner(x)); }
  } outer;
  expect_missing(outer, {"[Net] inner: fields() lists 3 of 4"});
}

TEST(ForgottenMembers, AreNotWhatLiesElsewhere) {
  struct Student : Module {
    Linear own{2, 2};
    Module* teacher = nullptr;
    std::unique_ptr<Module> owned_teacher;
    void fields(Visitor& visit) override { visit("own", own); }
    Tensor forward(const Operand& x) override {
      const Linear temporary(2, 2);
      return add(own(x), (*teacher)(x));
    }
  };
  Linear before(2, 2);
  Student student;
  Linear after(2, 2);
  Linear neighbours[2] = {{2, 2}, {2, 2}};
  student.owned_teacher = std::make_unique<Linear>(2, 2);
  for (Module* teacher : std::initializer_list<Module*>{&before, &after, &neighbours[0],
                                                        student.owned_teacher.get()}) {
    Student fresh;
    fresh.teacher = teacher;
    EXPECT_NO_THROW(call(fresh));
    student.teacher = teacher;
    EXPECT_NO_THROW(call(student));
  }
}

TEST(ForgottenMembers, AreNotWhatIsLeftOutByName) {
  struct Distilled : Module {
    Linear own{2, 2};
    Linear teacher{2, 2};
    Parameter scale{Tensor::ones({2})};
    Buffer scratch{Tensor::ones({2})};
    Weight weight{Tensor::ones({2, 2})};
    void fields(Visitor& visit) override {
      visit("own", own).leave_out(teacher).leave_out(scale).leave_out(scratch).leave_out(weight);
    }
    Tensor forward(const Operand& x) override { return add(own(x), teacher(x)); }
  } net;
  EXPECT_NO_THROW(call(net));
  EXPECT_EQ(parameters(net).size(), 2U);
}

TEST(ForgottenMembers, AreNotPartsAndNotWhatIsUndefined) {
  struct Parts : Module {
    std::vector<Linear> range{Linear(2, 2)};
    std::array<Linear, 2> array{Linear(2, 2), Linear(2, 2)};
    std::optional<Linear> engaged{std::in_place, 2, 2};
    std::optional<Linear> empty;
    std::array<Parameter, 2> gains{Parameter(Tensor::ones({2})), Parameter()};
    Linear without_bias{Linear::Options{.in_features = 2, .out_features = 2, .bias = false}};
    Linear normed{2, 2};
    Weight weight{Tensor::ones({2, 2})};
    Parameter undefined;
    Sequential items{ReLU(), Linear(2, 2)};
    ModuleList list{ReLU(), Linear(2, 2)};
    Parts() { weight_norm(normed); }
    void fields(Visitor& visit) override {
      visit("range", range)("array", array)("engaged", engaged)("empty", empty)("gains", gains);
      visit("without_bias", without_bias)("normed", normed)("weight", weight)("items", items);
      visit("list", list);
    }
    Tensor forward(const Operand& x) override { return normed(x); }
  } parts;
  EXPECT_NO_THROW(call(parts));
  Parts copy = parts;
  EXPECT_NO_THROW(call(copy));
  Parts moved = std::move(copy);
  EXPECT_NO_THROW(call(moved));
  SimpleCNN cnn({.input_channels = 1, .num_classes = 2, .image_size = 4});
  EXPECT_NO_THROW(cnn(Tensor::ones({1, 1, 4, 4})));
}

TEST(ForgottenMembers, AWeightAndAnElementOfAnArrayAreOnesToo) {
  struct Normed : Module {
    Weight weight{Tensor::ones({2, 2})};
    std::array<Linear, 2> array{Linear(2, 2), Linear(2, 2)};
    bool lists_weight = false;
    void fields(Visitor& visit) override {
      if (lists_weight) {
        visit("weight", weight);
        visit("first", array[0]);
      } else {
        visit("array", array);
      }
    }
    Tensor forward(const Operand& x) override { return x; }
  } net;
  net.weight.reparametrize(std::make_unique<WeightNorm>(net.weight.value()), "test", {});
  expect_missing(net, {"a Weight of shape (2, 2) before array.0 is missing"});
  net.lists_weight = true;
  expect_missing(net, {"a Linear after first is missing"});
}

// A module may hand on the fields of another one as its own.
TEST(ForgottenMembers, AreNotInAModuleWhosePartsAreListed) {
  struct Wrapper : Module {
    Net inner{"abcd"};
    bool forgets = false;
    void fields(Visitor& visit) override {
      if (forgets) {
        visit("a", inner.a)("b", inner.b)("d", inner.d);
      } else {
        inner.fields(visit);
      }
    }
    Tensor forward(const Operand& x) override { return inner(x); }
  } wrapper;
  EXPECT_NO_THROW(call(wrapper));
  Wrapper forgetful;
  forgetful.forgets = true;
  expect_missing(forgetful, {"[Wrapper] fields() lists 3 of 4", "a ReLU between b and d"});
}

// GCC takes the delete of what does not begin with its Module for one of what was not allocated.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"
#endif

struct Plain {
  virtual ~Plain() = default;
  int numbers[5] = {};
  Linear first{2, 2};
};
struct alignas(64) Derived : Plain, Net {
  Linear last{2, 2};
  bool lists_all = false;
  Derived() : Net("abcd") {}
  void fields(Visitor& visit) override {
    Net::fields(visit);
    visit("first", first);
    if (lists_all) {
      visit("last", last);
    }
  }
};

TEST(ForgottenMembers, OfBasesAndOfAlignedModulesAreFound) {
  Derived derived;
  expect_missing(derived, {"[Derived] fields() lists 5 of 6", "a Linear after d"});
  struct Holder : Module {
    Derived part;
    void fields(Visitor& visit) override { visit("part", part); }
    Tensor forward(const Operand& x) override { return x; }
  } holder;
  EXPECT_NO_THROW(call(holder)) << "what lies in a part before its Module is a part of it";
  Derived good;
  good.lists_all = true;
  EXPECT_NO_THROW(call(good));
}

// Their sizes come by way of operator delete, which has to delete as well.
TEST(ForgottenMembers, ModulesAreDeletedAsEver) {
  struct Counts : Module {
    explicit Counts(int& count) : count(count) { ++count; }
    ~Counts() override { --count; }
    Tensor forward(const Operand& x) override { return x; }
    int& count;
  };
  struct alignas(128) Wide : Counts {
    using Counts::Counts;
    Linear inner{2, 2};
    void fields(Visitor& visit) override { visit("inner", inner); }
  };
  struct Throws : Counts {
    explicit Throws(int& count) : Counts(count) { throw ValueError("told to"); }
  };
  int count = 0;
  {
    std::vector<std::unique_ptr<Module>> modules;
    modules.push_back(std::make_unique<Counts>(count));
    modules.push_back(std::make_unique<Wide>(count));
    modules.emplace_back(new Wide(count));
    const std::unique_ptr<const Module> constant = std::make_unique<Counts>(count);
    for (const auto& module : modules) {
      call(*module);
    }
    EXPECT_EQ(count, 4);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(modules[2].get()) % 128, 0U);
    EXPECT_THROW(std::make_unique<Throws>(count), ValueError);
    EXPECT_EQ(count, 4);
  }
  EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace warptape
