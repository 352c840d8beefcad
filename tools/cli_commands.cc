// What each command takes.

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "tools/cli.h"
#include "tools/cli_values.h"
#include "tools/files/file_format.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kMaxBatch = 100'000'000;
constexpr std::size_t kMaxBenchBatch = 65'536;

// An option whose text `parse` makes a value of; a failure is wrong usage.
template <class T, class Parse>
CLI::Option* AddParsed(CLI::App* app, const std::string& name, T* out, Parse parse,
                       const std::string& type, const std::string& description) {
  const std::string shown = name.substr(0, name.find(','));
  return app
      ->add_option_function<std::string>(
          name,
          [=](const std::string& text) {
            auto value = parse(text);
            if (!value.ok()) throw CLI::ValidationError(shown, value.status().message());
            *out = *std::move(value);
          },
          description)
      ->type_name(type);
}

CLI::Option* AddText(CLI::App* app, const std::string& name, std::string* out,
                     const std::string& type, const std::string& description) {
  const auto parse = [](const std::string& text) -> Result<std::string> {
    if (text.empty()) return Status::InvalidArgument("is empty");
    return text;
  };
  return AddParsed(app, name, out, parse, type, description);
}

// `min` is 1 everywhere: a count of 0 would mean nothing.
CLI::Option* AddNumber(CLI::App* app, const std::string& name, std::size_t* out, std::size_t max,
                       const std::string& description) {
  return AddParsed(
      app, name, out, [max](const std::string& text) { return ParseCount(text, 1, max); }, "N",
      description);
}

void AddMaxResident(CLI::App* app, std::size_t* out) {
  const auto parse = [](const std::string& text) {
    return ParseCount(text, kMinResidentBytes, std::numeric_limits<std::size_t>::max());
  };
  AddParsed(app, "--max-resident", out, parse, "BYTES",
            "How much of the collection searches leave in memory; default: no limit");
}

CLI::Option* AddWith(CLI::App* app, With* with) {
  return AddParsed(app, "--with", with, ParseWith, "metadata,vector",
                   "What to return beside the id");
}

void AddCollection(CliCommand* command, std::string* out) {
  command->required.push_back(
      command->app->add_option("COLL", *out, "The collection's name")->option_text(" "));
}

void AddFile(CliCommand* command, const std::string& name, std::string* out,
             const std::string& description) {
  command->required.push_back(command->app->add_option(name, *out, description)->option_text(" "));
}

void AddIds(CLI::App* app, std::vector<std::string>* ids, std::string* file) {
  app->add_option("ID", *ids, "Ids of records")->option_text(" ");
  AddText(app, "--ids", file, "FILE", "A file of ids: text (one for each line), npy or ivecs");
}

std::string CheckIds(const char* command, const std::vector<std::string>& ids,
                     const std::string& file) {
  return ids.empty() && file.empty() ? fmt::format("{} needs ID... or --ids FILE", command) : "";
}

// The options of `create`, which `import --create` takes too: that looks at the file for
// what is not given.
std::vector<CLI::Option*> AddSchema(CLI::App* app, CreateOptions* options, bool from_file) {
  CollectionSchema* schema = &options->schema;
  const auto add_fields = [schema](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      Result<Field> field = ParseField(text);
      if (!field.ok()) throw CLI::ValidationError("--field", field.status().message());
      schema->fields.push_back(*std::move(field));
    }
  };
  std::vector<CLI::Option*> all;
  all.push_back(AddNumber(
      app, "--dim", &schema->dim, kMaxDim,
      from_file ? "Elements of each vector; default: as in FILE" : "Elements of each vector"));
  all.push_back(AddParsed(app, "--level", &schema->level, ParseLevel, "f32|f16|f8|i8",
                          "How elements are stored; default f32"));
  all.push_back(AddParsed(app, "--metric", &schema->metric, ParseMetric, "cosine|dot|l2",
                          "What searches compare with; default cosine"));
  all.push_back(AddParsed(app, "--id-type", &schema->id_type, ParseIdType, "u64|string",
                          from_file ? "What ids are; default: u64 if those in FILE are numbers"
                                    : "What ids are; default u64"));
  CLI::Option* fields = app->add_option_function<std::vector<std::string>>(
      "--field", add_fields,
      "Declares a metadata field: bool, int, float or string; may be repeated");
  fields->type_name("NAME:TYPE")->expected(1);
  fields->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  all.push_back(fields);
  all.push_back(AddParsed(app, "--zero-vectors", &schema->zero_vectors, ParseZeroVectors,
                          "refuse|allow",
                          "Vectors of zeros in a cosine collection; default refuse"));
  all.push_back(AddParsed(app, "--sketch", &schema->sketch, ParseSketchPolicy, "auto|none|i8|pca",
                          "Small copies of vectors that make searches read less; default auto: "
                          "i8 from 64 dimensions up, and pca where it pays"));
  return all;
}

}  // namespace

void CommandLine::AddCommands() {
  AddCreate();
  AddImport();
  AddSearch();
  AddGet();
  AddDelete();
  AddApply();
  AddCount();
  AddList();
  AddInfo();
  AddExport();
  AddSketch();
  AddCompact();
  AddVerify();
  AddRepair();
  AddCheckpoint();
  AddRestore();
  AddDrop();
  AddBench();
}

void CommandLine::AddCreate() {
  CliCommand& command = Add("create", "Create a collection, and the store if there is none",
                            "  quarry create my.store docs --dim 768 --level f16\n"
                            "  quarry create my.store items --dim 128 --metric l2 --id-type string "
                            "--field price:float\n");
  auto options = std::make_shared<CreateOptions>();
  AddCollection(&command, &options->collection);
  AddSchema(command.app, options.get(), /*from_file=*/false);
  command.check = [options] { return options->schema.dim == 0 ? "create needs --dim N" : ""; };
  command.run = [this, options] { return RunCreate(global_, *options); };
}

void CommandLine::AddImport() {
  CliCommand& command =
      Add("import", "Write every record of a file, replacing those of the same id",
          "  quarry import my.store docs vectors.npy --metadata records.jsonl\n"
          "  quarry import my.store docs records.jsonl --create --id-type string\n"
          "  zcat records.jsonl.gz | quarry import my.store docs - --on-bad skip\n");
  auto options = std::make_shared<ImportOptions>();
  auto created = std::make_shared<CreateOptions>();
  auto create = std::make_shared<bool>(false);
  CLI::App* app = command.app;
  AddCollection(&command, &options->collection);
  AddFile(&command, "FILE", &options->file,
          "npy, npz, fvecs, bvecs, ivecs, fbin, u8bin, jsonl or csv; - is stdin");
  AddText(app, "--metadata", &options->metadata_file, "M.jsonl",
          "Line i belongs to vector i: its id and its metadata");
  AddText(app, "--ids", &options->ids_file, "FILE", "Ids of the vectors, in their order");
  std::vector<CLI::Option*> fields;
  fields.push_back(AddText(app, "--id-field", &options->id_field, "NAME",
                           "The field that is the id; default id"));
  fields.push_back(AddText(app, "--vector-field", &options->vector_field, "NAME",
                           "The field that is the vector; default vector"));
  fields.push_back(
      AddText(app, "--expires-field", &options->expires_field, "NAME",
              "The field that says when the record expires, in milliseconds since 1970 (0: never); "
              "default: none, but what export wrote is read back"));
  const auto parse_format = [](const std::string& text) -> Result<std::string> {
    if (text == "auto") return text;
    const Result<FileFormat> format = ResolveFormat(text, "");
    if (!format.ok()) return format.status();
    return text;
  };
  AddParsed(app, "--format", &options->format, parse_format, "NAME",
            "The format of FILE; default auto: by its extension");
  AddNumber(app, "--batch", &options->batch, kMaxBatch, "Records in each commit; default 10000");
  AddParsed(app, "--on-bad", &options->skip_bad, ParseOnBad, "refuse|skip",
            "What to do with a bad record; default refuse");
  app->add_flag("--create", *create,
                "Create the collection if there is none, with the options below; of one that is "
                "there none may differ");
  const std::vector<CLI::Option*> schema = AddSchema(app, created.get(), /*from_file=*/true);
  command.check = [schema, create]() -> std::string {
    for (const CLI::Option* option : schema) {
      if (!*create && option->count() > 0) return option->get_name() + " goes with --create only";
    }
    return "";
  };
  command.run = [this, options, created, create, schema, fields] {
    for (const CLI::Option* option : fields) {
      if (option->count() > 0) options->named_fields[option->results()[0]] = option->get_name();
    }
    created->collection = options->collection;
    for (const CLI::Option* option : schema) {
      if (option->count() > 0) created->given.insert(option->get_name());
    }
    if (*create) options->create = *created;
    return RunImport(global_, *options);
  };
}

void CommandLine::AddExport() {
  CliCommand& command =
      Add("export", "Write all records to a file that import reads back",
          "  quarry export my.store docs docs.jsonl\n"
          "  quarry export my.store docs vectors.npy --with vector\n"
          "jsonl holds all of a record: id, vector, metadata, expiry. npz holds ids and vectors,\n"
          "npy and fvecs vectors alone, in order of ids: these three have no place for metadata,\n"
          "expiries and records without a vector, and a warning counts what is lost.\n");
  auto options = std::make_shared<ExportOptions>();
  auto with = std::make_shared<With>();
  AddCollection(&command, &options->collection);
  AddFile(&command, "FILE", &options->file, "npy, npz, fvecs or jsonl; - is stdout");
  CLI::Option* given = AddWith(command.app, with.get());
  command.run = [this, options, with, given] {
    if (given->count() > 0) {
      options->with_metadata = with->metadata;
      options->with_vector = with->vector;
    }
    return RunExport(global_, *options);
  };
}

void CommandLine::AddSearch() {
  CliCommand& command = Add("search", "Find the nearest records to each query",
                            "  quarry search my.store docs --queries queries.npy -k 20 --json\n"
                            "  quarry search my.store docs --vector '[0.1, 0.9]' --min-score 0.5\n"
                            "  quarry search my.store docs --like 17 --with metadata\n");
  auto options = std::make_shared<SearchCommandOptions>();
  CLI::App* app = command.app;
  AddCollection(&command, &options->collection);
  AddText(app, "--queries", &options->queries_file, "FILE",
          "Queries: a file of vectors, jsonl or csv; - is stdin (npy or jsonl)");
  AddText(app, "--vector", &options->vector_json, "JSON", "One query, such as [0.5,-1]");
  AddText(app, "--like", &options->like_id, "ID", "One query: the vector of this record");
  AddNumber(app, "-k", &options->k, kMaxK, "Hits for each query; default 10");
  AddParsed(app, "--metric", &options->metric, ParseMetric, "cosine|dot|l2",
            "Default: the collection's");
  AddText(app, "--ids", &options->ids_file, "FILE", "Compare with the records of these ids only");
  AddParsed(app, "--min-score", &options->min_score, ParseReal, "X",
            "Leave out smaller scores (cosine, dot)");
  AddParsed(app, "--max-distance", &options->max_distance, ParseReal, "X",
            "Leave out larger distances (l2)");
  AddWith(app, &options->with);
  AddMaxResident(app, &options->max_resident_bytes);
  app->add_flag("--explain", options->explain,
                "Say what each search did (with --json): rows, bytes and planes read, rounds of "
                "the threshold, fallbacks to scoring all rows");
  command.check = [options]() -> std::string {
    const int queries = int{!options->queries_file.empty()} + int{!options->vector_json.empty()} +
                        int{!options->like_id.empty()};
    if (queries != 1) return "search needs one of --queries FILE, --vector JSON and --like ID";
    if (options->min_score && options->max_distance) {
      return "--min-score and --max-distance exclude each other";
    }
    return "";
  };
  command.run = [this, options] { return RunSearch(global_, *options); };
}

void CommandLine::AddGet() {
  CliCommand& command = Add("get", "Print records by id",
                            "  quarry get my.store docs 17 18\n"
                            "  quarry get my.store docs --ids wanted.txt --with metadata --json\n");
  auto options = std::make_shared<GetOptions>();
  AddCollection(&command, &options->collection);
  AddIds(command.app, &options->ids, &options->ids_file);
  AddWith(command.app, &options->with);
  command.check = [options] { return CheckIds("get", options->ids, options->ids_file); };
  command.run = [this, options] { return RunGet(global_, *options); };
}

void CommandLine::AddDelete() {
  CliCommand& command = Add("delete", "Remove records by id; those that are absent are passed over",
                            "  quarry delete my.store docs 17 18\n"
                            "  quarry delete my.store docs --ids old.txt\n");
  auto options = std::make_shared<DeleteOptions>();
  AddCollection(&command, &options->collection);
  AddIds(command.app, &options->ids, &options->ids_file);
  command.check = [options] { return CheckIds("delete", options->ids, options->ids_file); };
  command.run = [this, options] { return RunDelete(global_, *options); };
}

void CommandLine::AddApply() {
  CliCommand& command = Add(
      "apply", "Replay operations of a log in order",
      "  quarry apply my.store docs ops.jsonl --vectors vectors.npy\n"
      "A line is {\"op\":\"upsert\",\"id\":..,\"vector\":[..] or \"row\":N of "
      "the vectors,\n"
      "\"metadata\":{..},\"expires_at\":MS} (milliseconds since 1970) or "
      "{\"op\":\"delete\",\"id\":..}.\n"
      "Fields of other names are passed over, and named at the end; one that is nearly vector,\n"
      "metadata or expires_at is an error.\n");
  auto options = std::make_shared<ApplyOptions>();
  AddCollection(&command, &options->collection);
  AddFile(&command, "OPS.jsonl", &options->operations_file, "The operations; - is stdin");
  AddText(command.app, "--vectors", &options->vectors_file, "FILE",
          "The vectors that rows refer to: npy, fvecs, bvecs, fbin or u8bin");
  AddNumber(command.app, "--batch", &options->batch, kMaxBatch,
            "Operations in each commit; default 10000");
  command.run = [this, options] { return RunApply(global_, *options); };
}

void CommandLine::AddCount() {
  CliCommand& command =
      Add("count", "Print how many records there are", "  quarry count my.store docs\n");
  auto options = std::make_shared<CollectionOptions>();
  AddCollection(&command, &options->collection);
  command.run = [this, options] { return RunCount(global_, *options); };
}

void CommandLine::AddList() {
  CliCommand& command = Add("list", "List the collections", "  quarry list my.store\n");
  command.run = [this] { return RunList(global_); };
}

void CommandLine::AddInfo() {
  CliCommand& command = Add("info", "Print sizes, rows and slabs of a store and its collections",
                            "  quarry info my.store\n  quarry info my.store docs --json\n");
  auto options = std::make_shared<CollectionOptions>();
  command.app->add_option("COLL", options->collection, "Only this collection")->option_text(" ");
  command.run = [this, options] { return RunInfo(global_, *options); };
}

void CommandLine::AddSketch() {
  CliCommand& command = Add("sketch", "Make or drop the sketches of a collection",
                            "  quarry sketch my.store docs --add pca\n"
                            "  quarry sketch my.store docs --drop i8\n");
  auto options = std::make_shared<SketchCommandOptions>();
  AddCollection(&command, &options->collection);
  const auto one_of = [](std::set<std::string> names, const char* shown) {
    return [=](const std::string& text) -> Result<std::string> {
      if (names.count(text) != 0) return text;
      return Status::InvalidArgument(fmt::format("expected {}, got '{}'", shown, text));
    };
  };
  AddParsed(command.app, "--add", &options->add, one_of({"auto", "i8", "pca"}, "auto, i8 or pca"),
            "auto|i8|pca", "Keep these sketches from now on, and make those that are missing");
  AddParsed(command.app, "--drop", &options->drop, one_of({"i8", "pca"}, "i8 or pca"), "i8|pca",
            "Keep these no longer; without i8 sketches there are no pca sketches");
  command.check = [options] {
    return options->add.empty() == options->drop.empty() ? "give either --add or --drop" : "";
  };
  command.run = [this, options] { return RunSketch(global_, *options); };
}

void CommandLine::AddCompact() {
  CliCommand& command =
      Add("compact", "Give back the space of deleted, replaced and expired records",
          "  quarry compact my.store\n  quarry compact my.store docs --min-dead 0\n"
          "  quarry compact my.store --erase\n");
  auto options = std::make_shared<CompactCommandOptions>();
  command.app->add_option("COLL", options->collection, "Only this collection")->option_text(" ");
  AddParsed(command.app, "--min-dead", &options->min_dead, ParseShare, "SHARE",
            "Rewrite slabs when more than this of a collection is dead; default: 0.2");
  command.app->add_flag(
      "--erase", options->erase,
      "Leave no byte of what was deleted, replaced or has expired in any file; with COLL, "
      "but in vectors of other collections");
  AddNumber(command.app, "--bytes-per-second", &options->bytes_per_second,
            std::numeric_limits<std::size_t>::max(),
            "Read and write no faster than this; default: no limit");
  command.run = [this, options] { return RunCompact(global_, *options); };
}

void CommandLine::AddVerify() {
  CliCommand& command =
      Add("verify", "Check every checksum and every cross reference; exit 3 if some is wrong",
          "  quarry verify my.store\n  quarry verify my.store --quick --json\n");
  auto options = std::make_shared<VerifyCommandOptions>();
  command.app->add_flag("--quick", options->quick,
                        "Headers, sizes and the catalog; vectors are not read");
  AddNumber(command.app, "--bytes-per-second", &options->bytes_per_second,
            std::numeric_limits<std::size_t>::max(), "Read no faster than this; default: no limit");
  command.run = [this, options] { return RunVerify(global_, *options); };
}

void CommandLine::AddRepair() {
  CliCommand& command =
      Add("repair", "Write a new store with all that is sound; exit 3 if something is lost",
          "  quarry repair my.store saved.store --json\n");
  auto options = std::make_shared<RepairCommandOptions>();
  AddFile(&command, "NEW", &options->to, "The new store; nothing may have its name");
  command.run = [this, options] { return RunRepair(global_, *options); };
}

void CommandLine::AddCheckpoint() {
  CliCommand& command =
      Add("checkpoint", "Make a consistent copy, by hard links where possible",
          "  quarry checkpoint my.store /backup/my.store\n"
          "  quarry checkpoint my.store - | zstd > my.store.tar.zst\n"
          "Of a store that another process writes, what that published last is copied.\n"
          "On the same file system DIR has the full slabs in common with the store, by hard\n"
          "links: damage of such a file is damage of both. A tar file has everything itself.\n");
  auto options = std::make_shared<CheckpointCommandOptions>();
  AddFile(&command, "DIR", &options->directory, "The copy's directory; - is stdout, as a tar file");
  command.run = [this, options] { return RunCheckpoint(global_, *options); };
}

void CommandLine::AddRestore() {
  CliCommand& command =
      Add("restore", "Make a store out of a checkpoint, and check it",
          "  quarry restore /backup/my.store my.store\n"
          "  zstdcat my.store.tar.zst | quarry restore - my.store\n"
          "All that was restored is read and checked, as by quarry verify; exit 3 "
          "if the\ncheckpoint is damaged, and the store is kept for quarry "
          "repair.\n");
  auto options = std::make_shared<CheckpointCommandOptions>();
  // DIR STORE, in this order.
  for (CLI::Option* store : command.required) command.app->remove_option(store);
  command.required.clear();
  AddFile(&command, "DIR", &options->directory, "The checkpoint; - is stdin, a tar file");
  if (!store_from_environment_) AddFile(&command, "STORE", &global_.store, "The store to make");
  command.run = [this, options] { return RunRestore(global_, *options); };
}

void CommandLine::AddDrop() {
  CliCommand& command = Add("drop", "Remove a collection with all its records",
                            "  quarry drop my.store docs --yes\n");
  auto options = std::make_shared<CollectionOptions>();
  AddCollection(&command, &options->collection);
  command.run = [this, options] { return RunDrop(global_, *options); };
}

void CommandLine::AddBench() {
  CliCommand& command =
      Add("bench", "Measure searches: latency, throughput, share of the memory bandwidth",
          "  quarry bench my.store docs --queries queries.npy\n"
          "  quarry bench my.store docs --batch 1,256 --threads 1,4 --json\n");
  auto options = std::make_shared<BenchOptions>();
  AddCollection(&command, &options->collection);
  AddText(command.app, "--queries", &options->queries_file, "FILE",
          "Queries, as for search; default: vectors of the collection");
  AddNumber(command.app, "-k", &options->k, kMaxK, "Hits for each query; default 10");
  const auto add_counts = [&](const char* name, std::vector<std::size_t>* out, std::size_t max,
                              const char* description) {
    const auto parse = [max](const std::string& text) { return ParseCounts(text, 1, max); };
    AddParsed(command.app, name, out, parse, "N,N...", description);
  };
  add_counts("--batch", &options->batches, kMaxBenchBatch,
             "Queries of one call, each in turn; default 1,32,256");
  add_counts("--threads", &options->threads, kMaxThreads,
             "Threads for searching, each in turn; default: one, and one for each core");
  AddMaxResident(command.app, &options->max_resident_bytes);
  command.run = [this, options] { return RunBench(global_, *options); };
}

}  // namespace quarry::tools
