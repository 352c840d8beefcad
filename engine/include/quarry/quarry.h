// All of Quarry's public interface.

#pragma once

#include "quarry/collection.h"
#include "quarry/compaction.h"
#include "quarry/executor.h"
#include "quarry/metrics.h"
#include "quarry/records.h"
#include "quarry/status.h"
#include "quarry/store.h"
#include "quarry/types.h"
#include "quarry/verify.h"
