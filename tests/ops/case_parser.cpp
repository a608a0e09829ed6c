#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <set>

#include "exporter/error.h"
#include "tests/ops/case.h"

namespace modelexport::ops_test {
namespace {

struct Line {
  int number;
  std::string text;
};

// The values that loop variables have in one run of a case, in the order of the `for` lines.
using Bindings = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::usage, message); }

bool is_identifier(std::string_view text) {
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

bool is_quoted(std::string_view text) {
  return text.size() >= 2 && text.front() == '"' && text.back() == '"';
}

std::string_view without_comment(std::string_view line) {
  if (trim(line).starts_with('#')) return {};
  size_t comment = line.find("  #");
  return comment == std::string_view::npos ? line : line.substr(0, comment);
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result = split_top_level(text, ' ');
  std::erase(result, "");
  return result;
}

std::vector<std::string> elements_of(const std::string& text, size_t count) {
  if (count == 1) return {is_quoted(text) ? text.substr(1, text.size() - 2) : text};
  if (!text.starts_with('(') || !text.ends_with(')')) fail("'" + text + "' should be (A, B)");
  std::vector<std::string> result =
      split_top_level(std::string_view(text).substr(1, text.size() - 2), ',');
  if (result.size() != count)
    fail("'" + text + "' should have " + std::to_string(count) + " elements");
  for (std::string& element : result)
    if (is_quoted(element)) element = element.substr(1, element.size() - 2);
  return result;
}

// "for VAR in A B" and "for (V, W) in (A, B) (C, D)": all bindings so far, times these.
std::vector<Bindings> multiply(const std::vector<Bindings>& all, std::string_view line) {
  size_t in = line.find(" in ");
  if (in == std::string_view::npos) fail("a loop is: for VAR in A B C");
  std::string_view head = trim(line.substr(4, in - 4));
  std::vector<std::string> names{std::string(head)};
  if (head.starts_with('(') && head.ends_with(')'))
    names = split_top_level(head.substr(1, head.size() - 2), ',');
  for (const std::string& name : names)
    if (!is_identifier(name)) fail("'" + name + "' cannot be a loop variable");
  std::vector<Bindings> result;
  for (const Bindings& bindings : all) {
    for (const std::string& word : words(line.substr(in + 4))) {
      std::vector<std::string> values = elements_of(word, names.size());
      result.push_back(bindings);
      for (size_t i = 0; i < names.size(); ++i) result.back().emplace_back(names[i], values[i]);
    }
  }
  if (result.empty()) fail("the loop has no values");
  return result;
}

std::string substitute(std::string text, const Bindings& bindings) {
  for (const auto& [name, value] : bindings) {
    const std::string pattern = "{" + name + "}";
    for (size_t at = 0; (at = text.find(pattern, at)) != std::string::npos; at += value.size())
      text.replace(at, pattern.size(), value);
  }
  return text;
}

OpsetRange parse_opsets(std::string_view text) {
  OpsetRange range;
  auto parse = [&](std::string_view part) {
    int opset = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), opset);
    if (error != std::errc() || end != part.data() + part.size() || !range.contains(opset))
      fail("an opset from 17 to 23 is expected, not '" + std::string(part) + "'");
    return opset;
  };
  size_t dash = text.find('-');
  int first = parse(trim(text.substr(0, dash)));
  int last = dash == std::string_view::npos ? first : parse(trim(text.substr(dash + 1)));
  if (first > last) fail("'" + std::string(text) + "' is not a range of opsets");
  return {first, last};
}

Tolerance parse_tolerance(std::string_view text) {
  if (text == "exact") return {};
  std::vector<std::string> parts = words(text);
  Tolerance tolerance;
  double* targets[] = {&tolerance.relative, &tolerance.absolute};
  for (size_t i = 0; i < parts.size() && i < 2; ++i) {
    auto [end, error] =
        std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), *targets[i]);
    if (error != std::errc() || *end != '\0') fail("'" + parts[i] + "' is not a number");
  }
  if (parts.size() != 2) fail("a tolerance is 'exact', or relative and absolute: 1e-6 1e-7");
  return tolerance;
}

std::string type_of(const InputSpec& spec) {
  switch (spec.kind) {
    case InputSpec::Kind::tensor:
      return "Tensor";
    case InputSpec::Kind::list:
      return "List[Tensor]";
    case InputSpec::Kind::dict:
      return "Dict[str, Tensor]";
    case InputSpec::Kind::tuple:
      break;
  }
  std::string text;
  for (const InputSpec& element : spec.elements)
    text += (text.empty() ? "" : ", ") + type_of(element);
  return "Tuple[" + text + "]";
}

std::string class_body(const std::vector<std::string>& code, const std::vector<Input>& inputs) {
  std::string source;
  if (code[0].starts_with("def ")) {
    for (const std::string& line : code) source += line + "\n";
    return source;
  }
  source = "def forward(self";
  for (const Input& input : inputs) source += ", " + input.name + ": " + type_of(input.spec);
  source += "):\n";
  const bool is_expression = code.size() == 1 && !code[0].starts_with("return ");
  for (const std::string& line : code) source += (is_expression ? "  return " : "  ") + line + "\n";
  return source;
}

// Fills one Case from its lines, one at a time.
class CaseParser {
 public:
  explicit CaseParser(Case& result) : case_(result) {}

  void take(std::string_view line) {
    if (line.starts_with('|')) {
      code_.emplace_back(line.starts_with("| ") ? line.substr(2) : line.substr(1));
      return;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) fail("'" + std::string(line) + "' is no line of a case");
    std::string_view head = trim(line.substr(0, colon)), rest = trim(line.substr(colon + 1));
    size_t space = head.find(' ');
    std::string_view keyword = head.substr(0, space);
    std::string_view qualifier = space == std::string_view::npos ? "" : trim(head.substr(space));
    if (keyword == "param" || keyword == "buffer") {
      add_weight(keyword == "param", qualifier, rest);
    } else if (PerOpset* target = per_opset(keyword)) {
      add(*target, qualifier, rest);
    } else if (keyword == "opset") {
      case_.opsets = parse_opsets(rest);
    } else if (keyword == "tolerance") {
      case_.tolerance = parse_tolerance(rest);
    } else if (is_identifier(head)) {
      case_.inputs.push_back({std::string(head), parse_spec(rest, dims_)});
    } else {
      fail("'" + std::string(head) + "' begins no line of a case");
    }
  }

  void finish() {
    if (code_.empty()) fail("there is no code: '| return x'");
    case_.source = class_body(code_, case_.inputs);
  }

 private:
  PerOpset* per_opset(std::string_view keyword) {
    if (keyword == "emits") return &case_.emits;
    if (keyword == "contains") return &case_.contains;
    if (keyword == "lacks") return &case_.lacks;
    if (keyword == "refuses") return &case_.refuses;
    if (keyword == "xfail") return &case_.xfail;
    return nullptr;
  }

  static void add(PerOpset& target, std::string_view qualifier, std::string_view text) {
    if (!qualifier.empty()) {
      target.qualified.emplace_back(parse_opsets(qualifier), text);
    } else if (target.unqualified) {
      fail("this line is given twice");
    } else {
      target.unqualified = std::string(text);
    }
  }

  void add_weight(bool is_parameter, std::string_view name, std::string_view text) {
    InputSpec spec = parse_spec(text, dims_);
    if (!is_identifier(name)) fail("'" + std::string(name) + "' is not a name");
    if (spec.kind != InputSpec::Kind::tensor || spec.tensor.is_dynamic())
      fail("a parameter is a tensor of static size");
    case_.weights.push_back({std::string(name), std::move(spec.tensor), is_parameter});
  }

  Case& case_;
  std::vector<std::string> code_;
  NamedDims dims_;
};

// Runs `body`; errors get the position in the file.
template <class Body>
void at_line(std::string_view family, int line, Body body) {
  try {
    body();
  } catch (const Error& error) {
    throw Error(error.kind(),
                std::string(family) + ".cases:" + std::to_string(line) + ": " + error.what());
  }
}

std::string full_name(std::string_view name, const Bindings& bindings) {
  std::string text(name);
  for (size_t i = 0; i < bindings.size(); ++i)
    text += (i == 0 ? "/" : ",") + bindings[i].first + "=" + bindings[i].second;
  return text;
}

void parse_case(std::string_view family, const std::vector<Line>& lines,
                std::vector<Case>& result) {
  std::vector<Bindings> all{{}};
  for (const Line& line : lines)
    if (line.text.starts_with("for "))
      at_line(family, line.number, [&] { all = multiply(all, line.text); });
  const Line& header = lines.front();
  for (const Bindings& bindings : all) {
    Case& one = result.emplace_back();
    one.family = family;
    one.name = full_name(trim(header.text.substr(5)), bindings);
    one.line = header.number;
    CaseParser parser(one);
    for (size_t i = 1; i < lines.size(); ++i)
      if (!lines[i].text.starts_with("for "))
        at_line(family, lines[i].number, [&] { parser.take(substitute(lines[i].text, bindings)); });
    at_line(family, header.number, [&] { parser.finish(); });
  }
}

}  // namespace

std::vector<Case> parse_cases(std::string_view family, std::string_view text) {
  std::vector<std::vector<Line>> blocks;
  std::set<std::string> names;
  int number = 0;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    line = without_comment(line);
    if (trim(line).empty()) continue;
    at_line(family, number, [&] {
      if (line.starts_with("case ")) {
        if (!is_identifier(trim(line.substr(5)))) fail("a case begins with: case NAME");
        if (!names.emplace(trim(line.substr(5))).second) fail("a case of this name came before");
        blocks.emplace_back();
      } else if (blocks.empty() || line[0] != ' ') {
        fail("'case NAME' is expected at the left margin, other lines indented");
      }
    });
    // Code keeps its own indentation after the bar.
    blocks.back().push_back({number, std::string(trim(line))});
  }
  std::vector<Case> result;
  for (const std::vector<Line>& lines : blocks) parse_case(family, lines, result);
  return result;
}

}  // namespace modelexport::ops_test
