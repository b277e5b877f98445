#include "core/profile.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/tape.h"
#include "kernels/ops.h"

namespace warptape::profile {
namespace {

const Event* find(const std::vector<Event>& events, const std::string& name) {
  for (const Event& event : events) {
    if (event.name == name) {
      return &event;
    }
  }
  return nullptr;
}

const Total& row(const std::vector<Total>& totals, const std::string& name) {
  for (const Total& total : totals) {
    if (total.name == name) {
      return total;
    }
  }
  throw std::runtime_error("no row " + name);
}

TEST(Profile, OffRecordsNothing) {
  stop();
  { const Range range("before"); }
  start();
  EXPECT_TRUE(stop().empty());
  { const Range range("after"); }
  EXPECT_TRUE(stop().empty());
}

TEST(Profile, RecordsRangesOrderedByStartWithTheirDepth) {
  start();
  {
    const Range outer("outer");
    { const Range first("first"); }
    {
      const Range second("second");
      const Range innermost("innermost");
    }
  }
  { const Range last("last"); }
  const std::vector<Event> events = stop();
  ASSERT_EQ(events.size(), 5U);
  const std::vector<std::pair<std::string, int>> wanted{
      {"outer", 0}, {"first", 1}, {"second", 1}, {"innermost", 2}, {"last", 0}};
  for (const auto& [name, depth] : wanted) {
    const Event* event = find(events, name);
    ASSERT_NE(event, nullptr) << name;
    EXPECT_EQ(event->depth, depth) << name;
    EXPECT_GE(event->start_ns, 0);
    EXPECT_GE(event->duration_ns, 0);
  }
  for (size_t i = 1; i < events.size(); ++i) {
    EXPECT_LE(events[i - 1].start_ns, events[i].start_ns);
  }
  const Event* outer = find(events, "outer");
  const Event* inner = find(events, "innermost");
  EXPECT_GE(inner->start_ns, outer->start_ns);
  EXPECT_LE(inner->start_ns + inner->duration_ns, outer->start_ns + outer->duration_ns);
}

TEST(Profile, BackwardRangesSaySo) {
  start();
  { const Range range("conv2d", Phase::Backward); }
  const std::vector<Event> events = stop();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].name, "conv2d backward");
}

TEST(Profile, StartForgetsEarlierEvents) {
  start();
  { const Range range("earlier"); }
  start();
  { const Range range("later"); }
  const std::vector<Event> events = stop();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].name, "later");
}

TEST(Profile, ThreadsHaveTheirOwnNumbersAndDepths) {
  start();
  {
    const Range outer("main");
    std::thread([] { const Range range("other"); }).join();
  }
  const std::vector<Event> events = stop();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_NE(find(events, "main")->thread, find(events, "other")->thread);
  EXPECT_EQ(find(events, "other")->depth, 0);
}

TEST(Profile, OpsAndTheirBackwardsAreRanges) {
  const Parameter p(Tensor::ones({3}));
  start();
  Tape tape;
  tape.backward(sum(exp(p)));
  const std::vector<Event> events = stop();
  for (const char* name : {"exp", "sum", "exp backward", "sum backward"}) {
    EXPECT_NE(find(events, name), nullptr) << name;
  }
}

TEST(Profile, WorkIsThatOfTheInnermostRange) {
  int asked = 0;
  const auto work = [&](int64_t read) {
    ++asked;
    return Work{.bytes_read = read, .bytes_written = 2, .flops = 3};
  };
  note([&] { return work(1); });  // nobody listens
  EXPECT_EQ(asked, 0);
  start();
  {
    const Range outer("outer");
    {
      const Range inner("inner");
      note([&] { return work(10); });
      note([&] { return work(20); });
    }
    const Range silent("silent");
  }
  const std::vector<Event> events = stop();
  const Event* inner = find(events, "inner");
  const Event* outer = find(events, "outer");
  ASSERT_TRUE(inner != nullptr && outer != nullptr);
  EXPECT_TRUE(inner->has_work);
  EXPECT_EQ(inner->work.bytes_read, 30);
  EXPECT_EQ(inner->work.bytes_written, 4);
  EXPECT_EQ(inner->work.flops, 6);
  EXPECT_FALSE(outer->has_work);
  EXPECT_FALSE(find(events, "silent")->has_work);
  EXPECT_EQ(inner->parent, outer->id);
  EXPECT_EQ(outer->parent, 0U);
}

TEST(Profile, BackwardIsInTheLayerThatRecordedTheOp) {
  const Parameter p(Tensor::ones({3}));
  int layer = 0;
  start();
  Tape tape;
  Tensor y;
  {
    const LayerScope scope(&layer);
    y = exp(p);
  }
  tape.backward(sum(y));
  const std::vector<Event> events = stop();
  EXPECT_EQ(find(events, "exp")->layer, &layer);
  EXPECT_EQ(find(events, "exp backward")->layer, &layer);
  EXPECT_EQ(find(events, "sum")->layer, nullptr);
  EXPECT_EQ(find(events, "sum backward")->layer, nullptr);
  EXPECT_EQ(current_layer, nullptr);
}

TEST(Profile, PointwiseOpsTellWhatTheyMove) {
  const Parameter p(Tensor::ones({5}));
  start();
  Tape tape;
  tape.backward(sum(exp(p)));
  const std::vector<Event> events = stop();
  const Event* forward = find(events, "exp");
  EXPECT_EQ(forward->work.bytes_read, 20);
  EXPECT_EQ(forward->work.bytes_written, 20);
  EXPECT_EQ(forward->work.flops, 0);
  const Event* backward = find(events, "exp backward");
  EXPECT_EQ(backward->work.bytes_read, 40);  // dy and y
  EXPECT_EQ(backward->work.bytes_written, 20);
}

TEST(Profile, ConvolutionsTellTheirFlopsBothWays) {
  const Tensor x = Tensor::ones({2, 3, 5, 5});
  const Parameter w(Tensor::ones({4, 3, 3, 3}));
  const Parameter b(Tensor::ones({4}));
  start();
  Tape tape;
  tape.backward(sum(conv2d(x, w, b, {.padding = 1})));
  const std::vector<Event> events = stop();
  constexpr int64_t flops = 2 * (2 * 4 * 5 * 5) * 3 * 9;
  const Event* forward = find(events, "conv2d");
  EXPECT_EQ(forward->work.flops, flops);
  EXPECT_EQ(forward->work.bytes_read, 4 * (2 * 3 * 25 + 4 * 27 + 4));
  EXPECT_EQ(forward->work.bytes_written, 4 * 2 * 4 * 25);
  const Event* backward = find(events, "conv2d backward");
  EXPECT_EQ(backward->work.flops, flops);  // x needs no gradient
  EXPECT_EQ(backward->work.bytes_written, 4 * (4 * 27 + 4));
}

TEST(Profile, MemoryIsRecordedWithItsRange) {
  start();
  {
    const Range range("maker");
    const Tensor tensor = Tensor::empty({100}, float64);
  }
  const Recording recording = stop_recording();
  ASSERT_EQ(recording.memory.size(), 2U);
  EXPECT_EQ(recording.memory[0].bytes, 800);
  EXPECT_EQ(recording.memory[1].bytes, -800);
  EXPECT_EQ(recording.memory[0].block, recording.memory[1].block);
  EXPECT_EQ(recording.memory[0].range, recording.events.at(0).id);
  EXPECT_LE(recording.memory[0].time_ns, recording.memory[1].time_ns);
}

TEST(Profile, TotalsAddUpCallsAndSelfTimes) {
  // outer 0-100 holds inner 10-40 (which holds leaf 15-20) and inner 50-60.
  const std::vector<Event> events{{"outer", 0, 100, 0, 0},
                                  {"inner", 10, 30, 0, 1},
                                  {"leaf", 15, 5, 0, 2},
                                  {"inner", 50, 10, 0, 1},
                                  {"leaf", 200, 7, 0, 0}};
  const std::vector<Total> totals = summarize(events);
  ASSERT_EQ(totals.size(), 3U);
  EXPECT_EQ(row(totals, "outer").calls, 1);
  EXPECT_EQ(row(totals, "outer").total_ns, 100);
  EXPECT_EQ(row(totals, "outer").self_ns, 60);
  EXPECT_EQ(row(totals, "inner").calls, 2);
  EXPECT_EQ(row(totals, "inner").total_ns, 40);
  EXPECT_EQ(row(totals, "inner").self_ns, 35);
  EXPECT_EQ(row(totals, "leaf").calls, 2);
  EXPECT_EQ(row(totals, "leaf").self_ns, 12);
  EXPECT_EQ(totals[0].name, "outer");
  EXPECT_EQ(totals[1].name, "inner");
  EXPECT_EQ(totals[2].name, "leaf");
}

TEST(Profile, TotalsKeepThreadsApart) {
  const std::vector<Event> events{
      {"outer", 0, 100, 0, 0}, {"other", 5, 50, 1, 0}, {"inner", 10, 30, 1, 1}};
  const std::vector<Total> totals = summarize(events);
  EXPECT_EQ(row(totals, "outer").self_ns, 100);
  EXPECT_EQ(row(totals, "other").self_ns, 20);
}

TEST(Profile, TotalsOfNothingAreEmpty) {
  EXPECT_TRUE(summarize({}).empty());
}

}  // namespace
}  // namespace warptape::profile
