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
