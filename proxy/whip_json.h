// proxy/whip_json.h
// The JSON in which SRS's own players and publishers signal: one object, with texts in it.
//
// Threading: pure functions. Bounds: the body's.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"

namespace weir {

// A text of the object. Errors: Protocol, also when it is missing or no text.
Result<std::string> json_text(const std::string& body, const std::string& field);

// The object with another text there, everything else as it was. Errors: Protocol.
Result<std::string> with_json_text(const std::string& body, const std::string& field,
                                   const std::string& text);

}  // namespace weir
