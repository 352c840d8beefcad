// Text files of records and of operations.

#include <bit>
#include <optional>
#include <string>
#include <vector>

#include "format/metadata.h"
#include "format/status_macros.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"
#include "tools/files/csv.h"
#include "tools/files/import_batch.h"
#include "tools/files/jsonl.h"
#include "tools/files/record_source.h"
#include "tools/operation_reader.h"

namespace quarry::fuzz {
namespace {

using Open = Result<std::unique_ptr<tools::RecordReader>> (*)(std::unique_ptr<tools::ByteStream>,
                                                              const tools::RecordReaderOptions&);

// A JSON object, if not such as is accepted: a key may come twice, say.
void CheckMetadata(const std::string& json) {
  if (json.empty()) return;
  const auto encoded = format::EncodeMetadata(json);
  QUARRY_CHECK(encoded.ok() || !encoded.status().message().starts_with("metadata is not"));
}

void AppendRecord(const tools::FileRecord& record, std::string* text) {
  *text += std::to_string(record.line) + record.problem.message();
  if (record.id) *text += "\nid " + record.id->ToString() + (record.id_untyped ? "?" : "");
  if (record.has_vector) *text += "\nvector";
  for (const double element : record.vector) {
    *text += " " + std::to_string(std::bit_cast<std::uint64_t>(element));
  }
  *text += "\n" + record.metadata + "\n" + std::to_string(record.expires_at_unix_ms) + "\n";
}

// All records and the failure, if any, as text.
std::string ReadAll(Open open, const tools::RecordReaderOptions& options,
                    const std::vector<Field>& fields, std::string_view file, Source source) {
  const auto reader = open(OpenMemory(file, source), options);
  if (!reader.ok()) return reader.status().message();
  (*reader)->SetFields(fields);
  std::string text;
  tools::FileRecord record;
  while (true) {
    const auto more = (*reader)->Next(&record);
    if (!more.ok()) return text + more.status().message();
    if (!*more) return text;
    QUARRY_CHECK(record.has_vector || record.vector.empty());
    QUARRY_CHECK(record.expires_at_unix_ms >= 0);
    CheckMetadata(record.metadata);
    AppendRecord(record, &text);
  }
}

// What the import makes of the file until it is written.
void Import(Open open, const tools::RecordReaderOptions& options, const std::vector<Field>& fields,
            std::string_view file) {
  auto reader = open(OpenMemory(file, Source::kFile), options);
  if (!reader.ok()) return;
  const auto source = tools::MakeRecordSource("input", *std::move(reader));
  const auto shape = source->Probe();
  if (!shape.ok()) return;
  CollectionSchema schema;
  schema.dim = shape->dim == 0 ? 2 : shape->dim;
  schema.level = Level::kF16;
  schema.id_type = shape->id_type;
  schema.fields = fields;
  if (!source->SetSchema(schema).ok()) return;
  tools::ImportBatch batch(schema);
  tools::ImportRecord record;
  while (true) {
    const auto more = source->Next(&record);
    if (!more.ok() || !*more) return;
    const std::size_t before = batch.records();
    const bool taken = record.problem.ok() && batch.Add(record).ok();
    QUARRY_CHECK(batch.records() == before + (taken ? 1 : 0));
  }
}

// The first byte says how the file is to be read.
void ReadRecords(Open open, std::string_view bytes) {
  Input input(bytes);
  const auto flags = input.Take<std::uint8_t>();
  tools::RecordReaderOptions options;
  if ((flags & 1) != 0) options.id_field = "";
  if ((flags & 2) != 0) options.vector_field = "v";
  if ((flags & 4) != 0) options.metadata_field = "";
  std::vector<Field> fields;
  if ((flags & 8) != 0) fields = {{"a", FieldType::kString}, {"b", FieldType::kInt}};
  const std::string whole = ReadAll(open, options, fields, input.rest(), Source::kFile);
  QUARRY_CHECK(whole == ReadAll(open, options, fields, input.rest(), Source::kPipe));
  Import(open, options, fields, input.rest());
}

// Two vectors of two elements, for operations that name rows.
constexpr std::string_view kU8bin("\2\0\0\0\2\0\0\0\1\2\3\4", 12);

}  // namespace

void Jsonl(std::string_view bytes) { ReadRecords(tools::OpenJsonl, bytes); }

void Csv(std::string_view bytes) { ReadRecords(tools::OpenCsv, bytes); }

void Operations(std::string_view bytes) {
  Input input(bytes);
  const bool with_rows = input.Take<std::uint8_t>() % 2 == 1;
  static auto rows = tools::RowFile::Open(FileOf(kU8bin, "u8bin"));
  QUARRY_CHECK(rows.ok());
  auto reader =
      tools::OperationReader::Open(FileOf(input.rest(), "jsonl"), with_rows ? &*rows : nullptr);
  if (!reader.ok()) return;
  tools::Operation operation;
  while (true) {
    const auto more = reader->Next(&operation);
    if (!more.ok() || !*more) return;
    CheckMetadata(operation.metadata);
    const VectorView& vector = operation.vector;
    QUARRY_CHECK(vector.data == nullptr || (!operation.is_delete && vector.rows == 1));
    QUARRY_CHECK(!operation.is_delete || operation.metadata.empty());
  }
}

}  // namespace quarry::fuzz
