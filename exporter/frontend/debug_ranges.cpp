#include "exporter/frontend/debug_ranges.h"

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

namespace modelexport::frontend {
namespace {

using torch::jit::Source;
using torch::jit::SourceRange;

class DebugRanges : public torch::jit::SourceRangeUnpickler {
 public:
  explicit DebugRanges(std::string pickle) : pickle_(std::move(pickle)) {}

  std::optional<SourceRange> findSourceRangeThatGenerated(const SourceRange& range) override {
    if (!pickle_.empty()) parse();
    auto after =
        std::upper_bound(records_.begin(), records_.end(), range.start(),
                         [](size_t start, const auto& record) { return start < record.first; });
    if (after == records_.begin()) return std::nullopt;
    return std::prev(after)->second;
  }

 private:
  void parse() {
    auto top = torch::jit::unpickle(pickle_.data(), pickle_.size()).toTuple();
    pickle_ = {};
    const auto& parts = top->elements();
    if (parts.empty()) return;
    const bool has_table =
        parts[0].isString() && parts[0].toStringRef() == torch::jit::kFormatWithStringTable;
    if (has_table) {
      for (const auto& text : parts.at(1).toTupleRef().elements()) {
        table_.push_back(std::make_shared<std::string>(text.toStringRef()));
      }
    }
    const auto lines = has_table ? parts.at(2).toTuple() : top;
    for (const auto& line : lines->elements()) {
      const auto& fields = line.toTupleRef().elements();
      const auto& range = fields.at(1).toTupleRef().elements();
      records_.emplace_back(
          fields.at(0).toInt(),
          SourceRange(source(range.at(0)), range.at(1).toInt(), range.at(2).toInt()));
    }
  }

  std::shared_ptr<Source> source(const c10::IValue& value) {
    auto tuple = value.toTuple();
    auto& known = sources_[tuple.get()];
    if (known) return known;
    const auto& fields = tuple->elements();
    const auto first_line = static_cast<size_t>(fields.at(2).toInt());
    if (table_.empty()) {  // written before PyTorch 1.12
      const auto file =
          fields.at(1).isNone() ? std::nullopt : std::optional(fields.at(1).toStringRef());
      return known = std::make_shared<Source>(fields.at(0).toStringRef(), file, first_line);
    }
    std::vector<std::string_view> pieces;
    std::vector<std::shared_ptr<std::string>> owners;
    for (int64_t index : fields.at(0).toIntVector()) {
      owners.push_back(table_.at(index));
      pieces.emplace_back(*owners.back());
    }
    return known = std::make_shared<Source>(
               torch::jit::StringCordView(std::move(pieces), std::move(owners)),
               *table_.at(fields.at(1).toInt()), first_line);
  }

  std::string pickle_;
  std::vector<std::shared_ptr<std::string>> table_;
  std::unordered_map<const void*, std::shared_ptr<Source>> sources_;
  std::vector<std::pair<size_t, SourceRange>> records_;  // by start in the serialized code
};

}  // namespace

std::shared_ptr<torch::jit::SourceRangeUnpickler> make_debug_ranges(std::string pickle) {
  return std::make_shared<DebugRanges>(std::move(pickle));
}

}  // namespace modelexport::frontend
