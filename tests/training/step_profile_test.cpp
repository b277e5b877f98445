#include "training/profile/step_profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "layers/linear.h"
#include "layers/sequential.h"
#include "training/profile/events.h"

namespace warptape::profiling {
namespace {

using gpu::Activity;
using profile::Event;
using profile::Phase;

const int fc_layer = 0;  // stands for a module by its address

Event range(const char* name, int64_t start, int64_t duration, int depth, uint64_t id,
            uint64_t parent, Phase phase = Phase::Forward, const void* layer = nullptr) {
  return {name, start, duration, 0, depth, phase, layer, id, parent, false, {}};
}

Event with_work(Event event, const profile::Work& work) {
  event.has_work = true;
  event.work = work;
  return event;
}

// Two steps behind a warm-up; each has a product forward and backward of 1 ms and 2 ms.
Captured two_steps() {
  Captured captured;
  captured.model = "a <model>";
  captured.machine = "cpu with 1 thread";
  captured.precision = "float32";
  captured.batch_size = 4;
  captured.steps = 2;
  captured.layers = {{&fc_layer, "fc"}};
  captured.ceilings = {.copy_gb_per_s = 10, .fma_tflop_per_s = 0.001};
  uint64_t id = 0;
  for (int64_t start : {int64_t{0}, int64_t{10'000'000}, int64_t{20'000'000}}) {
    const uint64_t step = ++id;
    const uint64_t forward = ++id;
    const uint64_t backward = ++id;
    captured.recording.events.push_back(range("step", start, 5'000'000, 0, step, 0));
    captured.recording.events.push_back(with_work(
        range("linear", start + 500'000, 1'000'000, 1, forward, step, Phase::Forward, &fc_layer),
        {.bytes_read = 3'000'000, .bytes_written = 1'000'000, .flops = 500'000}));
    captured.recording.events.push_back(
        with_work(range("linear backward", start + 2'000'000, 2'000'000, 1, backward, step,
                        Phase::Backward, &fc_layer),
                  {.bytes_read = 4'000'000, .bytes_written = 4'000'000, .flops = 1'000'000}));
  }
  return captured;
}

const OpRow& row(const Report& report, const std::string& op, Phase phase) {
  for (const OpRow& each : report.ops) {
    if (each.op == op && each.phase == phase) {
      return each;
    }
  }
  throw std::runtime_error("no row " + op);
}

TEST(StepProfile, RowsArePerStepByLayerAndPhase) {
  const Report report = analyse(two_steps());
  ASSERT_EQ(report.ops.size(), 3U);
  const OpRow& forward = row(report, "linear", Phase::Forward);
  EXPECT_EQ(forward.layer, "fc");
  EXPECT_DOUBLE_EQ(forward.figures.calls, 1);
  EXPECT_DOUBLE_EQ(forward.figures.ms, 1);
  ASSERT_TRUE(forward.figures.work.has_value());
  EXPECT_DOUBLE_EQ(forward.figures.gb_per_s(), 4);
  EXPECT_DOUBLE_EQ(forward.figures.tflop_per_s(), 0.0005);
  EXPECT_DOUBLE_EQ(row(report, "linear", Phase::Backward).figures.ms, 2);
  const OpRow& step = row(report, "step", Phase::Forward);
  EXPECT_DOUBLE_EQ(step.figures.ms, 2) << "what its ops leave of 5 ms";
  EXPECT_FALSE(step.figures.work.has_value());
  EXPECT_EQ(report.ops[2].op, "linear") << "the shortest";
  EXPECT_EQ(report.ops[2].phase, Phase::Forward);
  EXPECT_DOUBLE_EQ(report.step_ms, 10) << "from the end of one to the end of the next";
}

TEST(StepProfile, WorkThatNotEveryCallToldIsADash) {
  Captured captured = two_steps();
  captured.recording.events[4].has_work = false;
  const Report report = analyse(captured);
  EXPECT_FALSE(row(report, "linear", Phase::Forward).figures.work.has_value());
  EXPECT_TRUE(row(report, "linear", Phase::Backward).figures.work.has_value());
}

TEST(StepProfile, TextComparesWithTheCeilings) {
  const Captured captured = two_steps();
  const std::string text = as_text(captured, analyse(captured), 0);
  // 4 of 10 GB/s, 0.0005 of 0.001 TFLOP/s.
  EXPECT_NE(text.find("1.0000   20.0       1         4       0.5        4   0.0005   40.0   50.0  "
                      "fc: linear\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("-      -      -  step\n"), std::string::npos) << text;
  EXPECT_NE(as_text(captured, analyse(captured), 1).find("and 2 more"), std::string::npos);
}

// Kernels of the two ops of the last step: 1 ms, a gap of 3 ms, a copy that overlaps, and one that
// is not ours.
Captured on_device() {
  Captured captured = two_steps();
  captured.steps = 1;
  captured.source = "a clock";
  captured.times_kernels = true;
  captured.recording.launches.push_back({"gemm",
                                         100,
                                         8,
                                         0,
                                         20'600'000,
                                         {12, 256, 0},
                                         true,
                                         {.bytes_read = 2'000'000, .flops = 4'000'000}});
  const auto activity = [&](const char* name, uint64_t launch, uint64_t range, int64_t start,
                            int64_t duration, Activity::Kind kind = Activity::Kind::Kernel) {
    Activity result;
    result.kind = kind;
    result.name = name;
    result.launch = launch;
    result.range = range;
    result.stream = 1;
    result.start_ns = start;
    result.duration_ns = duration;
    result.bytes = kind == Activity::Kind::Copy ? 1000 : 0;
    captured.activities.push_back(result);
  };
  activity("of the warm-up", 0, 2, 1'000'000, 9'000'000);
  activity("gemm", 100, 8, 21'000'000, 1'000'000);
  activity("library", 0, 9, 25'000'000, 2'000'000);
  activity("copy", 0, 9, 26'000'000, 2'000'000, Activity::Kind::Copy);
  return captured;
}

TEST(StepProfile, TimesOfTheDeviceGoToTheOpsThatQueuedThem) {
  const Report report = analyse(on_device());
  EXPECT_DOUBLE_EQ(row(report, "linear", Phase::Forward).figures.ms, 1);
  EXPECT_DOUBLE_EQ(row(report, "linear", Phase::Backward).figures.ms, 4);
  EXPECT_DOUBLE_EQ(row(report, "linear", Phase::Backward).host_ms, 2);
  EXPECT_DOUBLE_EQ(row(report, "step", Phase::Forward).figures.ms, 0);
  ASSERT_EQ(report.kernels.size(), 3U);
  const auto kernel = [&](const std::string& name) {
    return *std::find_if(report.kernels.begin(), report.kernels.end(),
                         [&](const KernelRow& each) { return each.kernel == name; });
  };
  EXPECT_EQ(kernel("gemm").layer, "fc");
  EXPECT_EQ(kernel("gemm").size.blocks, 12);
  EXPECT_DOUBLE_EQ(kernel("gemm").figures.tflop_per_s(), 0.004);
  EXPECT_FALSE(kernel("library").figures.work.has_value());
  EXPECT_EQ(kernel("copy").figures.work->bytes(), 2000);
  EXPECT_DOUBLE_EQ(report.device_ms, 4) << "overlapping work counts once";
  EXPECT_DOUBLE_EQ(report.idle_ms, 3);
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].after, "gemm");
  EXPECT_EQ(report.gaps[0].before, "library");
}

TEST(StepProfile, RangesOfTheDeviceLeaveOutWhatIsInsideOfThem) {
  Captured captured = on_device();
  captured.times_kernels = false;
  captured.activities.clear();
  for (const auto& [id, duration] :
       {std::pair<uint64_t, int64_t>{7, 9'000'000}, {8, 2'000'000}, {9, 3'000'000}}) {
    Activity activity;
    activity.kind = Activity::Kind::Range;
    activity.range = id;
    activity.duration_ns = duration;
    captured.activities.push_back(activity);
  }
  const Report report = analyse(captured);
  EXPECT_DOUBLE_EQ(row(report, "step", Phase::Forward).figures.ms, 4);
  EXPECT_DOUBLE_EQ(row(report, "linear", Phase::Backward).figures.ms, 3);
  ASSERT_EQ(report.kernels.size(), 1U) << "known by its launch";
  EXPECT_DOUBLE_EQ(report.kernels[0].figures.ms, 0);
}

TEST(StepProfile, TheTraceJoinsLaunchesAndKernels) {
  const auto trace = nlohmann::json::parse(as_trace(on_device())).at("traceEvents");
  const auto count = [&](const char* phase, const char* name) {
    return std::count_if(trace.begin(), trace.end(), [&](const auto& event) {
      return event.at("ph") == phase && event.at("name") == name;
    });
  };
  EXPECT_EQ(count("X", "gemm"), 1);
  EXPECT_EQ(count("X", "linear"), 1);
  EXPECT_EQ(count("X", "fc"), 2) << "the layer, both ways";
  EXPECT_EQ(count("s", "launch"), 1);
  EXPECT_EQ(count("f", "launch"), 1);
  EXPECT_EQ(count("X", "of the warm-up"), 0);
}

TEST(StepProfile, MemoryAtThePeakHasHolders) {
  Captured captured = two_steps();
  const char blocks[4] = {};
  const auto event = [&](int64_t time, int block, int64_t bytes, uint64_t of,
                         const void* layer = nullptr) {
    captured.recording.memory.push_back({time, &blocks[block], bytes, cpu, of, layer});
  };
  event(1, 0, 100, 0);
  captured.blocks[&blocks[0]] = {"fc", "parameter weight"};
  event(11'000'000, 1, 5000, 5);
  event(12'000'000, 1, -5000, 6);
  event(20'600'000, 2, 40, 8, &fc_layer);
  event(22'500'000, 3, 60, 9, &fc_layer);
  event(23'000'000, 2, -40, 9);
  event(23'500'000, 1, -7, 9);  // older than the recording
  const Memory memory = analyse(captured).memory;
  EXPECT_EQ(memory.peak_bytes, 200) << "of the last step";
  EXPECT_EQ(memory.peak_op, "linear backward");
  EXPECT_EQ(memory.peak_layer, "fc");
  EXPECT_DOUBLE_EQ(memory.peak_ms, 2.5);
  ASSERT_EQ(memory.holders.size(), 3U);
  EXPECT_EQ(memory.holders[0].what, "parameter weight");
  EXPECT_EQ(memory.holders[0].layer, "fc");
  EXPECT_EQ(memory.holders[0].bytes, 100);
  EXPECT_EQ(memory.holders[1].what, "linear backward");
  EXPECT_EQ(memory.holders[2].what, "linear");
  ASSERT_EQ(memory.timeline.size(), 4U);
  EXPECT_EQ(memory.timeline.back().second, 160);
}

TEST(StepProfile, PathsAndBlocksOfAModel) {
  Sequential inner(Linear(3, 2), Linear(2, 2));
  const auto paths = layer_paths(inner);
  std::vector<std::string> names;
  for (const auto& [module, path] : paths) {
    names.push_back(path);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"", "0", "1"}));
  const auto blocks = block_names(inner);
  ASSERT_EQ(blocks.size(), 4U);
  const auto weight = blocks.find(named_parameters(inner)[0].parameter->value().data<float>());
  ASSERT_NE(weight, blocks.end());
  EXPECT_EQ(weight->second.layer, "0");
  EXPECT_EQ(weight->second.what, "parameter weight");
}

TEST(StepProfile, ThePageEscapesNames) {
  const Captured captured = two_steps();
  const std::string page = as_page(captured, analyse(captured));
  EXPECT_EQ(page.find("<model>"), std::string::npos);
  EXPECT_NE(page.find("a &lt;model&gt;"), std::string::npos);
}

}  // namespace
}  // namespace warptape::profiling
