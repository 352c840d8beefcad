// What the command prints on stdout: a table, tab-separated text or JSON lines.

#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/records.h"
#include "quarry/status.h"
#include "tools/command.h"

namespace quarry::tools {

// Keeps the order in which members are added.
using Json = nlohmann::ordered_json;

// Results on stdout, one at a time. With --json each is one line of JSON.
// Otherwise each is a row of cells: aligned under a header when stdout is a
// terminal, separated by tabs and without a header when it is not. Control
// characters in cells are written as escapes, so a row is always one line.
//
// Not thread-safe. A command has one Output and calls Close at its end. Every
// method fails with kIoError or kNoSpace once stdout takes no more.
class Output {
 public:
  // `columns` is the header of the table.
  Output(const GlobalOptions& global, std::vector<std::string> columns);

  bool json() const { return form_ == Form::kJson; }

  // One JSON text without line break. REQUIRES: json()
  Status AddLine(std::string_view line);

  // One row, with a cell for each column. REQUIRES: !json()
  Status AddRow(std::vector<std::string> cells);

  // One object in the form asked for: its values are the cells of a row.
  Status Add(const Json& object);

  // Prints what is held back and reports what stdout could not take.
  Status Close();

 private:
  enum class Form { kTable, kTabs, kJson };

  Status PrintTable();

  Form form_;
  bool color_;
  bool header_printed_ = false;
  std::vector<std::string> columns_;
  std::vector<std::size_t> widths_;             // of the columns so far, in code points
  std::vector<std::vector<std::string>> held_;  // rows of a table not yet printed
};

// Prints one object and closes the output: the result of most commands.
Status Print(const GlobalOptions& global, const Json& object);

// Control characters written as escapes: a text that stays on one line and does
// not steer the terminal. Backslashes stay, so that JSON remains JSON.
std::string OneLine(std::string_view text);

// The text of a JSON value. Bytes that are not UTF-8 are replaced: it never fails.
std::string ToText(const Json& value);

// A number in u64 collections, a string in string collections.
Json ToJson(const Id& id);

// Seconds with three decimals, as reports print them.
double RoundedSeconds(double seconds);

// Appends `,"metadata":{..},"vector":[..]`, without what is absent.
void AppendJsonMembers(std::string& text, const std::optional<std::string>& metadata,
                       const std::optional<std::vector<float>>& vector);

// Appends one cell each for what `with` asks, "" where it is absent.
void AppendCells(std::vector<std::string>& cells, const With& with,
                 const std::optional<std::string>& metadata,
                 const std::optional<std::vector<float>>& vector);

}  // namespace quarry::tools
