#include "training/csv.h"

#include <gtest/gtest.h>

#include "tests/training/bad_files.h"

namespace warptape {
namespace {

TEST(Csv, GivesColumnsByName) {
  const TemporaryFolder folder;
  const CsvTable table =
      read_csv(folder.write("t.csv", "month,spots,note\r\n1749-01,58.0,\r\n1749-02,-1e-3,x y"));
  EXPECT_EQ(table.names(), (std::vector<std::string>{"month", "spots", "note"}));
  EXPECT_EQ(table.rows(), 2U);
  EXPECT_EQ(table.numbers("spots"), (std::vector<double>{58, -1e-3}));
  EXPECT_EQ(table.texts("month"), (std::vector<std::string>{"1749-01", "1749-02"}));
  EXPECT_EQ(table.texts("note"), (std::vector<std::string>{"", "x y"}));
}

// As R, pandas and spreadsheets write them.
TEST(Csv, ReadsQuotedFieldsUnnamedColumnsAndEmptyLinesAtTheEnd) {
  const TemporaryFolder folder;
  const CsvTable table = read_csv(folder.write(
      "t.csv", "\"\",\"a, b\",c\r\n\"1\",\"2.5\",\"\"\r\n2,3,\"x \"\"y\"\"\"\r\n\r\n\n"));
  EXPECT_EQ(table.names(), (std::vector<std::string>{"", "a, b", "c"}));
  EXPECT_EQ(table.numbers("a, b"), (std::vector<double>{2.5, 3}));
  EXPECT_EQ(table.texts("c"), (std::vector<std::string>{"", "x \"y\""}));
  expect_file_error([&] { table.texts(""); }, {"not there, wanted one of a, b, c"});
}

TEST(Csv, ReadsTheSunspots) {
  const CsvTable table = read_csv(WARPTAPE_SOURCE_DIR "/data/monthly_sunspots.csv");
  const std::vector<double> spots = table.numbers("Sunspots");
  ASSERT_EQ(spots.size(), 2820U);
  EXPECT_EQ(spots.front(), 58);
  EXPECT_EQ(spots.back(), 33.4);
}

TEST(Csv, RefusesWhatIsNoTable) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text, const Parts& parts) {
    expect_file_error([&] { read_csv(folder.write("t.csv", text)).numbers("b"); }, parts);
  };
  expect_file_error([&] { read_csv(folder.path("none")); }, {"read_csv", "none"});
  refused("", {"[read_csv] ", "t.csv: got 0 lines"});
  refused("a,b\n", {"got 1 lines, wanted one of names and one or more of values"});
  refused("a,b\n1\n", {"line 2: got 1 fields, wanted 2"});
  refused("a,b\n1,2\n1,2,3\n", {"line 3: got 3 fields, wanted 2"});
  refused("a,b\n1,2\n\n3,4\n", {"line 3: got an empty line"});
  refused("a,a\n1,2\n", {"line 1: got the name \"a\""});
  refused("a,\n1,2\n", {"column b: not there, wanted one of a"});
  refused("a,b\n1,\"2\n3,4\"\n", {"line 2: got a quote that does not end"});
  refused("a,b\n1,\"\n", {"line 2: got a quote that does not end"});
  for (const std::string bad : {"2\"", "\"2\"3", "\"2\" ", " \"2\""}) {
    refused("a,b\n1," + bad + "\n", {"line 2: got a quote inside a field"});
  }
  refused("a,c\n1,2\n", {"column b: not there, wanted one of a, c"});
  for (const std::string bad : {"", "x", "1 ", " 1", "0x1", "1,5", "nan", "inf", "1e999"}) {
    const bool is_list = bad.find(',') != std::string::npos;
    refused("a,b\n1,2\n1," + bad + "\n",
            {is_list ? "line 3: got 3 fields" : "line 3, b: got \"" + bad + "\", wanted a finite"});
  }
}

}  // namespace
}  // namespace warptape
