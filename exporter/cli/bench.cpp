// modelexport bench: time and memory of whole exports, beside a plain copy of the checkpoint.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "exporter/cli/child_process.h"
#include "exporter/cli/command.h"
#include "exporter/error.h"

namespace modelexport::cli {
namespace {

namespace fs = std::filesystem;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// A folder beside the model, so that copies stay in its file system; gone at the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& model) {
    const fs::path beside = fs::absolute(model).parent_path();
    for (const fs::path& parent : {beside, fs::temp_directory_path()}) {
      std::string name = (parent / "modelexport-bench-XXXXXX").string();
      if (!mkdtemp(name.data())) continue;
      path_ = name;
      return;
    }
    throw Error(ErrorKind::unwritable,
                fmt::format("neither {} nor {} can be written to", beside.string(),
                            fs::temp_directory_path().string()));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

struct Measured {
  std::vector<std::string> command;
  std::vector<double> all_seconds, all_memory;
  std::map<std::string, std::vector<double>> all_stages;  // what the export's metrics say

  double seconds() const { return median(all_seconds); }
  double memory_peak_mb() const { return median(all_memory); }

  void run(bool counts) {
    const ChildEnd end = run_program(command);
    if (end.status != 0) {
      throw Error(ErrorKind::usage, fmt::format("'{}' ended with {}", fmt::join(command, " "),
                                                describe_status(end.status)));
    }
    if (!counts) return;
    all_seconds.push_back(end.seconds);
    all_memory.push_back(end.memory_peak_mb);
    const nlohmann::ordered_json json = nlohmann::ordered_json::parse(end.output, nullptr, false);
    if (!json.is_object() || !json.contains("metrics")) return;
    for (const auto& [name, value] : json["metrics"].items()) {
      if (name.ends_with("_time")) all_stages[name].push_back(value);
    }
  }
};

// In turns, so that a busy machine is equally busy for all, after a turn that warms the page cache.
void measure(std::vector<Measured*> all, int runs) {
  for (int turn = 0; turn <= runs; ++turn) {
    for (Measured* measured : all) measured->run(turn > 0);
  }
}

nlohmann::ordered_json to_json(const Measured& measured) {
  nlohmann::ordered_json json = {{"seconds", measured.seconds()},
                                 {"memory_peak_mb", measured.memory_peak_mb()}};
  for (const auto& [name, values] : measured.all_stages) json["stages"][name] = median(values);
  return json;
}

struct BenchCommand {
  std::string model;
  std::string against;
  std::vector<std::string> arguments;  // passed on to export
  int runs = 5;
  Console console;
  Settings settings;
  ConfigOption config;

  void run() {
    config.read_into(settings);
    check_model_file(model);
    const TemporaryFolder folder(model);
    const std::string self = fs::read_symlink("/proc/self/exe").string();
    const std::string copied = folder.file("model.pt");
    // Of the copy: weights can stay in place only beside the ONNX file.
    std::vector<std::string> command = {self,    "export", copied, "-o", folder.file("model.onnx"),
                                        "--json"};
    command.insert(command.end(), arguments.begin(), arguments.end());

    Measured start{{self, "ops", "--quiet"}}, copy{{"cp", model, copied}}, whole{command};
    Measured other{{"/bin/sh", "-c", against}};
    std::vector<Measured*> all = {&copy, &start, &whole};
    if (!against.empty()) all.push_back(&other);
    measure(all, runs);
    const double ratio = (whole.seconds() - start.seconds()) / copy.seconds();
    nlohmann::ordered_json json = {{"model", model},
                                   {"bytes", fs::file_size(model)},
                                   {"runs", runs},
                                   {"start", to_json(start)},
                                   {"cp", {{"seconds", copy.seconds()}}},
                                   {"export", to_json(whole)},
                                   {"ratio_to_cp", ratio}};
    const auto row = [&](const std::string& name, const Measured& measured) {
      console.say(fmt::format("{:<32} {:8.3f} s {:8.0f} MB", name, measured.seconds(),
                              measured.memory_peak_mb()));
    };
    row("export, whole process", whole);
    for (const auto& [name, values] : whole.all_stages)
      console.say(fmt::format("  {:<30} {:8.3f} s", name, median(values)));
    row("start of LibTorch", start);
    console.say(fmt::format("{:<32} {:8.3f} s", "cp of the checkpoint", copy.seconds()));
    console.say(fmt::format("export without the start takes {:.2f} x cp", ratio));
    if (!against.empty()) {
      json["against"] = to_json(other);
      json["against"]["command"] = against;
      json["speedup"] = other.seconds() / whole.seconds();
      row("against", other);
      console.say(fmt::format("export is {:.1f} x as fast", other.seconds() / whole.seconds()));
    }
    if (console.json) fmt::print("{}\n", json.dump(2));
  }
};

}  // namespace

void add_bench_command(CLI::App& app, int&) {
  CLI::App* sub =
      app.add_subcommand("bench", "Measure whole exports: stages, memory, ratio to a plain copy");
  auto command = std::make_shared<BenchCommand>();
  add_model_option(*sub, command->model);
  sub->add_option("ARGUMENTS", command->arguments, "options of export, after --")->type_name("");
  command->settings.add("against", command->against, "a shell command to measure beside it");
  command->settings.add("runs", command->runs, "runs of each; medians are shown", 1);
  command->console.declare(command->settings);
  command->settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "Examples:\n"
      "  modelexport bench bert.pt\n"
      "  modelexport bench bert.pt --runs 9 --json -- --weights in-place\n"
      "  modelexport bench bert.pt --against 'pnnx bert.pt inputshape=[1,12]i64'");
  sub->callback([command] { command->run(); });
}

}  // namespace modelexport::cli
