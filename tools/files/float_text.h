// Vectors as JSON text that reads back to the same bits.

#pragma once

#include <span>
#include <string>

namespace quarry::tools {

// Appends `[0.5,1,-0.0]`. Each element has the fewest digits that give the same
// f32 when they are read as f64, as JSON readers do, and then rounded to f32; for
// a few values that takes more digits than reading as f32 would.
// REQUIRES: all elements are finite
void AppendVectorText(std::span<const float> vector, std::string* text);

}  // namespace quarry::tools
