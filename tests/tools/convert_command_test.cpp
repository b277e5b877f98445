// warptape convert.

#include <gtest/gtest.h>

#include "tests/kernels/norm_reference.h"
#include "tests/tools/command_line.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

const std::string golden = WARPTAPE_SOURCE_DIR "/tests/golden/";

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : load_safetensors(path).tensors) {
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

TEST(ConvertCommand, BringsAPyTorchFileIntoTheFormThatIsAskedFor) {
  const TemporaryFolder folder;
  const std::string out = folder.path("a.safetensors");
  const CommandResult all = expect_runs({"convert", golden + "torch_checkpoint.pt", out});
  EXPECT_NE(all.out.find("epoch, name, rate, none, done and 3 more"), std::string::npos) << all.out;
  EXPECT_NE(all.out.find("6 tensors"), std::string::npos) << all.out;
  EXPECT_EQ(names_in(out),
            (Names{"3", "lists.0", "lists.1.0", "model.bias", "model.weight_g", "model.weight_v"}));
  const CommandResult newer = expect_runs({"convert", out, folder.path("b.safetensors"), "--prefix",
                                           "model.", "--weight-norm-keys", "new"});
  EXPECT_NE(newer.out.find("3 tensors; 1 with weight norm, now new"), std::string::npos)
      << newer.out;
  EXPECT_EQ(
      names_in(folder.path("b.safetensors")),
      (Names{"bias", "parametrizations.weight.original0", "parametrizations.weight.original1"}));
  expect_runs({"convert", folder.path("b.safetensors"), folder.path("c.safetensors"),
               "--weight-norm-keys", "folded"});
  EXPECT_EQ(names_in(folder.path("c.safetensors")), (Names{"bias", "weight"}));
  const NamedTensors pair = load_safetensors(folder.path("b.safetensors"));
  const NamedTensors folded = load_safetensors(folder.path("c.safetensors"));
  const auto value = [](const NamedTensors& file, const std::string& name) {
    for (const auto& [key, tensor] : file.tensors) {
      if (key == name) {
        return tensor.to(float64);
      }
    }
    return Tensor();
  };
  EXPECT_LE(NormReference::error(value(folded, "weight"),
                                 weight_norm(value(pair, "parametrizations.weight.original1"),
                                             value(pair, "parametrizations.weight.original0"))
                                     .to_vector<double>()),
            1e-7);
}

TEST(ConvertCommand, KeepsMetadataAndSaysWhatIsWrong) {
  const TemporaryFolder folder;
  const std::string in = folder.path("in.safetensors");
  save_safetensors(in, {{"a.w", Tensor::ones({2})}}, {{"task", "x"}});
  const std::string out = folder.path("out.safetensors");
  expect_runs({"convert", in, out});
  EXPECT_EQ(load_safetensors(out).metadata, (std::map<std::string, std::string>{{"task", "x"}}));
  expect_fails({"convert", in, out, "--prefix", "b."}, {"--prefix", "b.", "1 tensors", "a.w"});
  expect_fails({"convert", golden + "torch_module.pt", out}, {"torch_module.pt", "Linear"});
  expect_fails({"convert", golden + "torch_legacy.pt", out}, {"torch_legacy.pt", "before 1.6"});
  expect_fails({"convert", in, folder.path("no/such/folder.safetensors")}, {"no/such"});
  expect_usage_error({"convert", in, out, "--weight-norm-keys", "newest"}, {"newest"});
  expect_usage_error({"convert", in}, {"output"});
  EXPECT_EQ(names_in(out), Names{"a.w"}) << "what failed has written nothing";
}

}  // namespace
}  // namespace warptape
