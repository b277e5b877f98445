// A recording in the Chrome trace event format.

#include <nlohmann/json.hpp>

#include "training/json_text.h"
#include "training/profile/events.h"
#include "training/profile/shown.h"

namespace warptape::profiling {
namespace {

using nlohmann::ordered_json;

constexpr int host = 1;  // the "processes" of the trace
constexpr int device = 2;
constexpr int layers = 3;

ordered_json named(const char* what, int process, uint64_t thread, const std::string& name) {
  return {
      {"name", what}, {"ph", "M"}, {"pid", process}, {"tid", thread}, {"args", {{"name", name}}}};
}

double microseconds(int64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

void add_work(ordered_json& args, bool has_work, const profile::Work& work) {
  if (has_work) {
    args["bytes read"] = work.bytes_read;
    args["bytes written"] = work.bytes_written;
    if (work.flops > 0) {
      args["FLOPs"] = work.flops;
    }
  }
}

ordered_json complete(const std::string& name, const char* category, int process, uint64_t thread,
                      int64_t start_ns, int64_t duration_ns, ordered_json args) {
  return {{"name", name},
          {"cat", category},
          {"ph", "X"},
          {"pid", process},
          {"tid", thread},
          {"ts", microseconds(start_ns)},
          {"dur", microseconds(duration_ns)},
          {"args", std::move(args)}};
}

const char* category_of(gpu::Activity::Kind kind) {
  switch (kind) {
    case gpu::Activity::Kind::Kernel:
      return "kernel";
    case gpu::Activity::Kind::Copy:
      return "copy";
    case gpu::Activity::Kind::Fill:
      return "fill";
    case gpu::Activity::Kind::Range:
      break;
  }
  return "range of the device";
}

// From the launch on the host to the kernel on the device.
ordered_json arrow(const char* phase, int process, uint64_t thread, int64_t ns, uint64_t id) {
  ordered_json event{{"name", "launch"}, {"cat", "launch"},        {"ph", phase}, {"pid", process},
                     {"tid", thread},    {"ts", microseconds(ns)}, {"id", id}};
  if (phase[0] == 'f') {
    event["bp"] = "e";
  }
  return event;
}

}  // namespace

std::string as_trace(const Captured& captured) {
  const Events events(captured);
  ordered_json all = ordered_json::array();
  all.push_back(named("process_name", host, 0, "host: " + title_of(captured)));
  if (!captured.source.empty()) {
    all.push_back(named("process_name", device, 0, "device; times: " + captured.source));
  }
  all.push_back(named("process_name", layers, 0, "layers, by the host's ops"));
  for (const profile::Event* event : events.of_steps()) {
    ordered_json args{{"layer", events.layer_of(*event)}, {"phase", name_of(event->phase)}};
    add_work(args, event->has_work, event->work);
    all.push_back(complete(event->name, "op", host, event->thread, event->start_ns,
                           event->duration_ns, args));
    const std::string layer = events.layer_of(*event);
    const profile::Event* const around = events.find(event->parent);
    // The outermost op of a layer stands for it.
    if (!layer.empty() && (around == nullptr || events.layer_of(*around) != layer)) {
      all.push_back(complete(layer, "layer", layers, event->thread, event->start_ns,
                             event->duration_ns, {{"op", event->name}}));
    }
  }
  std::unordered_map<uint64_t, const profile::Launch*> launches;
  for (const profile::Launch& launch : captured.recording.launches) {
    launches[launch.id] = &launch;
  }
  for (const gpu::Activity& activity : captured.activities) {
    const profile::Event* const event = events.find(activity.range);
    if (event == nullptr || !events.is_of_steps(*event)) {
      continue;
    }
    ordered_json args{{"layer", events.layer_of(*event)}, {"op", event->name}};
    const auto launch = launches.find(activity.launch);
    if (launch != launches.end()) {
      args["blocks"] = launch->second->size.blocks;
      args["threads"] = launch->second->size.threads;
      add_work(args, launch->second->has_work, launch->second->work);
      all.push_back(
          arrow("s", host, launch->second->thread, launch->second->queued_ns, activity.launch));
      all.push_back(arrow("f", device, activity.stream, activity.start_ns, activity.launch));
    }
    if (activity.bytes > 0) {
      args["bytes"] = activity.bytes;
    }
    all.push_back(complete(activity.name, category_of(activity.kind), device, activity.stream,
                           activity.start_ns, activity.duration_ns, args));
  }
  if (!events.steps().empty()) {
    const profile::Event& last = *events.steps().back();
    for (const auto& [ms, bytes] : look_at_memory(captured, events).timeline) {
      all.push_back({{"name", "memory of tensors"},
                     {"ph", "C"},
                     {"pid", host},
                     {"ts", microseconds(last.start_ns) + 1e3 * ms},
                     {"args", {{"bytes", bytes}}}});
    }
  }
  const ordered_json trace{{"displayTimeUnit", "ms"}, {"traceEvents", all}};
  return json_line(trace) + "\n";
}

}  // namespace warptape::profiling
