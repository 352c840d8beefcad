// The macros of Quarry: passing a failure on, and invariants that abort.

#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "quarry/status.h"

#define QUARRY_CONCAT_INNER(a, b) a##b
#define QUARRY_CONCAT(a, b) QUARRY_CONCAT_INNER(a, b)

// Returns the Status of `expression` from the enclosing function unless it is OK.
#define QUARRY_TRY(expression)                                                                    \
  do {                                                                                            \
    if (::quarry::Status quarry_status = (expression); !quarry_status.ok()) return quarry_status; \
  } while (false)

// Declares `declaration` and sets it from a Result, or returns its Status.
#define QUARRY_ASSIGN(declaration, expression)                 \
  auto QUARRY_CONCAT(quarry_result_, __LINE__) = (expression); \
  if (!QUARRY_CONCAT(quarry_result_, __LINE__).ok())           \
    return QUARRY_CONCAT(quarry_result_, __LINE__).status();   \
  declaration = std::move(QUARRY_CONCAT(quarry_result_, __LINE__)).value()

// An invariant whose breach would let wrong bytes reach the disk or a caller.
// On in every build.
#define QUARRY_CHECK(condition)                                                                 \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      std::fprintf(stderr, "%s:%d: QUARRY_CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)
