// What the tests of the file readers share: files made by hand, and what is read.

#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/levels.h"
#include "quarry/status.h"
#include "tools/files/bytes.h"
#include "tools/files/npy_header.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

// A directory of one test, removed at its end.
class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    std::string name = (std::filesystem::temp_directory_path() / "quarry-files-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~FilesTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return (directory_ / name).string(); }

  // Writes a file and returns its path.
  std::string Make(const std::string& name, std::string_view content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  std::filesystem::path directory_;
};

inline std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// An npy file of version 1.0 with any dictionary.
inline std::string NpyFile(const std::string& dictionary, std::string_view data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  AppendLittle(static_cast<std::uint16_t>(dictionary.size()), &file);
  return file + dictionary + std::string(data);
}
inline std::string NpyFile(std::string_view descr, const std::vector<std::uint64_t>& shape,
                           std::string_view data) {
  return MakeNpyHeader(descr, shape) + std::string(data);
}

// A zip archive without zip64 fields; members deflated where asked for.
struct ZipBuilder {
  std::string file;
  std::string directory;
  std::uint16_t count = 0;

  void Add(const std::string& name, const std::string& bytes, bool deflate) {
    std::string packed = bytes;
    if (deflate) {
      z_stream zlib{};
      deflateInit2(&zlib, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
      packed.resize(deflateBound(&zlib, bytes.size()));
      zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      zlib.avail_in = static_cast<uInt>(bytes.size());
      zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
      zlib.avail_out = static_cast<uInt>(packed.size());
      ::deflate(&zlib, Z_FINISH);
      packed.resize(zlib.total_out);
      deflateEnd(&zlib);
    }
    const auto crc = static_cast<std::uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
    AddPacked(name, packed, crc, bytes.size(), deflate ? 8 : 0);
  }

  void AddPacked(const std::string& name, const std::string& packed, std::uint32_t crc,
                 std::size_t bytes, std::uint16_t method) {
    const auto offset = static_cast<std::uint32_t>(file.size());
    std::string common;
    for (const std::uint16_t value :
         {std::uint16_t{20}, std::uint16_t{0}, method, std::uint16_t{0}, std::uint16_t{33}}) {
      AppendLittle(value, &common);
    }
    AppendLittle(crc, &common);
    AppendLittle(static_cast<std::uint32_t>(packed.size()), &common);
    AppendLittle(static_cast<std::uint32_t>(bytes), &common);
    AppendLittle(static_cast<std::uint16_t>(name.size()), &common);
    AppendLittle(std::uint16_t{0}, &common);
    AppendLittle(std::uint32_t{0x04034b50}, &file);
    file += common + name + packed;
    AppendLittle(std::uint32_t{0x02014b50}, &directory);
    AppendLittle(std::uint16_t{20}, &directory);
    directory += common + std::string(10, '\0');
    AppendLittle(offset, &directory);
    directory += name;
    ++count;
  }

  std::string Finish() const {
    std::string out = file + directory;
    AppendLittle(std::uint32_t{0x06054b50}, &out);
    AppendLittle(std::uint32_t{0}, &out);
    AppendLittle(count, &out);
    AppendLittle(count, &out);
    AppendLittle(static_cast<std::uint32_t>(directory.size()), &out);
    AppendLittle(static_cast<std::uint32_t>(file.size()), &out);
    AppendLittle(std::uint16_t{0}, &out);
    return out;
  }
};

// Redirects stdin to a pipe that holds `content`; puts the old one back at the end.
class PipedStdin {
 public:
  // REQUIRES: content fits the buffer of a pipe (64 KiB)
  explicit PipedStdin(std::string_view content) : saved_(::dup(STDIN_FILENO)) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    ::close(ends[1]);
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
  }
  ~PipedStdin() {
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

struct ReadVectors {
  std::size_t dim = 0;
  std::size_t rows = 0;
  InputType type = InputType::kF32;
  std::vector<double> values;  // [rows, dim]
};

inline double ValueAt(const VectorBlock& block, std::size_t i) {
  const std::byte* data = block.data.data();
  switch (block.type) {
    case InputType::kF32:
      return LoadLittle<float>(data + i * 4);
    case InputType::kF64:
      return LoadLittle<double>(data + i * 8);
    case InputType::kF16:
      return format::F32FromF16(LoadLittle<std::uint16_t>(data + i * 2));
    case InputType::kI8:
      return LoadLittle<std::int8_t>(data + i);
    case InputType::kU8:
      return LoadLittle<std::uint8_t>(data + i);
  }
  return 0;
}

// Reads a file to its end in blocks of `block_rows`.
inline Result<ReadVectors> ReadAllVectors(const std::string& path, FileFormat format,
                                          std::size_t block_rows = 3) {
  auto reader = OpenVectors(path, format);
  if (!reader.ok()) return reader.status();
  ReadVectors all;
  all.dim = (*reader)->dim();
  all.type = (*reader)->type();
  VectorBlock block;
  while (true) {
    if (Status status = (*reader)->Read(block_rows, &block); !status.ok()) return status;
    if (block.rows == 0) return all;
    EXPECT_EQ(block.dim, all.dim);
    EXPECT_LE(block.rows, block_rows);
    for (std::size_t i = 0; i < block.rows * block.dim; ++i) {
      all.values.push_back(ValueAt(block, i));
    }
    all.rows += block.rows;
  }
}

}  // namespace quarry::tools
