#include "exporter/check_written.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "analysis/hierarchy_json.h"
#include "analysis/model_summary.h"
#include "analysis/report_html.h"
#include "exporter/error.h"
#include "exporter/onnx/pending_file.h"

namespace modelexport {
namespace {

// A gzip stream into a file.
class GzipFile {
 public:
  explicit GzipFile(onnx::PendingFile& file) : file_(file) {
    constexpr int kGzip = 16, kMemory = 8;
    deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzip, kMemory,
                 Z_DEFAULT_STRATEGY);
  }
  ~GzipFile() { deflateEnd(&stream_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  void write(std::string_view text) { deflate_all(text, Z_NO_FLUSH); }
  void finish() { deflate_all({}, Z_FINISH); }

 private:
  void deflate_all(std::string_view text, int flush) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_.avail_in = static_cast<uInt>(text.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_);
      stream_.avail_out = sizeof(buffer_);
      deflate(&stream_, flush);
      file_.append({buffer_, sizeof(buffer_) - stream_.avail_out});
    } while (stream_.avail_out == 0);
  }

  onnx::PendingFile& file_;
  z_stream stream_{};
  char buffer_[1 << 15];
};

bool matters(const analysis::Finding& finding, const ValidationOptions& options) {
  switch (finding.check) {
    case analysis::Check::cycles:
      return options.check_cycles;
    case analysis::Check::values:
    case analysis::Check::order:
    case analysis::Check::orphans:
      return options.verify_connections;
    default:
      return true;
  }
}

analysis::Expectation expectation_of(const onnx::WrittenModel& written, const Program& program,
                                     const graph::Graph& graph,
                                     const tagging::Hierarchy& hierarchy) {
  analysis::Expectation expectation = analysis::expectation_of(graph, program, hierarchy);
  expectation.checked = {std::filesystem::path(written.data_path).filename().native(),
                         written.checked};
  return expectation;
}

analysis::Unsupported unsupported_of(const ExportResult& result) {
  analysis::Unsupported unsupported{.missing_outputs = result.report.missing_outputs};
  for (const lowering::UnsupportedOp& op : result.report.unsupported) {
    unsupported.operators.push_back({op.key, op.reason, op.approximated, {}});
    for (OriginId origin : op.places) {
      unsupported.operators.back().places.push_back(lowering::place(result.program, origin));
    }
  }
  return unsupported;
}

}  // namespace

WrittenCheck::WrittenCheck(const onnx::WrittenModel& written, const Program& program,
                           const graph::Graph& graph, const tagging::Hierarchy& hierarchy)
    : program_(program),
      hierarchy_(hierarchy),
      file_(onnx::read_model(written.path)),
      index_(file_),
      check_(analysis::cross_check(index_, program, hierarchy,
                                   expectation_of(written, program, graph, hierarchy))) {}

WrittenCheck::WrittenCheck(const std::string& onnx_path, const Program& program,
                           const tagging::Hierarchy& hierarchy)
    : program_(program),
      hierarchy_(hierarchy),
      file_(onnx::read_model(onnx_path)),
      index_(file_),
      check_(analysis::cross_check(index_, program, hierarchy,
                                   analysis::expectation_of(program, hierarchy, file_))) {}

void WrittenCheck::require(const ValidationOptions& options) const {
  const bool holds =
      std::none_of(check_.findings.begin(), check_.findings.end(),
                   [&](const analysis::Finding& finding) { return matters(finding, options); });
  if (!holds) throw Error(ErrorKind::mismatch, analysis::describe(check_));
  const double coverage = std::min(check_.parameter_coverage(), check_.module_coverage());
  if (coverage < options.min_coverage) {
    throw Error(
        ErrorKind::mismatch,
        fmt::format("only {:.1f} % of the parameters and {:.1f} % of the modules are in {}",
                    100 * check_.parameter_coverage(), 100 * check_.module_coverage(), file_.path));
  }
}

size_t WrittenCheck::parameters() const {
  const auto& all = check_.parameters.parameters;
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& check) { return check.found(); }));
}

void WrittenCheck::write_sidecar(const std::string& path, const ExportOptions& options,
                                 const ExportResult& result) const {
  const analysis::HierarchyDocument document{.index = index_,
                                             .program = program_,
                                             .hierarchy = hierarchy_,
                                             .check = check_,
                                             .extraction = options.extraction,
                                             .include_metadata = options.include_metadata,
                                             .metrics = metrics_of(result),
                                             .times = result.report.times,
                                             .unsupported = unsupported_of(result)};
  onnx::PendingFile file(path);
  if (path.ends_with(".gz")) {
    GzipFile gzip(file);
    analysis::write_hierarchy(document, [&](std::string_view text) { gzip.write(text); });
    gzip.finish();
  } else {
    analysis::write_hierarchy(document, [&](std::string_view text) { file.append(text); });
  }
  file.commit();
}

void WrittenCheck::write_report(const ExportResult& result) const {
  const analysis::ModelSummary summary = analysis::summarize(file_, program_, hierarchy_);
  analysis::ReportContents contents{.models = {&summary},
                                    .check = &check_,
                                    .unsupported = unsupported_of(result),
                                    .times = result.report.times,
                                    .metrics = metrics_of(result),
                                    .notes = result.diagnostics};
  for (const NumericRun& run : result.report.numbers)
    contents.numbers.push_back({run.inputs, &run.outputs});
  onnx::PendingFile file(result.model.report);
  analysis::write_report(contents, [&](std::string_view text) { file.append(text); });
  file.commit();
}

}  // namespace modelexport
