#include "tools/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "tools/command.h"

namespace quarry::tools {
namespace {

constexpr std::chrono::milliseconds kInterval(100);
constexpr std::size_t kBarWidth = 24;

// "1:02:03" or "2:03".
std::string Duration(double seconds) {
  const auto total = std::llround(std::min(seconds, 3600.0 * 999));
  if (total >= 3600) {
    return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  }
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

}  // namespace

Progress::Progress(std::string_view unit, bool quiet)
    : unit_(unit),
      enabled_(!quiet && TakesEscapes(STDERR_FILENO)),
      start_(Clock::now()),
      next_(start_ + kInterval) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::Update(std::uint64_t done, std::optional<double> fraction) {
  if (!enabled_ || Clock::now() < next_) return;
  next_ = Clock::now() + kInterval;
  const double elapsed = seconds();
  std::string line;
  if (fraction) {
    const double part = std::clamp(*fraction, 0.0, 1.0);
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(kBarWidth));
    line += fmt::format("[{}{}] {:3.0f}%  ", std::string(filled, '#'),
                        std::string(kBarWidth - filled, '.'), part * 100);
  }
  line += fmt::format("{} {}  {:.0f}/s", done, unit_, static_cast<double>(done) / elapsed);
  if (fraction && *fraction > 0.01) {
    line += "  ETA " + Duration(elapsed * (1 - std::min(*fraction, 1.0)) / *fraction);
  }
  // To the first column, and what is left of a longer line is erased.
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::Clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace quarry::tools
