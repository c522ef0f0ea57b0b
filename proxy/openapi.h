// proxy/openapi.h
// etc/openapi.json, the description of the control API, as this program carries it with it.
//
// Threading: a constant.
#pragma once

#include <string_view>

namespace weir {

std::string_view openapi_text();

}  // namespace weir
