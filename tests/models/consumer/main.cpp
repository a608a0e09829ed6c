// consumer MODEL.pt INPUTS.pt OUT.onnx: exports with the library, as a program outside this
// repository would.
#include <cstdio>

#include "exporter/error.h"
#include "exporter/export.h"

int main(int argc, char** argv) {
  if (argc != 4) return 1;
  try {
    modelexport::ExportOptions options;
    options.inputs.files = {argv[2]};
    options.output = argv[3];
    options.verify = true;
    modelexport::ExportResult result = modelexport::export_checkpoint(argv[1], options);
    std::printf("%zu nodes\n", result.graph.body.nodes.size());
  } catch (const modelexport::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.kind());
  }
  return 0;
}
