// check_schema SCHEMA FILE...: are these JSON documents what a schema of analysis/ says? Prints
// what is not; exit code 1 if anything is.
#include <fmt/format.h>

#include "tests/unit/json_schema.h"

int main(int argc, char** argv) {
  using modelexport::JsonSchema;
  int status = argc > 2 ? 0 : 2;
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i]);
    const auto document = nlohmann::json::parse(file);
    for (const std::string& error : JsonSchema::read(argv[1]).errors(document)) {
      fmt::print("{}{}\n", argv[i], error);
      status = 1;
    }
  }
  return status;
}
