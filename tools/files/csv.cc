#include "tools/files/csv.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/csv_columns.h"
#include "tools/files/csv_split.h"
#include "tools/files/lines.h"

namespace quarry::tools {
namespace {

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// A whole cell as a number; also "nan" and "inf", which the import refuses by name.
std::optional<double> ParseNumber(std::string_view cell) {
  cell = Trimmed(cell);
  if (cell.starts_with('+')) cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

class CsvReader final : public RecordReader {
 public:
  CsvReader(std::unique_ptr<ByteStream> stream, RecordReaderOptions options)
      : lines_(std::move(stream)), options_(std::move(options)) {}

  Status ReadHeader() {
    bool found = false;
    std::vector<std::string> names;
    while (!found) {
      QUARRY_ASSIGN(const CsvSplit split, SplitCsvRecord(&lines_, &names));
      if (split == CsvSplit::kEnd) {
        return Status::InvalidArgument(lines_.name() + ": has no header line");
      }
      if (split == CsvSplit::kBadQuotes) {
        return Status::InvalidArgument(lines_.Where() + ": quotes within an unquoted field");
      }
      found = split == CsvSplit::kRecord;
    }
    for (std::string& name : names) {
      if (!simdjson::validate_utf8(name)) {
        return Status::InvalidArgument(lines_.Where() + ": the name of a column is not UTF-8");
      }
      name = std::string(Trimmed(name));
    }
    auto columns = ChooseCsvColumns(std::move(names), options_);
    if (!columns.ok()) return columns.status().WithContext(lines_.Where());
    columns_ = *std::move(columns);
    text_columns_.assign(columns_.names.size(), false);
    return Status::Ok();
  }

  Result<bool> Next(FileRecord* record) override {
    std::uint64_t line = 0;
    CsvSplit split = CsvSplit::kBlank;
    while (split == CsvSplit::kBlank) {
      line = lines_.line() + 1;
      QUARRY_ASSIGN(split, SplitCsvRecord(&lines_, &cells_));
    }
    if (split == CsvSplit::kEnd) return false;
    *record = FileRecord();
    record->line = line;
    Status problem = split == CsvSplit::kBadQuotes
                         ? Status::InvalidArgument("quotes within an unquoted field")
                         : Fill(record);
    if (!problem.ok()) {
      *record = FileRecord();
      record->line = line;
      record->problem = problem.WithContext(fmt::format("{}:{}", lines_.name(), line));
    }
    return true;
  }

  void SetFields(const std::vector<Field>& fields) override {
    for (std::size_t i = 0; i < columns_.names.size(); ++i) {
      text_columns_[i] = std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
        return field.name == columns_.names[i] && field.type == FieldType::kString;
      });
    }
  }

  std::optional<double> fraction() const override { return lines_.fraction(); }

 private:
  Status Fill(FileRecord* record) {
    if (cells_.size() != columns_.names.size()) {
      return Status::InvalidArgument(
          fmt::format("{} fields, expected {}", cells_.size(), columns_.names.size()));
    }
    for (const std::string& cell : cells_) {
      if (!simdjson::validate_utf8(cell)) return Status::InvalidArgument("is not UTF-8");
    }
    if (columns_.id && !cells_[*columns_.id].empty()) {
      record->id = Id(cells_[*columns_.id]);
      record->id_untyped = true;
    }
    if (columns_.expires) QUARRY_TRY(FillExpiry(record));
    QUARRY_TRY(columns_.vector ? FillFromArray(record) : FillFromColumns(record));
    FillMetadata(record);
    return Status::Ok();
  }

  Status FillExpiry(FileRecord* record) {
    const std::string_view cell = Trimmed(cells_[*columns_.expires]);
    if (cell.empty()) return Status::Ok();
    const auto [end, error] =
        std::from_chars(cell.data(), cell.data() + cell.size(), record->expires_at_unix_ms);
    if (error == std::errc() && end == cell.data() + cell.size() &&
        record->expires_at_unix_ms >= 0) {
      return Status::Ok();
    }
    return Status::InvalidArgument(
        fmt::format("the expiry (column {}) is '{}', expected milliseconds since 1970, or 0 for "
                    "never",
                    options_.expires_field, cells_[*columns_.expires]));
  }

  Status FillFromArray(FileRecord* record) {
    const std::string_view cell = Trimmed(cells_[*columns_.vector]);
    if (cell.empty()) return Status::Ok();
    simdjson::dom::array array;
    if (parser_.parse(cell.data(), cell.size()).get(array) != simdjson::SUCCESS) {
      return Status::InvalidArgument(
          fmt::format("the vector (column {}) is not a JSON array", options_.vector_field));
    }
    for (const simdjson::dom::element element : array) {
      double value = 0;
      if (element.get(value) != simdjson::SUCCESS) {
        return Status::InvalidArgument(
            fmt::format("element {} of the vector is {}, expected a number", record->vector.size(),
                        simdjson::minify(element)));
      }
      record->vector.push_back(value);
    }
    record->has_vector = true;
    return Status::Ok();
  }

  Status FillFromColumns(FileRecord* record) {
    const auto is_empty = [&](std::size_t i) { return Trimmed(cells_[i]).empty(); };
    if (std::all_of(columns_.elements.begin(), columns_.elements.end(), is_empty)) {
      return Status::Ok();
    }
    for (const std::size_t i : columns_.elements) {
      const std::optional<double> value = ParseNumber(cells_[i]);
      if (!value) {
        return Status::InvalidArgument(
            fmt::format("column {} is '{}', expected a number", columns_.names[i], cells_[i]));
      }
      record->vector.push_back(*value);
    }
    record->has_vector = true;
    return Status::Ok();
  }

  void FillMetadata(FileRecord* record) {
    if (columns_.metadata.empty()) return;
    std::string text = "{";
    for (const std::size_t i : columns_.metadata) {
      if (cells_[i].empty()) continue;
      if (text.size() > 1) text += ',';
      text += nlohmann::json(columns_.names[i]).dump() + ":";
      text += IsLiteral(i) ? cells_[i] : nlohmann::json(cells_[i]).dump();
    }
    record->metadata = text + "}";
  }

  // Whether the cell is itself the JSON of a number or bool, to be taken as it is.
  bool IsLiteral(std::size_t column) {
    const std::string& cell = cells_[column];
    if (text_columns_[column]) return false;
    if (cell == "true" || cell == "false") return true;
    if (cell[0] != '-' && (cell[0] < '0' || cell[0] > '9')) return false;
    // Whole numbers beyond 64 bits stay text: no digit is lost.
    simdjson::dom::element value;
    return parser_.parse(cell).get(value) == simdjson::SUCCESS && value.is_number() &&
           cell.find_first_of(" \t\r\n") == std::string::npos;
  }

  LineReader lines_;
  RecordReaderOptions options_;
  CsvColumns columns_;
  std::vector<bool> text_columns_;  // by column: belongs to a declared string field
  std::vector<std::string> cells_;
  simdjson::dom::parser parser_;
};

}  // namespace

Result<std::unique_ptr<RecordReader>> OpenCsv(std::unique_ptr<ByteStream> stream,
                                              const RecordReaderOptions& options) {
  auto reader = std::make_unique<CsvReader>(std::move(stream), options);
  QUARRY_TRY(reader->ReadHeader());
  return std::unique_ptr<RecordReader>(std::move(reader));
}

}  // namespace quarry::tools
