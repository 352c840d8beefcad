// How verify and repair print damages.

#pragma once

#include <span>

#include "quarry/verify.h"
#include "tools/output.h"

namespace quarry::tools {

// {"collection":..,"slab":..,"rows":[a,b],"ids":[..],"file":..,"text":..}, without what a
// damage does not have; "ids_total" where not all ids are listed.
Json ToJson(const Damage& damage);
Json ToJson(std::span<const Damage> damages);

// The columns of AddDamage.
std::vector<std::string> DamageColumns();
// One row for a damage. REQUIRES: !output.json()
Status AddDamage(const Damage& damage, Output& output);

}  // namespace quarry::tools
