// warptape forecast.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

// Months of a season that grows.
std::string monthly_rows(int rows) {
  std::string text = "when,x\n";
  for (int t = 0; t < rows; ++t) {
    const int wave[] = {0, 3, 1, 8};
    text += std::to_string(1990 + t / 12) + (t % 12 < 9 ? "-0" : "-") + std::to_string(t % 12 + 1) +
            "," + std::to_string(20 + t / 2 + wave[t % 4]) + "\n";
  }
  return text;
}

Arguments small_run(const TemporaryFolder& folder, const Arguments& more = {}) {
  return Arguments{"forecast",
                   "--data",
                   folder.path("t.csv"),
                   "--column",
                   "x",
                   "--time",
                   "when",
                   "--horizon",
                   "4",
                   "--test",
                   "6",
                   "--seeds",
                   "2",
                   "--epochs",
                   "2",
                   "--residual",
                   "seasonal",
                   "--channels",
                   "3,3",
                   "--season",
                   "4",
                   "--device",
                   "cpu",
                   "--out",
                   folder.path("out")} +
         more;
}

TEST(ForecastCommand, WritesReportTableAndPage) {
  const TemporaryFolder folder;
  folder.write("t.csv", monthly_rows(40));
  const std::string out = expect_runs(small_run(folder, {"--covariates", "month"})).out;
  for (const char* part : {"seed 0 ", "(2 of 2)", "seasonal_naive", "drift_seasonal",
                           "linear_regression", "median of 2 seeds", "season 4, input 8"}) {
    EXPECT_NE(out.find(part), std::string::npos) << part << "\n" << out;
  }
  EXPECT_EQ(names_in(folder.path("out")),
            (std::vector<std::string>{"forecast.csv", "forecast.html", "report.json"}));
  const Json json = Json::parse(folder.read("out/report.json"));
  for (const char* error : {"mape", "smape", "mae", "rmse", "mase"}) {
    const Json& of = json.at(error);
    EXPECT_LE(of.at("tcn").at("min"), of.at("tcn").at("median"));
    EXPECT_LE(of.at("tcn").at("median"), of.at("tcn").at("max"));
    for (const char* baseline :
         {"naive", "seasonal_naive", "drift_seasonal", "linear_regression"}) {
      EXPECT_TRUE(of.at(baseline).is_number()) << error << ", " << baseline;
    }
  }
  EXPECT_EQ(json.at("windows").at("test"), 3);
  EXPECT_EQ(json.at("known"), Json({"sin month", "cos month"}));
  EXPECT_EQ(json.at("series")[0].at("test_begins"), "1992-11");
  const Table table = parse_table(folder.read("out/forecast.csv"));
  EXPECT_EQ(table.rows.size(), (3U + 1U) * 4U);
  EXPECT_EQ(table.rows.back()[2], "1993-08") << "behind the last row";
  EXPECT_EQ(table.rows.front()[4], std::to_string(20 + 34 / 2 + 1));
  EXPECT_EQ(table.rows.back()[4], "");
  expect_fails(small_run(folder), {"out: it exists; wanted a new folder"});
}

TEST(ForecastCommand, TakesGroupsQuantilesAndTheShiftedHead) {
  const TemporaryFolder folder;
  std::string text = "shop,day,sold,price\n";
  for (int t = 1; t <= 30; ++t) {
    for (const char* shop : {"a", "b"}) {
      text += std::string(shop) + "," + std::to_string(t) + "," +
              (t > 28 ? "" : std::to_string(t % 4 + (*shop == 'b' ? 50 : 0))) + "," +
              std::to_string(t % 3) + "\n";
    }
  }
  folder.write("t.csv", text);
  const Arguments run{"forecast",   "--data",   folder.path("t.csv"),
                      "--column",   "sold",     "--group",
                      "shop",       "--time",   "day",
                      "--horizon",  "2",        "--seeds",
                      "1",          "--epochs", "1",
                      "--input",    "6",        "--season",
                      "1",          "--device", "cpu",
                      "--channels", "2,2",      "--out"};
  expect_runs(run + Arguments{folder.path("q"), "--likelihood", "quantiles", "--levels",
                              "0.05,0.5,0.95", "--future-covariates", "price", "--residual",
                              "last"});
  const Json json = Json::parse(folder.read("q/report.json"));
  EXPECT_EQ(json.at("series").size(), 2U);
  EXPECT_EQ(json.at("windows").at("ahead"), 2) << "two rows of prices are there";
  EXPECT_TRUE(json.at("mape").at("naive").is_null()) << "values of 0";
  EXPECT_TRUE(json.at("mase").at("naive").is_number());
  EXPECT_TRUE(json.at("coverage").at("tcn").at("median").is_number());
  EXPECT_EQ(parse_table(folder.read("q/forecast.csv")).column("tcn_0.95").size(), 8U);
  expect_fails(run + Arguments{folder.path("s"), "--head", "shifted"}, {"line 58, sold: got \"\""});
  expect_runs(run + Arguments{folder.path("s"), "--head", "shifted", "--future-covariates", "price",
                              "--likelihood", "gaussian", "--train", "24"});
  EXPECT_EQ(Json::parse(folder.read("s/report.json")).at("options").at("residual"), "none");
}

TEST(ForecastCommand, JobsChangeNoResult) {
  const TemporaryFolder folder;
  folder.write("t.csv", monthly_rows(40));
  expect_runs(small_run(folder, {"--threads", "1"}));
  const std::string one = folder.read("out/forecast.csv");
  std::filesystem::remove_all(folder.path("out"));
  expect_runs(small_run(folder, {"--threads", "1", "--jobs", "2"}));
  EXPECT_EQ(folder.read("out/forecast.csv"), one);
  expect_usage_error(small_run(folder, {"--jobs", "0"}), {"--jobs", "0"});
}

// The cells of the rows behind the last one of each series, as text.
std::vector<std::vector<std::string>> rows_ahead(const std::string& csv) {
  std::vector<std::vector<std::string>> ahead;
  for (const std::vector<std::string>& row : parse_table(csv).rows) {
    if (row[4].empty()) {
      ahead.emplace_back(row.begin(), row.begin() + 9);
    }
  }
  return ahead;
}

TEST(ForecastCommand, ForecastsByAFileOfModels) {
  const TemporaryFolder folder;
  folder.write("t.csv", monthly_rows(40));
  const std::string models = folder.path("models.safetensors");
  const std::string out = expect_runs(small_run(folder, {"--covariates", "month", "--likelihood",
                                                         "gaussian", "--save", models}))
                              .out;
  EXPECT_NE(out.find("models.safetensors: 2 models"), std::string::npos) << out;
  const Arguments go_on{"forecast", "--checkpoint", models, "--device", "cpu", "--data"};
  expect_runs(go_on + Arguments{folder.path("t.csv"), "--out", folder.path("same")});
  EXPECT_EQ(names_in(folder.path("same")), (std::vector<std::string>{"forecast.csv"}));
  const std::string same = folder.read("same/forecast.csv");
  EXPECT_EQ(parse_table(same).columns,
            (std::vector<std::string>{"series", "origin", "time", "step", "actual", "tcn",
                                      "tcn_0.1", "tcn_0.5", "tcn_0.9", "naive", "seasonal_naive",
                                      "drift_seasonal"}));
  EXPECT_EQ(rows_ahead(same), rows_ahead(folder.read("out/forecast.csv")));
  EXPECT_EQ(rows_ahead(same).size(), 4U);

  // From the end of what came since, and further.
  folder.write("later.csv", monthly_rows(47));
  const std::string later = expect_runs(go_on + Arguments{folder.path("later.csv"), "--out",
                                                          folder.path("later"), "--horizon", "6"})
                                .out;
  EXPECT_NE(later.find("1 series, 6 rows ahead, by 2 models"), std::string::npos) << later;
  EXPECT_EQ(rows_ahead(folder.read("later/forecast.csv"))[0][2], "1993-12");
  EXPECT_EQ(rows_ahead(folder.read("later/forecast.csv")).size(), 6U);

  const Arguments none{"--out", folder.path("none")};
  const auto refused = [&](const std::string& data, const std::vector<std::string>& parts) {
    expect_fails(go_on + Arguments{folder.write("bad.csv", data)} + none, parts);
  };
  refused("when,y\n1990-01,1\n", {"bad.csv: column x: not there, wanted one of when, y"});
  refused("day,x\n1990-01,1\n", {"bad.csv: column when: not there"});
  refused(monthly_rows(7), {"bad.csv: x: got 7 rows, wanted 8 at least"});
  expect_fails({"forecast", "--checkpoint", folder.path("t.csv"), "--data", folder.path("t.csv"),
                "--out", folder.path("none")},
               {"t.csv"});
  std::filesystem::remove_all(folder.path("out"));
  expect_fails(small_run(folder, {"--save", folder.path("no/m.safetensors")}),
               {"--save", "a folder that is there"});
  expect_usage_error(go_on + Arguments{folder.path("t.csv"), "--epochs", "3"} + none,
                     {"--checkpoint", "--epochs"});
  expect_usage_error(
      {"forecast", "--data", folder.path("t.csv"), "--horizon", "2", "--out", folder.path("none")},
      {"--column"});
  EXPECT_FALSE(std::filesystem::exists(folder.path("none")));
}

TEST(ForecastCommand, RefusesBadInputAndLeavesNothing) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text, const std::vector<std::string>& parts,
                           const Arguments& more = {}) {
    folder.write("t.csv", text);
    expect_fails(small_run(folder, more), parts);
    EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"t.csv"}));
  };
  const std::string good = monthly_rows(40);
  refused(good, {"column x: got it as one to forecast and as a future covariate"},
          {"--future-covariates", "x"});
  refused(good, {"--levels: got --likelihood point, wanted gaussian"}, {"--levels", "0.1,0.5"});
  refused("when,y\n1990-01,1\n", {"t.csv: column x: not there, wanted one of when, y"});
  refused(good + "1993-05\n", {"line 42: got 1 fields, wanted 2"});
  refused(good + "1993-05,many\n", {"line 42, x: got \"many\""});
  refused(good + "1993-05,\n", {"line 42, x: got \"\""});
  refused(good + "1993-05,nan\n", {"line 42, x: got \"nan\""});
  refused(good + "1993-04,3\n", {"line 42, when: got the time \"1993-04\" twice"});
  refused(good + "1991-04,3\n", {"line 42, when", "behind a later one"});
  refused(monthly_rows(13), {"got 7 rows without the test part of 6, wanted 8 at least"});
  std::string constant = "when,x\n";
  for (int t = 1; t <= 40; ++t) {
    constant += std::to_string(t) + ",5\n";
  }
  refused(constant, {"t.csv: x: lines 2 to 35: got 5 in all of the 34 rows"});
  refused(good, {"covariates: got hour", "1990-01"}, {"--covariates", "hour"});
  refused(good, {"--residual seasonal: got --head shifted"}, {"--head", "shifted"});
  expect_usage_error(small_run(folder, {"--covariates", "moon"}), {"--covariates", "moon"});
  expect_usage_error(
      {"forecast", "--data", "t.csv", "--column", "x", "--horizon", "0", "--out", "o"},
      {"--horizon", "0"});
}

}  // namespace
}  // namespace warptape
