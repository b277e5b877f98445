// Labelled series in .ts files: what is read, and what is refused.

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"
#include "tests/training/bad_files.h"
#include "training/ts_file.h"

namespace warptape {
namespace {

const std::string header =
    "# two classes\n@problemName Tiny\n@timeStamps false\n@missing true\n@univariate false\n"
    "@dimensions 2\n@equalLength false\n@classLabel true on off\n\n@data\n";  // lines 1 to 10

TsFile read(const std::string& text, MissingValues missing = MissingValues::Refuse) {
  const TemporaryFolder folder;
  return load_ts(folder.write("a.ts", text), missing);
}

void expect_refused(const std::string& text, const Parts& parts,
                    MissingValues missing = MissingValues::Refuse) {
  Parts all = parts;
  all.emplace_back("[load_ts] ");
  all.emplace_back("a.ts: ");
  expect_file_error([&] { read(text, missing); }, all);
}

TEST(TsFile, HasChannelsBehindEachOtherAndUnequalLengths) {
  const TsFile file = read(header + "1,2,3:-1.5, 2e1 ,0.25:off\n# between\n\n7:8:on");
  EXPECT_EQ(file.problem, "Tiny");
  EXPECT_EQ(file.classes, (std::vector<std::string>{"on", "off"}));
  EXPECT_EQ(file.channels, 2);
  ASSERT_EQ(file.series.size(), 2U);
  EXPECT_EQ(file.series[0].values, (std::vector<double>{1, 2, 3, -1.5, 20, 0.25}));
  EXPECT_EQ(file.series[0].length, 3);
  EXPECT_EQ(file.series[0].label, 1);
  EXPECT_EQ(file.series[1].values, (std::vector<double>{7, 8}));
  EXPECT_EQ(file.series[1].length, 1);
  EXPECT_EQ(file.series[1].label, 0);
  EXPECT_EQ(file.longest(), 3);
  EXPECT_EQ(file.shortest(), 1);
}

TEST(TsFile, MayComeFromElsewhere) {  // with a byte order mark, "\r\n", and few directives
  const TsFile file = read("\xef\xbb\xbf@CLASSLABEL TRUE a b\r\n@DATA\r\n1,2:a\r\n3:b\r\n");
  EXPECT_EQ(file.classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.channels, 1);
  ASSERT_EQ(file.series.size(), 2U);
  EXPECT_EQ(file.series[1].values, std::vector<double>{3});
}

TEST(TsFile, FillsMissingValuesWhereAskedTo) {
  const std::string row = "?,1,NaN,?,4:5,?,6,7,8:on\n";
  expect_refused(header + row,
                 {"line 11", "channel 1, value 1", "a missing value", "--missing previous"});
  const TsFile file = read(header + row, missing_values("previous"));
  EXPECT_EQ(file.series[0].values, (std::vector<double>{1, 1, 1, 1, 4, 5, 5, 6, 7, 8}));
  expect_refused(header + "1,2:?,?:on\n", {"line 11: channel 2: got no value at all"},
                 MissingValues::Previous);
  expect_refused("@missing false\n@classLabel true a b\n@data\n1,?:a\n",
                 {"line 4: channel 1, value 2", "@missing false says"}, MissingValues::Previous);
  expect_error<ValueError>([] { missing_values("zero"); }, {"zero", "refuse or previous"});
}

TEST(TsFile, RefusesHeadersThatDoNotDo) {
  expect_refused("@problemName x\n@data\n1:a\n", {"line 2: got @data, wanted @classLabel true"});
  expect_refused("@classLabel false\n@data\n1\n", {"line 1", "@classLabel false", "labelled"});
  expect_refused("@classLabel true a\n", {"line 1: got 1 classes", "2 or more"});
  expect_refused("@classLabel true a a\n", {"line 1: got the class \"a\" twice"});
  expect_refused("@targetLabel true\n@data\n1:0.5\n", {"line 1", "wanted classes"});
  expect_refused("@timestamps true\n", {"line 1", "without time stamps"});
  expect_refused("@timestamps maybe\n", {"line 1", "maybe", "true or false"});
  expect_refused("@dimensions 0\n", {"line 1", "@dimensions 0", "1 or more"});
  expect_refused("@dimensions two\n", {"line 1", "whole number"});
  expect_refused("@\x1b[2J\n", {"line 1", "@\\x1b[2J", "@equalLength"});
  expect_refused("1,2:a\n", {"line 1: got \"1,2:a\", wanted a line of the header"});
  expect_refused("@classLabel true a b\n", {"got no line @data"});
  expect_refused(header, {"got no series behind @data"});
}

TEST(TsFile, RefusesRowsThatDoNotFit) {
  expect_refused(header + "1,2:3,4:on\n1:2:3:on\n", {"line 12: got 3 channels, wanted 2"});
  expect_refused(header + "1:2:3:on\n", {"line 11: got 3 channels, wanted 2, as @dimensions says"});
  expect_refused("@univariate true\n@classLabel true a b\n@data\n1:2:a\n",
                 {"line 4: got 2 channels, wanted 1, as @univariate says"});
  expect_refused(header + "1,2:3:on\n", {"line 11: got 1 values in channel 2 and 2 in channel 1"});
  expect_refused(header + "1,x2:3,4:on\n", {"line 11: channel 1, value 2: got \"x2\""});
  expect_refused(header + "1,:3,4:on\n", {"line 11: channel 1, value 2: got \"\""});
  expect_refused(header + "1,inf:3,4:on\n", {"got \"inf\", wanted a finite decimal number"});
  expect_refused(header + "1,2:3,4:of\n", {"line 11: got the class \"of\", wanted one of on, off"});
  expect_refused(header + "1,2\n", {"line 11: got \"1,2\"", "\":\" between them"});
  expect_refused("@equalLength true\n@classLabel true a b\n@data\n1,2:a\n1:b\n",
                 {"line 5: got 1 values per channel, wanted 2", "@equalLength"});
  expect_refused("@seriesLength 1\n@classLabel true a b\n@data\n1,2:a\n",
                 {"line 4: got 2 values per channel, wanted at most 1"});
}

TEST(TsFile, SurvivesDamage) {
  const TemporaryFolder folder;
  expect_refuses_special_files([](const std::string& path) { load_ts(path); });
  expect_survives_mutations("@dimensions 2\n@classLabel true a b\n@data\n1,2:3,?:a\n",
                            [&](const std::string& bytes) {
                              load_ts(folder.write("a.ts", bytes), MissingValues::Previous);
                            });
}

}  // namespace
}  // namespace warptape
