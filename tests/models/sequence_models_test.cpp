// Models of sequences by name, and what their outputs depend on: tried, not only computed.

#include "models/sequence_models.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "models/impulse_test.h"
#include "models/receptive_field.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using Numbers = std::vector<int64_t>;

OptionValues complete(const OptionValues& options) {
  return sequence_models().complete({"tcn", options});
}

Numbers reaching(const OptionValues& options, int64_t length, int64_t t) {
  manual_seed(1);
  const auto model = sequence_models().find("tcn").make(
      {.input_channels = 2, .output_size = 3, .every_step = true, .dtype = float64},
      complete(options));
  return impulse_test(*model, 2, length, t);
}

TEST(SequenceModels, SeeWhatIsComputedAndNoMore) {
  const Numbers channels{3, 4};
  const std::vector<OptionValues> all = {
      {{"channels", channels}, {"kernel_size", Numbers{3}}},
      {{"channels", channels}, {"kernel_size", Numbers{2}}, {"block", std::string("darts")}},
      {{"channels", channels}, {"kernel_size", Numbers{4, 2}}, {"dilations", Numbers{3, 1}}},
      {{"channels", Numbers{3}}, {"kernel_size", Numbers{3}}, {"activation", std::string("gated")}},
      {{"channels", channels}, {"kernel_size", Numbers{3}}, {"activation", std::string("tanh")}},
      {{"channels", channels}, {"kernel_size", Numbers{2}}, {"activation", std::string("gelu")}},
      {{"channels", channels}, {"kernel_size", Numbers{3}}, {"dilation_base", 3}},
      {{"channels", channels}, {"kernel_size", Numbers{3}}, {"centred", true}},
      {{"channels", channels}, {"kernel_size", Numbers{3}}, {"norm", std::string("batch")}},
      {{"channels", channels}, {"kernel_size", Numbers{3}}, {"norm", std::string("layer")}},
      {{"channels", channels}, {"kernel_size", Numbers{3}}, {"skip_channels", 2}}};
  for (const OptionValues& options : all) {
    const SeenOfSequence seen = sequence_models().find("tcn").seen(complete(options));
    const int64_t length = seen.receptive_field + 2;
    for (const int64_t t : {int64_t{0}, length / 2, length - 1}) {
      SCOPED_TRACE(testing::Message() << "field " << seen.receptive_field << ", output " << t);
      const Numbers found = reaching(options, length, t);
      const Coverage wanted = coverage_of(t, length, seen.receptive_field, seen.look_ahead);
      ASSERT_EQ(static_cast<int64_t>(found.size()), wanted.elements);
      EXPECT_EQ(found.back(), std::min(length - 1, t + seen.look_ahead));
      EXPECT_EQ(found.back() - found.front() + 1, wanted.elements) << "there is a gap";
    }
  }
}

TEST(SequenceModels, TheLeastDepthCoversAndOneBlockFewerDoesNot) {
  const SequenceModel& tcn = sequence_models().find("tcn");
  for (const auto& [length, base] : {std::pair<int64_t, int64_t>{63, 5}, {20, 2}, {14, 1}}) {
    for (const bool centred : {false, true}) {
      const auto options_of = [&](int64_t depth) {
        return OptionValues{{"channels", Numbers(static_cast<size_t>(depth), 2)},
                            {"kernel_size", Numbers{centred ? 3 : 2}},
                            {"dilation_base", base},
                            {"centred", centred}};
      };
      const std::optional<int64_t> depth = tcn.least_depth(complete(options_of(1)), length);
      ASSERT_TRUE(depth.has_value());
      SCOPED_TRACE(testing::Message() << length << " by base " << base << ": " << *depth);
      EXPECT_EQ(reaching(options_of(*depth), length, length - 1).front(), 0);
      ASSERT_GT(*depth, 1);
      EXPECT_GT(reaching(options_of(*depth - 1), length, length - 1).front(), 0);
    }
  }
  EXPECT_EQ(tcn.least_depth(complete({{"kernel_size", Numbers{1}}}), 1), 1);
  EXPECT_EQ(tcn.least_depth(complete({{"kernel_size", Numbers{1}}}), 2), std::nullopt);
  EXPECT_EQ(
      tcn.least_depth(complete({{"kernel_size", Numbers{3, 5}}, {"channels", Numbers{1, 1}}}), 2),
      std::nullopt);
}

TEST(SequenceModels, NameWhatIsWrong) {
  expect_throws<ValueError>(
      [] {
        complete({{"kernel_size", Numbers{}}});
      },
      {"kernel_size: got , wanted whole numbers of 1 or more"});
  expect_throws<ValueError>(
      [] {
        complete({{"block", std::string("b\x1b")}});
      },
      {"block: got b\\x1b, wanted bai or darts"});
  expect_throws<ValueError>(
      [] {
        complete({{"norm", std::string("group")}});
      },
      {"norm: got group, wanted none, batch or layer"});
  // Options come from command lines and files: no line of a source is at fault.
  for (const char* option : {"kernel_size", "dilations"}) {
    try {
      reaching({{"channels", Numbers{1}}, {option, Numbers{2, 2}}}, 3, 0);
      FAIL() << option;
    } catch (const ValueError& error) {
      EXPECT_TRUE(std::string(error.what()).ends_with("got 2, wanted one for each of 1 blocks"))
          << error.what();
    }
  }
  expect_throws<ValueError>([] { reaching({}, 3, 3); }, {"[impulse_test] t: got 3, wanted 0 to 2"});
}

}  // namespace
}  // namespace warptape
