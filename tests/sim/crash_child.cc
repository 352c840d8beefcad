// quarry_crash_child: writes to a store until it is stopped, and says what it does.
//
//   quarry_crash_child DIRECTORY STREAM COMMITS ROUNDS [interrupt SEED | kill-point N]
//
// Each of ROUNDS opens the store, making one where there is none, goes on with STREAM
// (stream.h) for COMMITS commits, and closes it. Standard output gets a line before
// and one after each of these (CrashStore::Note), written at once.
//
// Exit code: 0: done, 1: a call failed, and the last line says how, 2: wrong arguments.

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/store_core.h"
#include "tests/sim/child_calls.h"
#include "tests/sim/crash_store.h"
#include "tests/sim/loop_power_cuts.h"

namespace quarry::sim {
namespace {

void Say(std::string line) {
  line += '\n';
  // One call: a line is there as a whole or not at all.
  while (::write(STDOUT_FILENO, line.data(), line.size()) < 0) {
    if (errno != EINTR) std::exit(1);  // nobody listens any more
  }
}

int Failed(const std::string& call, const Status& status) {
  Say("failed " + call + ": " + status.ToString());
  return 1;
}

int Round(const std::string& directory, Stream& stream, std::uint64_t commits) {
  OpenOptions options = CrashStoreOptions(/*background=*/true);
  options.create_if_missing = true;
  Say("open");
  auto core = StoreCore::Open(storage::Vfs::Posix(), directory, options);
  if (!core.ok()) return Failed("open", core.status());
  const auto state = (*core)->StateFor(nullptr);
  if (!state.ok()) return Failed("state", state.status());
  std::uint64_t sequence = (*state)->sequence();
  Say("opened " + std::to_string(sequence));
  for (std::uint64_t i = 0; i < commits; ++i) {
    const Model& model = stream.At(sequence);
    const Step step = stream.StepTo(++sequence);
    Say("begin " + std::to_string(sequence));
    const Status status = Run(*core, model, step);
    if (!status.ok()) return Failed("commit " + std::to_string(sequence), status);
    Say("ack " + std::to_string(sequence));
  }
  Say("close");
  const Status closed = (*core)->Close();
  if (!closed.ok()) return Failed("close", closed);
  Say("closed");
  return 0;
}

// A bug must not fill the disk.
bool LimitFiles() {
  const rlimit limit{64u << 20, 64u << 20};
  return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

// What the last two arguments ask for (child_calls.h).
bool ChangeCalls(std::string_view what, std::uint64_t number) {
  if (what == "interrupt") {
    InterruptCalls(number);
  } else if (what == "kill-point") {
    KillAtPoint(number);
  } else {
    return false;
  }
  return true;
}

int Main(int argc, char** argv) {
  if (argc == 6 && std::string_view(argv[1]) == "--loop-power-cuts") return LoopPowerCutsMain(argv);
  auto stream = argc == 5 || argc == 7 ? Stream::FromText(argv[2]) : std::nullopt;
  if (!stream || !LimitFiles() ||
      (argc == 7 && !ChangeCalls(argv[5], std::strtoull(argv[6], nullptr, 10)))) {
    std::fprintf(stderr,
                 "usage: quarry_crash_child DIRECTORY STREAM COMMITS ROUNDS"
                 " [interrupt SEED | kill-point N]\n");
    return 2;
  }
  const std::uint64_t commits = std::strtoull(argv[3], nullptr, 10);
  const std::uint64_t rounds = std::strtoull(argv[4], nullptr, 10);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const int failed = Round(argv[1], *stream, commits);
    if (failed != 0) return failed;
  }
  if (argc == 7 && InterruptedCalls() == 0) {
    Say("failed: no call was interrupted");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace quarry::sim

int main(int argc, char** argv) { return quarry::sim::Main(argc, argv); }
