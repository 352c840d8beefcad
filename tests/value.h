// What a Result holds, where a failure is none that is tested.

#pragma once

#include <cstdlib>
#include <iostream>
#include <utility>

#include "quarry/status.h"

namespace quarry::testing_support {

// A failure ends the program with its message.
template <class T>
T Value(Result<T> result) {
  if (!result.ok()) {
    std::cerr << "unexpected failure: " << result.status().ToString() << std::endl;
    std::abort();
  }
  return std::move(result).value();
}

}  // namespace quarry::testing_support
