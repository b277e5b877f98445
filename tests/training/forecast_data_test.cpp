// Times and series of CSV files.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/expect_throws.h"
#include "tests/training/bad_files.h"
#include "training/forecast/series.h"

namespace warptape::forecasting {
namespace {

Times times_of(const std::vector<std::string>& texts) {
  std::vector<int64_t> lines;
  for (size_t i = 0; i < texts.size(); ++i) {
    lines.push_back(static_cast<int64_t>(i) + 2);
  }
  return Times::read(texts, {.path = "t.csv", .column = "when", .lines = lines});
}

TEST(ForecastTimes, GoOnAsTheyStep) {
  EXPECT_EQ(times_of({"1960-11", "1960-12"}).text(3), "1961-02");
  EXPECT_EQ(times_of({"1960-11-01", "1960-12-01", "1961-01-01"}).text(4), "1961-03-01");
  EXPECT_EQ(times_of({"2024/02/27", "2024/02/28"}).text(3), "2024/03/01");
  EXPECT_EQ(times_of({"2023-12-31T22:30", "2023-12-31T23:15"}).text(2), "2024-01-01T00:00");
  EXPECT_EQ(times_of({"2023-12-31 23:59:50Z", "2023-12-31 23:59:55Z"}).text(2),
            "2024-01-01 00:00:00");
  EXPECT_EQ(times_of({"1", "1.5"}).text(2), "2");
  EXPECT_EQ(times_of({"1969-12-30", "1969-12-31"}).text(2), "1970-01-01");
  EXPECT_EQ(Times::numbered(3).text(3), "4");
  EXPECT_EQ(times_of({"2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"}).gaps(), 1);
  EXPECT_EQ(times_of({"2024-01-31", "2024-02-29", "2024-03-31"}).gaps(), 0);
}

TEST(ForecastTimes, TellTheCalendar) {
  const Times days = times_of({"2024-02-28", "2024-02-29"});  // a Wednesday
  EXPECT_DOUBLE_EQ(days.phase("day_of_week", 0), 2.0 / 7);
  EXPECT_DOUBLE_EQ(days.phase("day_of_month", 2), 0);
  EXPECT_DOUBLE_EQ(days.phase("month", 2), 2.0 / 12);
  EXPECT_DOUBLE_EQ(days.phase("day_of_year", 2), 60.0 / 366);
  const Times months = times_of({"1960-11", "1960-12"});
  EXPECT_DOUBLE_EQ(months.phase("month", 1), 11.0 / 12);
  EXPECT_DOUBLE_EQ(months.phase("month", 2), 0);
  EXPECT_DOUBLE_EQ(months.phase("quarter", 0), 3.0 / 4);
  EXPECT_DOUBLE_EQ(times_of({"2024-01-01 18:00", "2024-01-01 19:30"}).phase("hour", 1), 19.5 / 24);
  expect_error<ValueError>([&] { months.phase("hour", 0); }, {"got hour", "1960-11"});
  expect_error<ValueError>([&] { months.phase("day_of_week", 0); }, {"got day_of_week"});
  expect_error<ValueError>([&] { times_of({"1", "2"}).phase("month", 0); }, {"got month"});
  expect_error<ValueError>([&] { months.phase("moon", 0); }, {"\"moon\"", "month, quarter"});
}

TEST(ForecastTimes, RefuseDisorder) {
  const auto refused = [](const std::vector<std::string>& texts, const Parts& parts) {
    expect_file_error([&] { times_of(texts); }, parts);
  };
  refused({"1960-01", "1960-01"}, {"t.csv: line 3, when", "\"1960-01\" twice", "line 2"});
  refused({"1960-02", "1960-01"}, {"line 3, when", "behind a later one"});
  refused({"1960-01", "1960-02-01"}, {"line 3", "wanted one as \"1960-01\" in line 2"});
  for (const char* bad : {"", "x", "1960-13", "1960-02-30", "60-01-01", "1960-01-01 25:00",
                          "1960-01-01 10:61", "1960-1", "1960-01-01x", "nan"}) {
    refused({"1960-01", bad}, {"line 3, when: got the time"});
  }
}

TEST(ForecastSeries, ReadsColumnsAndGroups) {
  const TemporaryFolder folder;
  const std::string path = folder.write(
      "t.csv",
      "\xef\xbb\xbfshop,day,sold,price\r\na,2024-01-01,1,5\r\nb,2024-01-01,7,5\r\n"
      "a,2024-01-02,2,6\r\na,2024-01-03,3,6\r\nb,2024-01-02,8,4\r\na,2024-01-04,,9\r\n");
  const SeriesSet grouped = read_series(path, {.columns = {"sold"},
                                               .time = "day",
                                               .group = "shop",
                                               .calendar = {"day_of_week"},
                                               .future_covariates = {"price"}});
  ASSERT_EQ(grouped.series.size(), 2U);
  const Series& a = grouped.series[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.values, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(a.lines, (std::vector<int64_t>{2, 4, 5, 7}));
  EXPECT_EQ(grouped.known_names,
            (std::vector<std::string>{"sin day_of_week", "cos day_of_week", "price"}));
  ASSERT_EQ(a.known.size(), 3U);
  EXPECT_EQ(a.known[2], (std::vector<double>{5, 6, 6, 9}));
  EXPECT_NEAR(a.known[0][1], std::sin(2 * 3.14159265358979 / 7), 1e-12) << "a Tuesday";
  EXPECT_EQ(a.known_ahead(), 1);
  EXPECT_EQ(grouped.series[1].values, (std::vector<double>{7, 8}));

  const std::string two = folder.write("u.csv", "day,x,y\n2024-01,1,4\n2024-02,2,5\n");
  const SeriesSet columns =
      read_series(two, {.columns = {"x", "y"}, .time = "day", .calendar = {"month"}, .horizon = 3});
  ASSERT_EQ(columns.series.size(), 2U);
  EXPECT_EQ(columns.series[1].name, "y");
  EXPECT_EQ(columns.series[1].values, (std::vector<double>{4, 5}));
  EXPECT_EQ(columns.series[1].known_ahead(), 3) << "the calendar goes on";
}

TEST(ForecastSeries, RefusesBadFiles) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text, const Parts& parts, SeriesOptions options) {
    const std::string path = folder.write("t.csv", text);
    expect_file_error([&] { read_series(path, options); }, parts);
  };
  const SeriesOptions plain{.columns = {"x"}};
  refused("t,y\n1,2\n", {"t.csv: column x: not there, wanted one of t, y"}, plain);
  refused("x,y\n1,2\n3\n", {"line 3: got 1 fields, wanted 2"}, plain);
  refused("x,y\n1,2\n,2\n", {"line 3, x: got \"\""}, plain);
  refused("x\n1\nnan\n", {"line 3, x: got \"nan\""}, plain);
  refused("x\n1\ntwo\n", {"line 3, x: got \"two\""}, plain);
  refused(std::string("\xff\xfex\0\n\0", 6), {"t.csv: got UTF-16, wanted UTF-8"}, plain);
  refused("t,x\n5,1\n5,2\n", {"line 3, t", "twice"}, {.columns = {"x"}, .time = "t"});
  refused("g,t,x\na,5,1\nb,5,1\na,4,2\n", {"line 4, t", "behind a later one"},
          {.columns = {"x"}, .time = "t", .group = "g"});
  refused("g,x\na,1\n,2\n", {"line 3, g: got an empty cell"}, {.columns = {"x"}, .group = "g"});
  refused("x,p\n1,1\n,2\n3,4\n", {"line 3, x: got \"\""},
          {.columns = {"x"}, .future_covariates = {"p"}});
  refused("x,p\n1,1\n2,\n", {"line 3, p: got \"\""},
          {.columns = {"x"}, .future_covariates = {"p"}});
  refused("x,p\n,1\n", {"x: got no values"}, {.columns = {"x"}, .future_covariates = {"p"}});
}

// A series that is its own covariate would be told ahead.
TEST(ForecastSeries, TakeAColumnForOneThing) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.csv", "t,g,x,p\n1,a,1,2\n2,a,2,3\n");
  const auto refused = [&](const SeriesOptions& options, const std::string& what) {
    expect_throws<ValueError>([&] { read_series(path, options); }, {"[forecast] ", what});
  };
  refused({.columns = {"x"}, .future_covariates = {"x"}},
          "column x: got it as one to forecast and as a future covariate");
  refused({.columns = {"x", "x"}}, "column x: got it as one to forecast and as one to forecast");
  refused({.columns = {"x"}, .time = "x"}, "column x: got it as one to forecast and as the time");
  refused({.columns = {"x"}, .time = "t", .group = "t"}, "column t: got it as the time and as the");
  refused({.columns = {"x"}, .group = "g", .future_covariates = {"p", "p"}},
          "column p: got it as a future covariate and as");
  refused({.columns = {"x"}, .future_covariates = {"p"}, .past_covariates = {"p"}},
          "column p: got it as a future covariate and as a past covariate");
  EXPECT_EQ(read_series(path, {.columns = {"x", "p"}, .past_covariates = {"p"}}).past_names,
            (std::vector<std::string>{"p"}));
  refused({.columns = {"x"}, .time = "t", .calendar = {"month", "month"}},
          "covariates: got month twice");
}

TEST(ForecastSeries, WarnWhereTheRowsToComeAreTooFew) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.csv", "x,p\n1,1\n2,1\n,1\n,2\n");
  const auto warnings = [&](int64_t horizon) {
    return read_series(path, {.columns = {"x"}, .future_covariates = {"p"}, .horizon = horizon})
        .warnings;
  };
  EXPECT_TRUE(warnings(2).empty());
  ASSERT_EQ(warnings(3).size(), 1U);
  EXPECT_NE(warnings(3)[0].find("x: 2 rows to come have covariates, and the horizon has 3"),
            std::string::npos)
      << warnings(3)[0];
}

}  // namespace
}  // namespace warptape::forecasting
