// A line on the terminal that says how far a long command is.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace quarry::tools {

// Draws on stderr, and only when that is a terminal (not a dumb one) and the command not
// quiet.
// Not thread-safe.
class Progress {
 public:
  // unit: what is counted ("records"); a literal.
  Progress(std::string_view unit, bool quiet);
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` in all; `fraction` of the whole work, 0..1, where it is known. Draws at
  // most ten times a second.
  void Update(std::uint64_t done, std::optional<double> fraction);

  // Removes the line, so that others can be printed.
  void Clear();

  double seconds() const;  // since construction

 private:
  using Clock = std::chrono::steady_clock;

  std::string_view unit_;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point next_;
};

}  // namespace quarry::tools
