#include "tests/sim/crash_store.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/store_core.h"
#include "tests/sim/history.h"

namespace quarry::sim {

std::filesystem::path ParentOfStore(std::uint64_t seed) {
  const std::filesystem::path memory = "/dev/shm";
  const bool disk = seed % 4 == 0 || ::access(memory.c_str(), W_OK) != 0;
  return disk ? std::filesystem::temp_directory_path() : memory;
}

OpenOptions CrashStoreOptions(bool background) {
  OpenOptions options;
  options.background = background;
  options.slab_bytes = 1u << 20;
  options.catalog_cache_bytes = 1u << 20;
  options.reserve_bytes = 1u << 20;
  options.sync_delay = std::chrono::milliseconds(15);
  return options;
}

CrashStore::CrashStore(std::string directory, std::uint64_t seed, unsigned relaxed_percent,
                       Report& report)
    : directory_(std::move(directory)), stream_(seed, relaxed_percent), report_(report) {}

std::vector<std::string> CrashStore::CommandOf(const std::string& program,
                                               const CrashChildWork& work) const {
  std::vector<std::string> command{program, directory_, stream_.ToText(),
                                   std::to_string(work.commits), std::to_string(work.rounds)};
  command.insert(command.end(), work.more.begin(), work.more.end());
  return command;
}

bool CrashStore::Problem(const std::string& text) {
  if (problem_.empty()) problem_ = text;
  return false;
}

bool CrashStore::RunUntil(testing_support::ChildProcess& child, const Moment& moment) {
  disk_goes_ = false;
  for (std::uint64_t met = 0; !moment.line.empty() && met < moment.nth;) {
    const auto line = child.NextLine();
    if (!line && child.timed_out()) return Problem("a child hangs");
    if (!line) return Problem("a child ends by itself: " + std::to_string(child.Wait()));
    if (!Note(*line)) return false;
    if (line->substr(0, line->find(' ')) == moment.line) ++met;
  }
  SpinFor(moment.delay);
  return true;
}

bool CrashStore::NoteLastPromises(testing_support::ChildProcess& child) {
  while (child.HasLine()) {
    const auto line = child.NextLine();
    if (!line) break;
    if (!Note(*line)) return false;
  }
  disk_goes_ = true;
  return true;
}

bool CrashStore::NoteRest(testing_support::ChildProcess& child) {
  while (const auto line = child.NextLine()) {
    if (!Note(*line)) return false;
  }
  return !child.timed_out() || Problem("a child hangs");
}

bool CrashStore::WasKilled(testing_support::ChildProcess& child) {
  const int code = child.Wait();
  return code == -SIGKILL || Problem("a child ends by itself: " + std::to_string(code));
}

bool CrashStore::Note(const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string what = line.substr(0, space);
  std::int64_t sequence = -1;
  if (space != std::string::npos) {
    std::from_chars(line.data() + space + 1, line.data() + line.size(), sequence);
  }
  if (what == "open") {
    begun_ = std::max<std::int64_t>(begun_, 0);
  } else if (what == "opened") {
    if (sequence < std::max<std::int64_t>(acked_, 0) || sequence > begun_) {
      return Problem("a child finds sequence " + std::to_string(sequence) + ", expected " +
                     std::to_string(acked_) + " to " + std::to_string(begun_));
    }
    if (acked_ < 0 && !disk_goes_) durable_ = 0;
    acked_ = begun_ = sequence;
  } else if (what == "begin") {
    if (sequence != acked_ + 1) return Problem("out of order: " + line);
    begun_ = sequence;
  } else if (what == "ack") {
    if (sequence != begun_) return Problem("out of order: " + line);
    acked_ = sequence;
    const Step step = stream_.StepTo(static_cast<std::uint64_t>(sequence));
    if (step.durable() && !disk_goes_) durable_ = sequence;
  } else if (what == "closed") {
    if (!disk_goes_) durable_ = acked_;
  } else if (what != "close" && !(what == "failed" && disk_goes_)) {
    return Problem(line);
  }
  return true;
}

bool CrashStore::Check(Loss loss, Rng& rng) {
  ++report_.states;
  OpenOptions options = CrashStoreOptions(/*background=*/false);
  options.create_if_missing = (loss == Loss::kNone ? acked_ : durable_) < 0;
  auto opened = StoreCore::Open(storage::Vfs::Posix(), directory_, options);
  if (!opened.ok()) return Problem("open: " + opened.status().ToString());
  const std::shared_ptr<StoreCore> core = *std::move(opened);
  const auto state = core->StateFor(nullptr);
  if (!state.ok()) return Problem(state.status().ToString());
  const std::uint64_t sequence = (*state)->sequence();
  found_ = static_cast<std::int64_t>(sequence);
  const std::int64_t kept = loss == Loss::kNone ? acked_ : durable_;
  if (found_ < std::max<std::int64_t>(kept, 0) || found_ > std::max<std::int64_t>(begun_, 0)) {
    return Problem("sequence " + std::to_string(found_) + ", expected " + std::to_string(kept) +
                   " to " + std::to_string(begun_));
  }
  const std::string difference = Difference(core, stream_.At(sequence), &report_.rows);
  if (!difference.empty()) return Problem(difference);
  if (rng() % 4 == 0) {
    const auto verified = core->Verify({});
    if (!verified.ok()) return Problem("verify: " + verified.status().ToString());
    if (!verified->ok()) {
      const Damage& damage = verified->damages.front();
      return Problem("verify: " + damage.file + ": " + damage.text);
    }
  }
  if (options.create_if_missing) durable_ = 0;
  durable_ = std::min(durable_, found_);
  if (rng() % 2 == 0) {
    const Status closed = core->Close();
    if (!closed.ok()) return Problem("close: " + closed.ToString());
    durable_ = found_;
  }
  acked_ = begun_ = found_;
  stream_.TurnAfter(sequence, rng());
  return true;
}

}  // namespace quarry::sim
