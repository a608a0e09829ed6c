// modelexport batch: many exports from one process, each in a forked child, so that LibTorch starts
// once and a crash of one harms no other.
#include <fmt/format.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "exporter/cli/child_process.h"
#include "exporter/cli/command.h"
#include "exporter/cli/summary.h"
#include "exporter/error.h"

namespace modelexport::cli {
namespace {

struct Job {
  std::string id;
  std::string model;
  ExportOptions options;
};

std::string required_text(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    throw Error(ErrorKind::usage, fmt::format("{}: '{}': a text is expected", where, key));
  }
  return found->get<std::string>();
}

Job parse_job(const std::string& line, const std::string& where) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: expected a JSON object, such as "
                            R"({{"id": "a", "model": "a.pt", "output": "a.onnx"}})",
                            where));
  }
  Job job;
  job.id = required_text(object, "id", where);
  job.model = required_text(object, "model", where);
  if (object.contains("output")) job.options.output = required_text(object, "output", where);
  Settings settings;
  declare_export_settings(settings, job.options);
  declare_report_settings(settings, job.options);
  settings.read_json(object, {"id", "model", "output"}, where);
  return job;
}

std::vector<Job> read_manifest(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw Error(ErrorKind::usage,
                fmt::format("manifest '{}': cannot be opened: {}", path, std::strerror(errno)));
  }
  std::vector<Job> jobs;
  std::set<std::string> ids;
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    jobs.push_back(parse_job(line, fmt::format("{}:{}", path, number)));
    if (!ids.insert(jobs.back().id).second) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}:{}: id '{}' is there twice", path, number, jobs.back().id));
    }
  }
  return jobs;
}

const char* status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::mismatch:
      return "mismatch";
    case ErrorKind::internal:
      return "crashed";
    default:
      return "invalid";
  }
}

nlohmann::ordered_json failure(const Job& job, ErrorKind kind, const std::string& what) {
  return {{"id", job.id},
          {"status", status_of(kind)},
          {"error", what},
          {"exit_code", static_cast<int>(kind)}};
}

// In the child: one export, as its line of the report.
nlohmann::ordered_json run_job(const Job& job) {
  try {
    check_model_file(job.model);
    const ExportResult result = export_checkpoint(job.model, job.options);
    require_match(result.report.numbers);
    const int exit_code = exit_code_of(result);
    nlohmann::ordered_json report = {{"id", job.id},
                                     {"status", exit_code == 0 ? "ok" : "unsupported"},
                                     {"output", result.model.onnx},
                                     {"metrics", metrics_json(result)},
                                     {"diagnostics", result.diagnostics},
                                     {"exit_code", exit_code}};
    if (exit_code != 0) {
      report["unsupported"] = unsupported_json(result);
      report["missing_outputs"] = result.report.missing_outputs;
    }
    return report;
  } catch (const Error& error) {
    return failure(job, error.kind(), error.what());
  } catch (const std::exception& error) {
    return failure(job, ErrorKind::internal, error.what());
  }
}

nlohmann::ordered_json report_of(const Job& job, const ChildEnd& end, int timeout) {
  if (end.timed_out) {
    return {{"id", job.id},
            {"status", "timeout"},
            {"error", fmt::format("it took longer than {} s", timeout)},
            {"exit_code", static_cast<int>(ErrorKind::internal)}};
  }
  nlohmann::ordered_json report = nlohmann::ordered_json::parse(end.output, nullptr, false);
  if (end.status == 0 && report.is_object()) return report;
  return failure(job, ErrorKind::internal, "the export ended with " + describe_status(end.status));
}

struct BatchCommand {
  std::string manifest;
  int jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  int timeout = 0;
  Settings settings;
  ConfigOption config;

  int run() {
    config.read_into(settings);
    const std::vector<Job> all = read_manifest(manifest);
    ChildPool pool;
    int exit_code = 0;
    for (size_t next = 0; next < all.size() || pool.running() > 0;) {
      while (next < all.size() && pool.running() < static_cast<size_t>(jobs)) {
        pool.start(next, [&job = all[next]] { return run_job(job).dump(); });
        ++next;
      }
      const auto [index, end] = pool.wait(timeout);
      const nlohmann::ordered_json report = report_of(all[index], end, timeout);
      if (exit_code == 0) exit_code = report["exit_code"];
      fmt::print("{}\n", report.dump());
      std::fflush(stdout);
    }
    return exit_code;
  }
};

}  // namespace

void add_batch_command(CLI::App& app, int& exit_code) {
  CLI::App* sub =
      app.add_subcommand("batch", "Many exports: one process start, each in its own child process");
  auto command = std::make_shared<BatchCommand>();
  sub->add_option("MANIFEST", command->manifest,
                  "one JSON object per line: id, model, output, and options of export")
      ->required()
      ->type_name("");
  command->settings.add("jobs", command->jobs, "how many run at once", 1);
  command->settings.add("timeout", command->timeout,
                        "seconds after which an export is stopped; 0: never", 0);
  command->settings.add_to(*sub);
  command->config.add_to(*sub);
  sub->footer(
      "Writes one JSON line per export as it ends, in any order: id, status (ok, unsupported, "
      "invalid,\n"
      "mismatch, crashed, timeout), error, output, metrics. The exit code is 0 only if all are ok, "
      "otherwise\n"
      "that of the first that was not.\n\n"
      "Example:\n"
      R"(  echo '{"id": "a", "model": "a.pt", "output": "a.onnx", "inputs": ["a1.pt", "a2.pt"]}' > jobs.jsonl)"
      "\n  modelexport batch jobs.jsonl --jobs 4 --timeout 600");
  sub->callback([command, &exit_code] { exit_code = command->run(); });
}

}  // namespace modelexport::cli
