#include "storage/mapped_file.h"

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <utility>

namespace quarry::storage {
namespace {

namespace ipc = boost::interprocess;

class MappedFile final : public Mapping {
 public:
  explicit MappedFile(ipc::mapped_region region) : region_(std::move(region)) {}

  std::span<const std::byte> bytes() const override {
    return {static_cast<const std::byte*>(region_.get_address()), region_.get_size()};
  }

 private:
  ipc::mapped_region region_;
};

}  // namespace

Result<std::unique_ptr<Mapping>> MapFile(const std::string& path, std::uint64_t bytes) {
  try {  // Boost.Interprocess reports by exception; Quarry does not.
    // The region outlives the file_mapping, whose descriptor is not CLOEXEC:
    // it is closed at the end of this block.
    const ipc::file_mapping file(path.c_str(), ipc::read_only);
    ipc::mapped_region region(file, ipc::read_only, 0, static_cast<std::size_t>(bytes));
    return std::unique_ptr<Mapping>(new MappedFile(std::move(region)));
  } catch (const ipc::interprocess_exception& e) {
    return Status::IoError("map " + path + ": " + e.what());
  }
}

}  // namespace quarry::storage
