// The part of JSON Schema that the schemas in analysis/ use; a keyword beyond that is an error.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace modelexport {

class JsonSchema {
 public:
  explicit JsonSchema(nlohmann::json schema) : root_(std::move(schema)) {}
  // One of those in analysis/.
  static JsonSchema read(const std::string& name) {
    std::ifstream file(MODELEXPORT_SOURCE_DIR "/analysis/" + name);
    return JsonSchema(nlohmann::json::parse(file));
  }

  std::vector<std::string> errors(const nlohmann::json& document) const {
    std::vector<std::string> out;
    check(document, root_, "", out);
    return out;
  }

 private:
  static bool is_type(const nlohmann::json& value, const std::string& type) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == value.type_name();
  }

  void check(const nlohmann::json& value, const nlohmann::json& schema, const std::string& at,
             std::vector<std::string>& out) const {
    const auto expect = [&](bool holds, const std::string& what) {
      if (!holds) out.push_back(fmt::format("{}: {}: {}", at, what, value.dump().substr(0, 80)));
    };
    for (const auto& [keyword, rule] : schema.items()) {
      if (keyword == "$ref") {
        check(value, root_.at(nlohmann::json::json_pointer(rule.get<std::string>().substr(1))), at,
              out);
      } else if (keyword == "type") {
        const nlohmann::json types = rule.is_array() ? rule : nlohmann::json::array({rule});
        expect(std::any_of(types.begin(), types.end(),
                           [&](const nlohmann::json& type) { return is_type(value, type); }),
               "is not a " + rule.dump());
      } else if (keyword == "enum") {
        expect(std::find(rule.begin(), rule.end(), value) != rule.end(), "is not in the list");
      } else if (keyword == "pattern") {
        expect(std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>())),
               "does not match");
      } else if (keyword == "minimum") {
        expect(value >= rule, "is too small");
      } else if (keyword == "maximum") {
        expect(value <= rule, "is too large");
      } else if (keyword == "minItems") {
        expect(value.size() >= rule, "has too few items");
      } else if (keyword == "maxItems") {
        expect(value.size() <= rule, "has too many items");
      } else if (keyword == "required") {
        for (const nlohmann::json& name : rule)
          expect(value.contains(name), "lacks " + name.dump());
      } else if (keyword == "items") {
        if (value.is_array())
          for (const nlohmann::json& item : value) check(item, rule, at + "/*", out);
      } else if (keyword == "properties" || keyword == "additionalProperties") {
        if (keyword == "properties") check_members(value, schema, at, out);
        if (keyword == "additionalProperties" && !schema.contains("properties"))
          check_members(value, schema, at, out);
      } else {
        expect(keyword[0] == '$' || keyword == "title" || keyword == "description",
               "keyword " + keyword + " is not known to this test");
      }
    }
  }

  void check_members(const nlohmann::json& value, const nlohmann::json& schema,
                     const std::string& at, std::vector<std::string>& out) const {
    const nlohmann::json none = nlohmann::json::object();
    const nlohmann::json& properties = schema.contains("properties") ? schema["properties"] : none;
    for (const auto& [name, member] : value.items()) {
      const std::string path = at + "/" + name;
      if (properties.contains(name))
        check(member, properties[name], path, out);
      else if (schema.value("additionalProperties", nlohmann::json(true)) == false)
        out.push_back(path + ": is not in the schema");
      else if (schema["additionalProperties"].is_object())
        check(member, schema["additionalProperties"], path, out);
    }
  }

  nlohmann::json root_;
};

}  // namespace modelexport
