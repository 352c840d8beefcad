#include "tools/files/csv_split.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

// Takes characters one after the other and collects the fields of one record.
class FieldSplitter {
 public:
  explicit FieldSplitter(std::vector<std::string>* fields) : fields_(fields) {}

  // False when a quote stands where none may, or text behind a quoted field.
  bool Add(std::string_view text) {
    for (const char c : text) {
      if (state_ == State::kQuoted) {
        if (c == '"') {
          state_ = State::kQuoteInQuoted;
        } else {
          field_ += c;
        }
      } else if (c == ',') {
        EndField();
      } else if (c == '"') {
        if (state_ == State::kUnquoted) return false;
        if (state_ == State::kQuoteInQuoted) field_ += '"';
        state_ = State::kQuoted;
      } else {
        if (state_ == State::kQuoteInQuoted) return false;
        state_ = State::kUnquoted;
        field_ += c;
      }
    }
    return true;
  }

  void EndField() {
    fields_->push_back(std::move(field_));
    field_.clear();
    state_ = State::kStart;
  }

  bool open() const { return state_ == State::kQuoted; }
  std::size_t field_bytes() const { return field_.size(); }

 private:
  enum class State { kStart, kUnquoted, kQuoted, kQuoteInQuoted };

  std::vector<std::string>* fields_;
  std::string field_;
  State state_ = State::kStart;
};

// Whether the '\r' at the end of the line belongs to the line break: the quotes
// before it are all closed.
bool EndsRecord(std::string_view line, bool open) {
  for (const char c : line) open = open != (c == '"');
  return !open;
}

}  // namespace

Result<CsvSplit> SplitCsvRecord(LineReader* lines, std::vector<std::string>* fields) {
  fields->clear();
  QUARRY_ASSIGN(std::optional<std::string_view> line, lines->Next());
  if (!line) return CsvSplit::kEnd;
  if (IsBlank(*line)) return CsvSplit::kBlank;

  const std::uint64_t first_line = lines->line();
  FieldSplitter splitter(fields);
  while (true) {
    const bool ends = EndsRecord(*line, splitter.open());
    if (!splitter.Add(ends ? WithoutCarriageReturn(*line) : *line)) return CsvSplit::kBadQuotes;
    if (!splitter.open()) break;
    QUARRY_ASSIGN(line, lines->Next());
    if (!line || splitter.field_bytes() + line->size() > LineReader::kMaxLineBytes) {
      return Status::InvalidArgument(fmt::format("{}:{}: a quoted field does not end{}",
                                                 lines->name(), first_line,
                                                 line ? " within 64 MiB" : ""));
    }
    splitter.Add("\n");
  }
  splitter.EndField();
  return CsvSplit::kRecord;
}

}  // namespace quarry::tools
