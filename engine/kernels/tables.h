// The tables by name, and the choice among them.

#pragma once

#include "engine/kernels/estimates.h"
#include "engine/kernels/kernels.h"
#include "quarry/status.h"

namespace quarry::kernels {

// Each is defined by the object of its instruction set; those of AVX on x86-64 only.
extern const Table kBaseline;
extern const Table kAvx2;
extern const Table kAvx512;
extern const EstimateTable kEstimatesBaseline;
extern const EstimateTable kEstimatesAvx2;
extern const EstimateTable kEstimatesAvx512;

// The one of Available() that is called `name`; the last where that is null or empty.
// Errors: kInvalidArgument when there is none, naming those that there are.
Result<const Table*> Choose(const char* name);

}  // namespace quarry::kernels
