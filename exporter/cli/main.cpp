// The command. Whatever goes wrong ends as one message on standard error and the exit code of its
// kind.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "exporter/cli/command.h"
#include "exporter/error.h"
#include "exporter/frontend/live_module.h"
#include "exporter/onnx/check.h"
#include "exporter/onnx/pending_file.h"
#include "exporter/runtime/session.h"

namespace modelexport::cli {
namespace {

std::string version_text() {
  std::string runtime;
  try {
    const runtime::RuntimeInfo info = runtime::runtime_info();
    runtime = fmt::format("{} ({})", info.version, info.path);
  } catch (const Error&) {
    runtime = "not found; needed to verify only, see --runtime";
  }
  return fmt::format("modelexport {}\nLibTorch {}\nonnx {}\nONNX Runtime {}", MODELEXPORT_VERSION,
                     frontend::torch_version(), onnx::onnx_version(), runtime);
}

int fail(ErrorKind kind, const std::string& what) {
  fmt::print(stderr, "modelexport: error: {}\n", what);
  return static_cast<int>(kind);
}

int run(int argc, char** argv) {
  CLI::App app("Exports TorchScript checkpoints to tagged ONNX, and proves the files right.",
               "modelexport");
  app.set_version_flag("--version", version_text);
  app.require_subcommand(1);
  app.footer("modelexport COMMAND --help shows the options of a command, and examples.");
  int exit_code = 0;
  add_export_command(app, exit_code);
  add_extract_command(app, exit_code);
  add_validate_command(app, exit_code);
  add_verify_command(app, exit_code);
  add_analyze_command(app, exit_code);
  add_compare_command(app, exit_code);
  add_batch_command(app, exit_code);
  add_bench_command(app, exit_code);
  add_ops_command(app, exit_code);
  add_retag_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    if (chosen.empty() && argc > 1 && argv[1][0] != '-') {
      return fail(ErrorKind::usage,
                  fmt::format("'{}' is no command; see modelexport --help", argv[1]));
    }
    return fail(ErrorKind::usage,
                fmt::format("{}; see modelexport {}--help", error.what(),
                            chosen.empty() ? "" : chosen.front()->get_name() + " "));
  }
  return exit_code;
}

int run_reporting_errors(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    return fail(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::internal, "out of memory");
  } catch (const std::exception& error) {
    // LibTorch's errors carry a C++ stack, which helps nobody here.
    std::string what = error.what();
    what = what.substr(0, what.find("\nException raised from"));
    return fail(ErrorKind::internal, "internal error, please report it: " + what);
  }
}

}  // namespace
}  // namespace modelexport::cli

int main(int argc, char** argv) {
  modelexport::onnx::remove_pending_files_on_signals();
  const int exit_code = modelexport::cli::run_reporting_errors(argc, argv);
  // LibTorch takes as long to unregister its operators as to register them. All else is done.
  std::fflush(nullptr);
  std::_Exit(exit_code);
}
