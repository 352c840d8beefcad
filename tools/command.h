// What every subcommand of `quarry` shares: its options, its output, its exit code.
//
// cli.cc (the only user of CLI11) fills an options struct and calls the Run
// function of one cmd_<name>.cc, which is a thin call of the library.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/quarry.h"

namespace quarry::tools {

// Exit codes of the command. Stable.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // failed, or something asked for was not found
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCorruption = 3;
inline constexpr int kExitLocked = 4;
inline constexpr int kExitIo = 5;  // I/O error or no space
inline constexpr int kExitInterrupted = 130;

struct GlobalOptions {
  bool json = false;        // one JSON object per line on stdout
  bool quiet = false;       // no progress, no warnings
  bool no_color = false;    // also set by NO_COLOR
  bool yes = false;         // do not ask
  std::size_t threads = 0;  // 0: one for each core
  std::string store;        // the STORE argument, or QUARRY_STORE
};

struct CreateOptions {
  std::string collection;
  CollectionSchema schema;           // dim 0: not given (import --create takes it from the file)
  std::set<std::string> given = {};  // the options that were: "--dim", ..; the others are defaults
};

struct ImportOptions {
  std::string collection;
  std::string file;
  std::string metadata_file;
  std::string ids_file;
  std::string id_field = "id";
  std::string vector_field = "vector";
  std::string expires_field;
  std::map<std::string, std::string> named_fields = {};  // of these three, with their options
  std::string format = "auto";
  std::size_t batch = 10000;
  bool skip_bad = false;                // --on-bad skip
  std::optional<CreateOptions> create;  // --create: make the collection when it is absent
};

struct ExportOptions {
  std::string collection;
  std::string file;
  bool with_metadata = true;  // jsonl: both unless --with names what is wanted
  bool with_vector = true;
};

struct SearchCommandOptions {
  std::string collection;
  std::string queries_file;
  std::string vector_json;
  std::string like_id;
  std::size_t k = 10;
  std::optional<Metric> metric;
  std::string ids_file;
  std::optional<double> min_score;
  std::optional<double> max_distance;
  With with;
  bool explain = false;                // say what each search did
  std::size_t max_resident_bytes = 0;  // as in OpenOptions
};

struct GetOptions {
  std::string collection;
  std::vector<std::string> ids;
  std::string ids_file;
  With with;
};

struct DeleteOptions {
  std::string collection;
  std::vector<std::string> ids;
  std::string ids_file;
};

struct ApplyOptions {
  std::string collection;
  std::string operations_file;
  std::string vectors_file;
  std::size_t batch = 10000;
};

struct BenchOptions {
  std::string collection;
  std::string queries_file;  // "": vectors of the collection
  std::size_t k = 10;
  std::vector<std::size_t> batches = {1, 32, 256};  // queries of one call
  std::vector<std::size_t> threads;                 // empty: one, and one for each core
  std::size_t max_resident_bytes = 0;               // as in OpenOptions
};

struct SketchCommandOptions {
  std::string collection;
  std::string add;  // one of the two
  std::string drop;
};

struct CompactCommandOptions {
  std::string collection;            // "": all
  double min_dead = 0.2;             // share of dead rows from which on slabs are rewritten
  bool erase = false;                // leaves no byte of what was deleted
  std::size_t bytes_per_second = 0;  // 0: no limit
};

struct VerifyCommandOptions {
  bool quick = false;
  std::size_t bytes_per_second = 0;
};

struct RepairCommandOptions {
  std::string to;
};

struct CheckpointCommandOptions {
  std::string directory;  // of the copy; "-": a tar stream
};

struct CollectionOptions {
  std::string collection;  // may be empty where the command allows it
};

// Each returns the exit code after a run that had nothing to report beyond its
// output (kExitOk, or kExitFailed when some of what was asked for is absent);
// a Status becomes one line on stderr and the exit code of its StatusCode.
Result<int> RunCreate(const GlobalOptions& global, const CreateOptions& options);
Result<int> RunImport(const GlobalOptions& global, const ImportOptions& options);
Result<int> RunExport(const GlobalOptions& global, const ExportOptions& options);
Result<int> RunSearch(const GlobalOptions& global, const SearchCommandOptions& options);
Result<int> RunGet(const GlobalOptions& global, const GetOptions& options);
Result<int> RunDelete(const GlobalOptions& global, const DeleteOptions& options);
Result<int> RunApply(const GlobalOptions& global, const ApplyOptions& options);
Result<int> RunCount(const GlobalOptions& global, const CollectionOptions& options);
Result<int> RunList(const GlobalOptions& global);
Result<int> RunInfo(const GlobalOptions& global, const CollectionOptions& options);
Result<int> RunBench(const GlobalOptions& global, const BenchOptions& options);
Result<int> RunSketch(const GlobalOptions& global, const SketchCommandOptions& options);
Result<int> RunCompact(const GlobalOptions& global, const CompactCommandOptions& options);
Result<int> RunVerify(const GlobalOptions& global, const VerifyCommandOptions& options);
Result<int> RunRepair(const GlobalOptions& global, const RepairCommandOptions& options);
Result<int> RunCheckpoint(const GlobalOptions& global, const CheckpointCommandOptions& options);
Result<int> RunRestore(const GlobalOptions& global, const CheckpointCommandOptions& options);
Result<int> RunDrop(const GlobalOptions& global, const CollectionOptions& options);

// Makes sketches by the policy, with progress; kCancelled when interrupted.
Status MakeSketches(const GlobalOptions& global, Collection& collection, SketchPolicy policy);

// The exit code that a failure ends with.
int ExitCodeOf(StatusCode code);

// Opens the store of the command with its thread count, logging warnings to stderr, but
// for those of RocksDB (PrintCatalogErrors).
// One that another process writes is read as that published it last.
enum class Access { kRead, kWrite, kCreate };
Result<std::unique_ptr<Store>> OpenStore(const GlobalOptions& global, Access access,
                                         std::uint64_t max_resident_bytes = 0);

// "12" is an id of a u64 collection; anything is one of a string collection.
// Errors: kInvalidArgument, naming the text and what is expected.
Result<Id> ParseId(const std::string& text, IdType type);

// The ids given as arguments, then those of a file (see files/id_list.h; "" for
// none).
// Errors: kNotFound, kIoError, kInvalidArgument naming the text, or file and line.
Result<std::vector<Id>> GatherIds(const std::vector<std::string>& texts, const std::string& file,
                                  IdType type);

// Whether `fd` is a terminal that escape codes may be sent to: not where TERM is dumb.
bool TakesEscapes(int fd);

// Prints one line, "quarry: <message>", on stderr.
void PrintError(std::string_view message);

// Prints what RocksDB logged as an error, which OpenStore holds back: a command that
// fails tells the same in its own words.
void PrintCatalogErrors();

// Prints `message` and a hint to --help; returns kExitUsage. For what only shows
// once a command runs; `command` is its name.
int WrongUsage(std::string_view command, std::string_view message);

// True once SIGINT or SIGTERM arrived; long commands stop at the next batch with
// kExitInterrupted. A second signal ends the process at once.
bool Interrupted();

// From here on SIGINT and SIGTERM set Interrupted(), and writing to a pipe that
// nobody reads is an error instead of the end of the process.
void InstallSignalHandlers();

// The whole command: parses the arguments, runs, prints errors; returns the exit
// code.
int Main(int argc, char** argv);

}  // namespace quarry::tools
