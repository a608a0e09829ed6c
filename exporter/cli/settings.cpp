#include "exporter/cli/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "exporter/error.h"

namespace modelexport::cli {
namespace {

template <typename Number>
std::optional<Number> parse(const std::string& text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename Number>
std::function<bool(const std::string&)> number_setter(Number& value, Number lowest,
                                                      Number highest) {
  return [&value, lowest, highest](const std::string& text) {
    const std::optional<Number> number = parse<Number>(text);
    if (!number || *number < lowest || *number > highest) return false;
    value = *number;
    return true;
  };
}

std::string file_key(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::usage, fmt::format("{}: {}", where, what));
}

}  // namespace

Settings::Setting& Settings::declare(const std::string& name, const std::string& help,
                                     const std::string& expected) {
  Setting setting;
  setting.section = section_;
  setting.name = name;
  setting.help = help;
  setting.expected = expected;
  settings_.push_back(std::move(setting));
  return settings_.back();
}

void Settings::add(const std::string& name, bool& value, const std::string& help) {
  Setting& setting = declare(name, help, "true or false");
  setting.flag_value = value ? "false" : "true";
  setting.set = [&value](const std::string& text) {
    value = text == "true";
    return text == "true" || text == "false";
  };
}

void Settings::add(const std::string& name, int& value, const std::string& help, int lowest,
                   int highest) {
  const bool bounded = highest < std::numeric_limits<int>::max();
  Setting& setting =
      declare(name, help,
              bounded ? fmt::format("an integer from {} to {}", lowest, highest)
              : lowest > std::numeric_limits<int>::min() ? fmt::format("an integer from {}", lowest)
                                                         : "an integer");
  setting.default_text = std::to_string(value);
  setting.placeholder = "N";
  setting.set = number_setter<int>(value, lowest, highest);
}

void Settings::add(const std::string& name, int64_t& value, const std::string& help) {
  Setting& setting = declare(name, help, "an integer from 0");
  setting.default_text = std::to_string(value);
  setting.placeholder = "N";
  setting.set = number_setter<int64_t>(value, 0, std::numeric_limits<int64_t>::max());
}

void Settings::add(const std::string& name, uint64_t& value, const std::string& help) {
  Setting& setting = declare(name, help, "an integer from 0");
  setting.default_text = std::to_string(value);
  setting.placeholder = "N";
  setting.set = number_setter<uint64_t>(value, 0, std::numeric_limits<uint64_t>::max());
}

void Settings::add(const std::string& name, double& value, const std::string& help, double lowest,
                   double highest) {
  Setting& setting = declare(name, help, fmt::format("a number from {} to {}", lowest, highest));
  setting.default_text = fmt::format("{}", value);
  setting.placeholder = "X";
  setting.set = number_setter<double>(value, lowest, highest);
}

void Settings::add(const std::string& name, std::string& value, const std::string& help) {
  Setting& setting = declare(name, help, "a text");
  setting.takes_text = true;
  setting.placeholder = "TEXT";
  setting.set = [&value](const std::string& text) {
    value = text;
    return true;
  };
}

void Settings::add(const std::string& name, std::vector<std::string>& value,
                   const std::string& help) {
  Setting& setting = declare(name, help, "a text or a list of texts");
  setting.takes_text = setting.is_list = true;
  setting.placeholder = "TEXT (repeatable)";
  setting.clear = [&value] { value.clear(); };
  setting.set = [&value](const std::string& text) {
    value.push_back(text);
    return true;
  };
}

void Settings::add_choice(const std::string& name, const std::string& help,
                          const std::vector<std::string>& names, std::function<void(size_t)> set) {
  Setting& setting = declare(name, help, fmt::format("one of {}", fmt::join(names, ", ")));
  setting.takes_text = true;
  setting.placeholder = fmt::format("{}", fmt::join(names, "|"));
  setting.default_text = names.front();
  setting.set = [names, set = std::move(set)](const std::string& text) {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) return false;
    set(static_cast<size_t>(found - names.begin()));
    return true;
  };
}

void Settings::add_to(CLI::App& app) {
  for (Setting& setting : settings_) {
    const std::string flag = "--" + setting.name;
    const auto set = [&setting, flag](const std::vector<std::string>& values) {
      for (const std::string& value : values) {
        if (setting.set(value)) continue;
        throw CLI::ValidationError(
            flag, fmt::format("expected {}, but got '{}'", setting.expected, value));
      }
      return true;
    };
    std::string help = setting.help;
    if (!setting.default_text.empty()) help += fmt::format(" (default {})", setting.default_text);
    if (!setting.flag_value.empty()) {
      const std::string name = (setting.flag_value == "true" ? "--" : "--no-") + setting.name;
      const auto set_flag = [&setting] { setting.set(setting.flag_value); };
      setting.option = app.add_flag_callback(name, set_flag, help);
    } else {
      setting.option = app.add_option(flag, set, help);
      setting.option->type_name(setting.placeholder);
      setting.option->expected(1);
      if (setting.is_list) {
        setting.option->take_all()->allow_extra_args(false);
      }
    }
  }
}

bool Settings::has_section(const std::string& name) const {
  return std::any_of(settings_.begin(), settings_.end(),
                     [&](const Setting& setting) { return setting.section == name; });
}

void Settings::apply(const std::optional<std::string>& section, const std::string& key,
                     const Given& given, const std::string& where) {
  std::vector<std::string> known;
  for (Setting& setting : settings_) {
    if (section && setting.section != *section) continue;
    known.push_back(file_key(setting.name));
    if (known.back() != file_key(key)) continue;
    if (setting.option && setting.option->count() > 0) return;  // the command line comes first
    const bool fits = (setting.is_list || (!given.is_list && given.values.size() == 1)) &&
                      (setting.takes_text || !given.is_text);
    if (fits && setting.clear) setting.clear();
    const bool all_set = fits && std::all_of(given.values.begin(), given.values.end(), setting.set);
    if (all_set) return;
    const std::string quote = given.is_text ? "\"" : "";
    fail(where, fmt::format("'{}': expected {}, but found {}{}{}", key, setting.expected,
                            given.is_list ? "[" : quote, fmt::join(given.values, ", "),
                            given.is_list ? "]" : quote));
  }
  if (section && section->empty()) {
    for (const char* name : {"extraction", "validation", "output"}) {
      if (has_section(name)) known.push_back(name);
    }
  }
  fail(where, fmt::format("unknown key '{}'; known are {}", key, fmt::join(known, ", ")));
}

void Settings::read_yaml(const std::string& path) {
  YAML::Node root;
  try {
    root = YAML::LoadFile(path);
  } catch (const YAML::BadFile&) {
    fail(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  } catch (const YAML::ParserException& error) {
    fail(fmt::format("{}:{}", path, error.mark.line + 1), error.msg);
  }
  const auto where = [&](const YAML::Node& node) {
    return fmt::format("{}:{}", path, node.Mark().line + 1);
  };
  const auto given_by = [&](const YAML::Node& node) {
    Given given;
    if (node.IsMap()) return Given{{"a mapping"}, true, true};
    given.is_list = node.IsSequence();
    for (const YAML::Node& item : given.is_list ? std::vector<YAML::Node>(node.begin(), node.end())
                                                : std::vector<YAML::Node>{node}) {
      if (!item.IsScalar()) fail(where(item), "expected a plain value");
      given.values.push_back(item.Scalar());
      given.is_text = given.is_text || item.Tag() == "!";
    }
    return given;
  };
  if (root.IsNull()) return;  // empty
  if (!root.IsMap()) fail(where(root), "expected keys and values (opset: 20)");
  for (const auto& entry : root) {
    const std::string key = entry.first.Scalar();
    if (key.empty() || !has_section(key)) {
      apply("", key, given_by(entry.second), where(entry.first));
      continue;
    }
    if (!entry.second.IsMap())
      fail(where(entry.first), fmt::format("'{}': expected a mapping", key));
    for (const auto& inner : entry.second) {
      apply(key, inner.first.Scalar(), given_by(inner.second), where(inner.first));
    }
  }
}

void Settings::read_json(const nlohmann::json& object, const std::vector<std::string>& ignored,
                         const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(ignored.begin(), ignored.end(), key) != ignored.end()) continue;
    Given given;
    given.is_list = value.is_array();
    for (const nlohmann::json& item : value.is_array() ? value : nlohmann::json::array({value})) {
      if (!item.is_primitive() || item.is_null()) {
        fail(where, fmt::format("'{}': expected a plain value, but found {}", key, item.dump()));
      }
      given.is_text = given.is_text || item.is_string();
      given.values.push_back(item.is_string() ? item.get<std::string>() : item.dump());
    }
    apply(std::nullopt, key, given, where);
  }
}

}  // namespace modelexport::cli
