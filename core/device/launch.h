#pragma once
// launch(kernel, {.grid = ..., .block = ..., .stream = ..., .name = "..."}, arguments...) for .cu
// files: one call under nvcc and under the SIMT engine. Arguments are brace-initialised into the
// kernel's parameters, so that an int64 cannot narrow silently. An empty grid launches nothing.
//
// Pointers tell what a kernel may do: through `const T*` it reads, through `T*` it writes. A struct
// argument lists the pointers in it:
//   template <class Visit> void for_each_pointer(Visit&& visit) const { visit(values); }
// (an empty body if it has none); without that it does not compile.

#include <tuple>
#include <type_traits>
#include <utility>

#include "core/device/activity.h"
#include "core/device/gpu.h"
#include "core/simt/build.h"
#include "core/simt/simt.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/emulated.h"
#else
#include "core/device/cuda/launch_cuda.h"
#endif

namespace warptape {

struct LaunchConfig {
  dim3 grid;
  dim3 block;
  size_t smem = 0;  // bytes of dynamic shared memory
  gpu::StreamHandle stream = nullptr;
  const char* name = "kernel";
};

namespace launch_detail {

struct IgnorePointer {
  template <class T>
  void operator()(T*) const {}
};
template <class T>
concept ListsPointers = requires(const T& value, IgnorePointer& visit) {
  value.for_each_pointer(visit);
};

template <class Visit, class T>
void visit_pointers(Visit&& visit, const T& argument) {
  if constexpr (std::is_pointer_v<T>) {
    visit(argument);
  } else if constexpr (!std::numeric_limits<T>::is_specialized && !std::is_enum_v<T>) {
    static_assert(ListsPointers<T>, "a struct that is a kernel argument needs for_each_pointer");
    argument.for_each_pointer(visit);
  }
}

// A kernel's argument until it is launched: where it is of the parameter's type already it stays
// where it lies, as a table of tensors has kilobytes.
template <class Parameter, class Argument>
using Held = std::conditional_t<std::is_same_v<Parameter, std::remove_cvref_t<Argument>>,
                                const Parameter&, Parameter>;
template <class Parameter, class Argument>
Held<Parameter, Argument> hold(Argument&& argument) {
  if constexpr (std::is_same_v<Parameter, std::remove_cvref_t<Argument>>) {
    return argument;
  } else {
    return Parameter{std::forward<Argument>(argument)};
  }
}

}  // namespace launch_detail

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchConfig& config, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "as many arguments as parameters");
  if (config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) {
    return;
  }
  ++gpu::launches;
  const gpu::LaunchScope scope(config.name, config.grid, config.block, config.smem);
  const std::tuple<launch_detail::Held<std::decay_t<Parameters>, Arguments>...> values{
      launch_detail::hold<std::decay_t<Parameters>, Arguments>(
          std::forward<Arguments>(arguments))...};
#ifdef WARPTAPE_SIMT
  gpu::emulated::launch(
      {config.grid, config.block, config.smem, config.name, reinterpret_cast<const void*>(kernel)},
      config.stream, kernel, values,
      [](const auto& note, const auto& value) { launch_detail::visit_pointers(note, value); });
#else
  std::apply(
      [&](const auto&... value) {
        // Compiles only where a struct lists its pointers, as under the engine.
        (launch_detail::visit_pointers(launch_detail::IgnorePointer{}, value), ...);
        void* pointers[] = {const_cast<void*>(static_cast<const void*>(&value))...};
        gpu::launch_cuda(reinterpret_cast<const void*>(kernel), config.grid, config.block,
                         config.smem, config.stream, config.name, pointers);
      },
      values);
#endif
}

}  // namespace warptape
