#include "exporter/graph/passes/run_passes.h"

#include "exporter/graph/passes/common_subexpressions.h"
#include "exporter/graph/passes/dead_code.h"
#include "exporter/graph/passes/simplify.h"
#include "exporter/graph/verify.h"

namespace modelexport::graph {

void run_passes(Graph& graph, const Program& program) {
  const auto run = [&](const char* name, auto pass) {
    pass(graph, program);
#ifndef NDEBUG
    verify(graph, program, name);
#endif
    static_cast<void>(name);
  };
  run("simplify", simplify);
  run("merge common subexpressions", merge_common_subexpressions);
  run("simplify again", simplify);  // merging brings pairs together
  run("remove dead code", [](Graph& g, const Program&) { remove_dead_code(g); });
}

}  // namespace modelexport::graph
