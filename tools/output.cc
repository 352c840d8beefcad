#include "tools/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "format/status_macros.h"
#include "tools/files/float_text.h"

namespace quarry::tools {
namespace {

// Rows of a table that are aligned together; more would delay the first line.
constexpr std::size_t kHeldRows = 1000;

Status Write(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return Status::Ok();
  const std::string message = fmt::format("cannot write to stdout: {}", std::strerror(errno));
  return errno == ENOSPC ? Status::NoSpace(message) : Status::IoError(message);
}

Status Flush() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return Status::Ok();
  const std::string message = fmt::format("cannot write to stdout: {}", std::strerror(errno));
  return errno == ENOSPC ? Status::NoSpace(message) : Status::IoError(message);
}

// Code points of UTF-8: near enough to columns of a terminal.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) >> 6) != 2; }));
}

std::string CellOf(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return value.get<std::string>();
  return ToText(value);
}

}  // namespace

Output::Output(const GlobalOptions& global, std::vector<std::string> columns)
    : form_(global.json                  ? Form::kJson
            : isatty(STDOUT_FILENO) != 0 ? Form::kTable
                                         : Form::kTabs),
      color_(!global.no_color && TakesEscapes(STDOUT_FILENO)),
      columns_(std::move(columns)) {
  for (const std::string& column : columns_) widths_.push_back(Width(column));
}

Status Output::AddLine(std::string_view line) {
  QUARRY_TRY(Write(line));
  return Write("\n");
}

Status Output::AddRow(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = OneLine(cell);
  if (form_ == Form::kTabs) return Write(fmt::format("{}\n", fmt::join(cells, "\t")));
  for (std::size_t i = 0; i < cells.size() && i < widths_.size(); ++i) {
    widths_[i] = std::max(widths_[i], Width(cells[i]));
  }
  held_.push_back(std::move(cells));
  return held_.size() < kHeldRows ? Status::Ok() : PrintTable();
}

Status Output::Add(const Json& object) {
  if (json()) return AddLine(ToText(object));
  std::vector<std::string> cells;
  for (const Json& value : object) cells.push_back(CellOf(value));
  return AddRow(std::move(cells));
}

Status Output::PrintTable() {
  const auto print = [this](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += cells[i];
      if (i + 1 < cells.size()) line.append(widths_[i] - Width(cells[i]) + 2, ' ');
    }
    return line;
  };
  if (!header_printed_) {
    header_printed_ = true;
    const std::string header = print(columns_);
    QUARRY_TRY(Write(color_ ? "\x1b[1m" + header + "\x1b[0m\n" : header + "\n"));
  }
  for (const std::vector<std::string>& cells : held_) QUARRY_TRY(Write(print(cells) + "\n"));
  held_.clear();
  return Status::Ok();
}

Status Output::Close() {
  if (form_ == Form::kTable && !held_.empty()) QUARRY_TRY(PrintTable());
  return Flush();
}

Status Print(const GlobalOptions& global, const Json& object) {
  std::vector<std::string> columns;
  for (const auto& [key, value] : object.items()) columns.push_back(key);
  Output output(global, std::move(columns));
  QUARRY_TRY(output.Add(object));
  return output.Close();
}

std::string OneLine(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string ToText(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json ToJson(const Id& id) {
  return id.type() == IdType::kU64 ? Json(id.number()) : Json(id.text());
}

double RoundedSeconds(double seconds) { return std::round(seconds * 1000) / 1000; }

void AppendJsonMembers(std::string& text, const std::optional<std::string>& metadata,
                       const std::optional<std::vector<float>>& vector) {
  if (metadata) text.append(R"(,"metadata":)").append(*metadata);
  if (vector) {
    text += R"(,"vector":)";
    AppendVectorText(*vector, &text);
  }
}

void AppendCells(std::vector<std::string>& cells, const With& with,
                 const std::optional<std::string>& metadata,
                 const std::optional<std::vector<float>>& vector) {
  if (with.metadata) cells.push_back(metadata.value_or(""));
  if (!with.vector) return;
  cells.emplace_back();
  if (vector) AppendVectorText(*vector, &cells.back());
}

}  // namespace quarry::tools
