// A buffer that shows reads behind its end.

#pragma once

#include <cstddef>
#include <memory>

namespace quarry::testing_support {

// Values flush against the end of a heap buffer, which ASan watches.
template <class T>
struct Flush {
  explicit Flush(std::size_t count, std::size_t offset_bytes = 0)
      : n(count), offset(offset_bytes), buffer(new std::byte[offset + n * sizeof(T)]()) {}

  T* data() const { return reinterpret_cast<T*>(buffer.get() + offset); }
  T& operator[](std::size_t i) const { return data()[i]; }

  std::size_t n, offset;
  std::unique_ptr<std::byte[]> buffer;
};

}  // namespace quarry::testing_support
