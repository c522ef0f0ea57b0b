// common/json_object.h
// JSON objects as others have written them.
//
// Threading: pure functions. Bounds: the text, which the caller has bounded, and the depth.
#pragma once

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/error.h"

namespace weir {

inline constexpr std::size_t kJsonDepth = 8;

enum class FieldOrder : std::uint8_t { Any, AsWritten };

// Errors: Protocol for what is no JSON, too deep, or no object.
Result<Poco::JSON::Object::Ptr> parse_json_object(std::string_view text,
                                                  std::size_t depth = kJsonDepth,
                                                  FieldOrder order = FieldOrder::Any);

// Empty when there is no such field, or it is no text.
std::string text_in(const Poco::JSON::Object& object, const std::string& field);

}  // namespace weir
