// The options of one command: declared once, and set from the command line, a configuration file
// (YAML) or a line of a batch manifest (JSON), under the same names.
//
//   Settings settings;
//   settings.add("opset", options.opset, "target opset", 17, 23);
//   settings.add_to(app);                 // --opset N
//   settings.read_yaml("export.yaml");    // opset: 18     what the command line set stays
//
// In files, "-" and "_" are the same. Errors (usage) name the file, the line, the key and what is
// expected.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace modelexport::cli {

class Settings {
 public:
  // Flags: --name, or --no-name if the default is true (`help` is of that); true or false in files.
  void add(const std::string& name, bool& value, const std::string& help);
  void add(const std::string& name, int& value, const std::string& help,
           int lowest = std::numeric_limits<int>::min(),
           int highest = std::numeric_limits<int>::max());
  void add(const std::string& name, int64_t& value, const std::string& help);  // from 0
  void add(const std::string& name, uint64_t& value, const std::string& help);
  void add(const std::string& name, double& value, const std::string& help, double lowest,
           double highest);
  void add(const std::string& name, std::string& value, const std::string& help);
  // Repeatable; a list (or one value) in files.
  void add(const std::string& name, std::vector<std::string>& value, const std::string& help);
  // One of `names`; `set` gets its index. The first is the default.
  void add_choice(const std::string& name, const std::string& help,
                  const std::vector<std::string>& names, std::function<void(size_t)> set);

  // Declares what follows as keys of a section ("extraction: {max_depth: 5}").
  void section(const std::string& name) { section_ = name; }

  // As options of `app`. Once.
  void add_to(CLI::App& app);

  // Sets all keys that the command line did not.
  void read_yaml(const std::string& path);
  // The same from a JSON object. `ignored` are keys that are no settings; `where` is for messages.
  void read_json(const nlohmann::json& object, const std::vector<std::string>& ignored,
                 const std::string& where);

 private:
  struct Given {  // a value as it stands in a file
    std::vector<std::string> values;
    bool is_list = false;
    bool is_text = false;  // quoted: no number, no bool
  };
  struct Setting {
    std::string section, name, help;
    std::string expected;      // "an integer from 17 to 23"
    std::string placeholder;   // of the value, in the help: "N"
    std::string default_text;  // the same
    std::string flag_value;    // what the flag sets; empty: no flag
    bool is_list = false, takes_text = false;
    std::function<bool(const std::string&)> set;  // false: not what is expected
    std::function<void()> clear;                  // before a list is set
    CLI::Option* option = nullptr;
  };

  Setting& declare(const std::string& name, const std::string& help, const std::string& expected);
  // `section`: nullopt stands for any.
  void apply(const std::optional<std::string>& section, const std::string& key, const Given& given,
             const std::string& where);
  bool has_section(const std::string& name) const;

  std::string section_;
  std::vector<Setting> settings_;
};

}  // namespace modelexport::cli
