// Runs the operator cases: one test per case, named FAMILY.CASE. See README.md beside this file.
//
//   op_cases [--opsets=default|sweep|FIRST-LAST] [--untested] [GoogleTest's options]
//
// `sweep` is all opsets but each case's default one. --untested lists, after the run, the operators
// whose lowering occurred in no case.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "exporter/error.h"
#include "exporter/frontend/quantized_operators.h"
#include "exporter/frontend/torchvision.h"
#include "exporter/lowering/registry.h"
#include "tests/ops/case.h"
#include "tests/ops/compile.h"
#include "tests/ops/run_case.h"

namespace modelexport::ops_test {
namespace {

struct Options {
  bool sweep = false;
  std::optional<OpsetRange> opsets;
  bool untested = false;
};
Options options;
std::string folder;               // for files of the case at hand
std::set<std::string> exercised;  // operators

std::vector<int> opsets_of(const Case& one) {
  if (!options.sweep && !options.opsets) return {one.default_opset()};
  const OpsetRange wanted = options.opsets.value_or(OpsetRange{});
  std::vector<int> opsets;
  for (int opset = wanted.first; opset <= wanted.last; ++opset) {
    if (one.opsets.contains(opset) && !(options.sweep && opset == one.default_opset()))
      opsets.push_back(opset);
  }
  return opsets;
}

class CaseTest : public testing::Test {
 public:
  explicit CaseTest(const Case& one) : case_(one) {}

  void TestBody() override {
    const std::vector<int> opsets = opsets_of(case_);
    if (opsets.empty()) GTEST_SKIP() << "not for these opsets";
    const Trial trial(case_, folder);
    exercised.merge(trial.operators());
    for (int opset : opsets) {
      const std::string failure = trial.at_opset(opset);
      if (!failure.empty())
        ADD_FAILURE() << "opset " << opset << ": " << failure << "\n" << case_.source;
    }
  }

 private:
  const Case& case_;
};

std::vector<Case> read_cases() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(OP_CASES_FOLDER))
    if (entry.path().extension() == ".cases") files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<Case> cases;
  for (const std::filesystem::path& file : files) {
    std::ifstream stream(file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    for (Case& one : parse_cases(file.stem().string(), text)) cases.push_back(std::move(one));
  }
  return cases;
}

void register_cases(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    const std::string file = OP_CASES_FOLDER "/" + one.family + ".cases";
    testing::RegisterTest(one.family.c_str(), one.name.c_str(), nullptr, nullptr, file.c_str(),
                          one.line, [&one]() -> testing::Test* { return new CaseTest(one); });
  }
}

bool read_option(std::string_view text) {
  if (text == "--untested") return options.untested = true;
  if (!text.starts_with("--opsets=")) return false;
  text.remove_prefix(9);
  options.sweep = text == "sweep";
  if (text == "sweep" || text == "default") return true;
  OpsetRange range;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.first);
  range.last = range.first;
  if (first.ptr != end) std::from_chars(first.ptr + 1, end, range.last);
  options.opsets = range;
  return first.ec == std::errc();
}

// Operators that share a lowering with one that occurred (aliases, overloads) are not listed.
void print_untested() {
  const auto lowering_of = [](std::string_view key) {
    const lowering::Row* row = lowering::find(key);
    return row ? row->lower : decltype(row->lower)();
  };
  std::vector<decltype(lowering::Row::lower)> tested;
  for (const std::string& key : exercised) tested.push_back(lowering_of(key));
  std::cout << "Operators whose lowering occurred in no case:\n";
  for (std::string_view key : lowering::keys()) {
    if (!exercised.contains(std::string(key)) &&
        std::ranges::find(tested, lowering_of(key)) == tested.end())
      std::cout << "  " << key << "\n";
  }
}

// Every key of the registry is an operator that LibTorch has.
TEST(Registry, KeysAreOperators) {
  const std::set<std::string> operators = registered_operators();
  for (std::string_view key : lowering::keys()) {
    if (key.starts_with("prim::")) continue;  // blocks and their like have no schema
    if (key.starts_with("quantized_decomposed::")) continue;  // PyTorch has these in Python only
    EXPECT_TRUE(operators.contains(std::string(key))) << key;
  }
}

// And so is every key of the table of quantised operators; their steps can be lowered.
TEST(Registry, QuantizedOperatorsHaveSteps) {
  const std::set<std::string> operators = registered_operators();
  for (std::string_view key : frontend::quantized_operators()) {
    EXPECT_TRUE(operators.contains(std::string(key))) << key;
    for (const frontend::RealStep& step : *frontend::real_steps(key)) {
      if (step.key == "requantize") continue;
      EXPECT_TRUE(operators.contains(step.key) && lowering::find(step.key)) << step.key;
    }
  }
}

int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (read_option(argv[i])) continue;
    std::cerr << "unknown option: " << argv[i] << "\n";
    return 2;
  }
  std::string name = (std::filesystem::temp_directory_path() / "op_cases.XXXXXX").string();
  if (!mkdtemp(name.data())) return 2;
  folder = name;
  switch_off_onednn();
  frontend::register_torchvision();
  const std::vector<Case> cases = read_cases();
  register_cases(cases);
  const int result = RUN_ALL_TESTS();
  if (options.untested) print_untested();
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace
}  // namespace modelexport::ops_test

int main(int argc, char** argv) {
  try {
    return modelexport::ops_test::run(argc, argv);
  } catch (const modelexport::Error& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
