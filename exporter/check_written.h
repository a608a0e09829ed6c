// What was written, read back and held against the live module; and the sidecar that tells what was
// found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "analysis/cross_check.h"
#include "exporter/export.h"
#include "exporter/onnx/reader.h"
#include "exporter/onnx/writer.h"
#include "tagging/hierarchy.h"

namespace modelexport {

class WrittenCheck {
 public:
  // Program, graph and hierarchy must outlive this. Throws Error{unreadable} if the file cannot be
  // read back.
  WrittenCheck(const onnx::WrittenModel& written, const Program& program, const graph::Graph& graph,
               const tagging::Hierarchy& hierarchy);
  // Of a file of any exporter, whose graph is not known.
  WrittenCheck(const std::string& onnx_path, const Program& program,
               const tagging::Hierarchy& hierarchy);

  // Throws Error{mismatch} with what does not hold.
  void require(const ValidationOptions& options) const;

  const analysis::CrossCheck& result() const { return check_; }
  size_t parameters() const;  // weights of the module that are in the file
  uint64_t parameter_bytes() const { return check_.parameters.bytes_compared; }
  double success_rate() const { return check_.success_rate(); }

  // hierarchy.json, compressed by gzip if the path ends in .gz.
  void write_sidecar(const std::string& path, const ExportOptions& options,
                     const ExportResult& result) const;

  // report.html, with the numbers, metrics and warnings of the export, to result.model.report.
  void write_report(const ExportResult& result) const;

 private:
  const Program& program_;
  const tagging::Hierarchy& hierarchy_;
  onnx::ModelFile file_;
  analysis::FileIndex index_;
  analysis::CrossCheck check_;
};

}  // namespace modelexport
