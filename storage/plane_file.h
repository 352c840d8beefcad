// Making and opening plane files: what base planes and sketches share.

#pragma once

#include <memory>
#include <string>

#include "format/plane.h"
#include "storage/directory.h"
#include "storage/vfs.h"

namespace quarry::storage {

struct PlaneFile {
  format::PlaneHeader header;
  std::unique_ptr<File> file;        // null after OpenPlane
  std::unique_ptr<Mapping> mapping;  // null after OpenPlaneForReading
};

// Makes the file of a plane, preallocated, durable together with its name.
// Errors: kAlreadyExists, kNoSpace, kIoError; no file is left behind.
Result<PlaneFile> CreatePlane(Directory& directory, const format::PlaneHeader& header);

// Maps an existing file, whose header must be `expected` in all but what a pca
// sketch says of itself.
// Errors: kCorruption (also when the file is missing), kNotSupported, kIoError.
Result<PlaneFile> OpenPlane(Directory& directory, format::PlaneHeader expected);

// As OpenPlane, but without mapping it. Without a uuid in `expected` that of the store
// is not known.
Result<PlaneFile> OpenPlaneForReading(const Directory& directory, format::PlaneHeader expected);

// The header that a plane's file has. Errors: as OpenPlane; kCorruption also when it is
// that of another slab or kind.
Result<format::PlaneHeader> ReadPlaneHeader(const Directory& directory, std::uint64_t slab,
                                            format::PlaneKind kind);

}  // namespace quarry::storage
