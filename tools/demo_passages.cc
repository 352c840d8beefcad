#include "tools/demo_passages.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string_view>
#include <system_error>

namespace quarry::demo {
namespace {

namespace fs = std::filesystem;

// A passage ends at a blank line once it has kMinLines, and anyway at kMaxLines.
constexpr std::size_t kMinLines = 3;
constexpr std::size_t kMaxLines = 12;
constexpr std::ptrdiff_t kMinLetters = 40;  // less is a lone bracket or include

std::string KindOf(const fs::path& relative) {
  if (relative.extension() == ".md") return "documentation";
  if (*relative.begin() == "tests") return "test";
  return relative.extension() == ".h" ? "header" : "source";
}

// The demo itself is left out: its questions would be their own best answers.
bool IsText(const fs::path& path) {
  const fs::path extension = path.extension();
  if (path.filename() == "demo.cc") return false;
  return extension == ".md" || extension == ".h" || extension == ".cc";
}

bool IsSkippedDirectory(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') || name.starts_with("build");
}

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

// Collects lines until they make a passage.
class Cutter {
 public:
  Cutter(std::string file, std::string kind, std::vector<Passage>* passages)
      : file_(std::move(file)), kind_(std::move(kind)), passages_(passages) {}

  void Add(const std::string& line, std::size_t number) {
    if (line.starts_with("#include")) return;  // says nothing in words
    if (IsBlank(line)) {
      if (lines_ >= kMinLines) Flush();
      return;
    }
    if (kind_ == "documentation" && line.starts_with('#')) Flush();
    if (lines_ == 0 && line.starts_with('}')) return;  // the end of what was cut
    if (lines_ == 0) first_line_ = number;
    text_ += line;
    text_ += '\n';
    if (++lines_ == kMaxLines) Flush();
  }

  void Flush() {
    const std::ptrdiff_t letters = std::count_if(
        text_.begin(), text_.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
    if (letters >= kMinLetters) passages_->push_back({file_, first_line_, kind_, text_});
    text_.clear();
    lines_ = 0;
  }

 private:
  const std::string file_;
  const std::string kind_;
  std::vector<Passage>* const passages_;
  std::string text_;
  std::size_t lines_ = 0;
  std::size_t first_line_ = 0;
};

Status ReadFile(const fs::path& path, const fs::path& relative, Corpus* corpus) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Status::IoError("cannot open " + path.string());
  Cutter cutter(relative.generic_string(), KindOf(relative), &corpus->passages);
  std::string line;
  std::size_t number = 0;
  while (std::getline(in, line)) cutter.Add(line, ++number);
  if (in.bad()) return Status::IoError("cannot read " + path.string());
  cutter.Flush();
  corpus->files += 1;
  corpus->lines += number;
  return Status::Ok();
}

// Paths of all text files below `directory`, sorted.
Result<std::vector<fs::path>> ListFiles(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code type_error;  // a dangling link is neither
    if (entry->is_directory(type_error)) {
      if (IsSkippedDirectory(entry->path())) entry.disable_recursion_pending();
    } else if (entry->is_regular_file(type_error) && IsText(entry->path())) {
      files.push_back(entry->path());
    }
  }
  if (error == std::errc::no_such_file_or_directory) {
    return Status::NotFound("no directory " + directory.string());
  }
  if (error) return Status::IoError("list " + directory.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Result<Corpus> ReadCorpus(const fs::path& directory) {
  const Result<std::vector<fs::path>> files = ListFiles(directory);
  if (!files.ok()) return files.status();
  Corpus corpus;
  for (const fs::path& file : *files) {
    const Status status = ReadFile(file, file.lexically_relative(directory), &corpus);
    if (!status.ok()) return status;
  }
  if (corpus.passages.empty()) {
    return Status::NotFound("no text (*.md, *.h, *.cc) below " + directory.string());
  }
  return corpus;
}

}  // namespace quarry::demo
