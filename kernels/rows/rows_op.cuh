#pragma once
// Kernels over the rows of a tensor, along any of its dimensions: an accumulation along each row
// and then, element by element, an output of the same shape. row_geometry.h says who owns a row. An
// Op, a struct that is a kernel argument, has
//
//   Element: the type of an element; values are Compute<Element>
//   inputs: how many tensors are read, a static constexpr int
//   Block: what a thread keeps for all rows of its block
//   Row: what it keeps of its part of a row; has a member `state` of a type State
//   Block prepare() const: all threads of the block call it together
//   static State identity(): the state of no elements
//   void begin(int64_t row, int64_t first, bool leads, Row&) const: of a row whose first element is
//       element `first` in memory; one thread of those on the row leads
//   void add(Row&, Block&, items) const: items(visit) calls visit(index, values) for the thread's
//   static State combine(State a, State b): of both; commutative
//   void complete(Row&, Block&, bool leads) const: the row's state is in all its threads
//   Compute<Element> value(const Row&, const Block&, int64_t index, values) const: what is written
//   void finish(const Block&, Part) const: all threads of the block call it together, at the end
//
// A row that is divided goes through two launches: prepare, begin, add and finish(States) in the
// first, prepare, begin, complete, value and finish(Values) in the second. Its thread leads in the
// second alone.
//
// All orders are fixed, so that results have the same bits every time.

#include "core/device/launch.h"
#include "core/elementwise.cuh"
#include "kernels/rows/row_geometry.h"

namespace warptape::rows {

using elementwise::Inputs;

// For Ops that have nothing of a block; one with pointers lists them itself.
struct NothingPerBlock : elementwise::NoPointers {
  struct Block {};
  __device__ Block prepare() const { return {}; }
  __device__ void finish(const Block&, Part) const {}
  template <class Row>
  __device__ void begin(int64_t, int64_t, bool, Row&) const {}
};

template <class Op>
using State = decltype(Op::Row::state);

// What a launch does with divided rows, and where their states lie.
template <class Op>
struct Chunks {
  Part part = Part::Whole;
  State<Op>* states = nullptr;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(states);
  }
};

template <class Op>
struct CombineStates {
  __device__ State<Op> operator()(const State<Op>& a, const State<Op>& b) const {
    return Op::combine(a, b);
  }
};

}  // namespace warptape::rows
