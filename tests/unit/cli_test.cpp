// The command's settings and child processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "exporter/cli/child_process.h"
#include "exporter/cli/settings.h"
#include "exporter/error.h"

namespace modelexport::cli {
namespace {

struct Options {
  int opset = 20;
  bool verify = false;
  double coverage = 0.9;
  uint64_t seed = 0;
  std::string runtime;
  std::vector<std::string> inputs;
  size_t weights = 0;
  int max_depth = 5;
  Settings settings;

  Options() {
    settings.add("opset", opset, "target opset", 17, 23);
    settings.add("verify", verify, "compare numbers");
    settings.add("seed", seed, "seed");
    settings.add("load-runtime", runtime, "library");
    settings.add("inputs", inputs, "files");
    settings.add_choice("weights", "where", {"external", "embed"},
                        [this](size_t i) { weights = i; });
    settings.section("extraction");
    settings.add("max-depth", max_depth, "depth", 0);
    settings.section("validation");
    settings.add("min-coverage", coverage, "share", 0, 1);
  }

  void parse(std::vector<std::string> arguments) {
    CLI::App app;
    settings.add_to(app);
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
  }
};

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  } catch (const CLI::Error& error) {
    return error.what();
  }
  return "no error";
}

// Reads `text` as configuration; the error with the file's name replaced by FILE.
std::string read_yaml(Options& options, const std::string& text) {
  const std::string path = testing::TempDir() + "config.yaml";
  std::ofstream(path) << text;
  std::string what = error_of([&] { options.settings.read_yaml(path); });
  if (const size_t at = what.find(path); at != std::string::npos)
    what.replace(at, path.size(), "FILE");
  return what;
}

TEST(Settings, YamlSetsAllKinds) {
  Options options;
  EXPECT_EQ(read_yaml(options,
                      "opset: 18\nverify: true\nload_runtime: /lib/ort.so\nseed: 7\n"
                      "inputs: [a.pt, b.pt]\nweights: embed\n"
                      "extraction: {max_depth: 2}\nvalidation:\n  min_coverage: 0.5\n"),
            "no error");
  EXPECT_EQ(options.opset, 18);
  EXPECT_TRUE(options.verify);
  EXPECT_EQ(options.runtime, "/lib/ort.so");
  EXPECT_EQ(options.seed, 7u);
  EXPECT_EQ(options.inputs, (std::vector<std::string>{"a.pt", "b.pt"}));
  EXPECT_EQ(options.weights, 1u);
  EXPECT_EQ(options.max_depth, 2);
  EXPECT_EQ(options.coverage, 0.5);
}

TEST(Settings, TheCommandLineComesFirst) {
  Options options;
  options.parse({"--opset", "21", "--inputs", "x.pt", "--inputs", "y.pt", "--verify"});
  EXPECT_EQ(
      read_yaml(options, "opset: 18\ninputs: a.pt\nverify: false\nmax_depth: 3\n").substr(0, 31),
      "FILE:4: unknown key 'max_depth'");
  EXPECT_EQ(options.opset, 21);
  EXPECT_EQ(options.inputs, (std::vector<std::string>{"x.pt", "y.pt"}));
  EXPECT_TRUE(options.verify);
}

TEST(Settings, ErrorsNameFileLineKeyAndWhatIsExpected) {
  const std::pair<std::string, std::string> cases[] = {
      {"opset: 20\nopsett: 18\n",
       "FILE:2: unknown key 'opsett'; known are opset, verify, seed, load_runtime, inputs, "
       "weights, "
       "extraction, validation"},
      {"extraction:\n  depth: 3\n", "FILE:2: unknown key 'depth'; known are max_depth"},
      {"opset: 24\n", "FILE:1: 'opset': expected an integer from 17 to 23, but found 24"},
      {"opset: \"20\"\n", "FILE:1: 'opset': expected an integer from 17 to 23, but found \"20\""},
      {"opset: [20]\n", "FILE:1: 'opset': expected an integer from 17 to 23, but found [20]"},
      {"\nverify: 1\n", "FILE:2: 'verify': expected true or false, but found 1"},
      {"weights: inside\n", "FILE:1: 'weights': expected one of external, embed, but found inside"},
      {"validation: {min_coverage: 2}\n",
       "FILE:1: 'min_coverage': expected a number from 0 to 1, but found 2"},
      {"extraction: 3\n", "FILE:1: 'extraction': expected a mapping"},
      {"opset: {a: 1}\n",
       "FILE:1: 'opset': expected an integer from 17 to 23, but found [a mapping]"},
      {"- a\n", "FILE:1: expected keys and values (opset: 20)"},
      {"opset: [20\n", "FILE:2: end of sequence flow not found"},
  };
  for (const auto& [text, what] : cases) {
    Options options;
    EXPECT_EQ(read_yaml(options, text), what);
  }
  Options options;
  EXPECT_EQ(error_of([&] { options.settings.read_yaml("/no/such.yaml"); }),
            "/no/such.yaml: cannot be opened: No such file or directory");
}

TEST(Settings, JsonOfAManifest) {
  Options options;
  options.settings.read_json(
      nlohmann::json::parse(R"({"id": "a", "opset": 19, "inputs": ["x"], "verify": true})"), {"id"},
      "jobs:1");
  EXPECT_EQ(options.opset, 19);
  EXPECT_EQ(options.inputs, std::vector<std::string>{"x"});
  EXPECT_EQ(error_of([&] {
              options.settings.read_json({{"opset", "19"}}, {}, "jobs:2");
            }),
            "jobs:2: 'opset': expected an integer from 17 to 23, but found \"19\"");
  EXPECT_EQ(error_of([&] {
              options.settings.read_json({{"seed", nullptr}}, {}, "jobs:3");
            }),
            "jobs:3: 'seed': expected a plain value, but found null");
}

TEST(Settings, CommandLineErrors) {
  EXPECT_EQ(error_of([] {
              Options().parse({"--opset", "30"});
            }),
            "--opset: expected an integer from 17 to 23, but got '30'");
  EXPECT_EQ(error_of([] {
              Options().parse({"--weights", "x"});
            }),
            "--weights: expected one of external, embed, but got 'x'");
}

// ---- children
// -----------------------------------------------------------------------------------------

TEST(ChildPool, ReturnsWhatEachOneSays) {
  ChildPool pool;
  const std::string long_text(1 << 20, 'x');  // more than a pipe holds
  pool.start(1, [&] { return long_text; });
  pool.start(2, [] { return std::string("two"); });
  std::map<size_t, std::string> outputs;
  while (pool.running() > 0) {
    auto [id, end] = pool.wait(0);
    EXPECT_EQ(end.status, 0);
    outputs[id] = end.output;
  }
  EXPECT_EQ(outputs[1], long_text);
  EXPECT_EQ(outputs[2], "two");
}

TEST(ChildPool, ACrashHarmsNoOther) {
  ChildPool pool;
  pool.start(1, []() -> std::string {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return "";
  });
  pool.start(2, [] { return std::string("fine"); });
  std::map<size_t, ChildEnd> ends;
  while (pool.running() > 0) {
    auto [id, end] = pool.wait(0);
    ends[id] = end;
  }
  EXPECT_EQ(describe_status(ends[1].status), "signal 11 (Segmentation fault)");
  EXPECT_EQ(ends[2].output, "fine");
}

TEST(ChildPool, StopsThoseThatTakeTooLong) {
  ChildPool pool;
  pool.start(1, []() -> std::string {
    for (;;) pause();
  });
  const auto [id, end] = pool.wait(0.2);
  EXPECT_TRUE(end.timed_out);
  EXPECT_LT(end.seconds, 10);
}

TEST(RunProgram, OutputStatusTimeAndMemory) {
  const ChildEnd end = run_program({"/bin/sh", "-c", "echo hi; exit 3"});
  EXPECT_EQ(end.output, "hi\n");
  EXPECT_EQ(describe_status(end.status), "exit code 3");
  EXPECT_GT(end.memory_peak_mb, 0);
  EXPECT_EQ(describe_status(run_program({"/no/such/program"}).status), "exit code 127");
}

}  // namespace
}  // namespace modelexport::cli
