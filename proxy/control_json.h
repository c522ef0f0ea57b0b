// proxy/control_json.h
// The control API's JSON: SRS's fields and shapes first, so that consoles and exporters made for SRS
// read them, then our own.
//
// Whatever text comes from a peer is made valid UTF-8 here.
//
// Threading: pure functions.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/control_view.h"

namespace weir {

// Of a stream or a vhost, for as long as it has its name; 16 hexadecimal digits.
std::string control_id(std::string_view key);

// Bytes that are no UTF-8 become U+FFFD.
std::string valid_utf8(std::string_view text);

Poco::JSON::Object::Ptr to_json(const UpstreamState& state);
Poco::JSON::Object::Ptr to_json(const SessionState& session);
Poco::JSON::Object::Ptr to_json(const StreamView& stream);
Poco::JSON::Object::Ptr to_json(const RouteView& route);
// `data` of /api/v1/summaries.
Poco::JSON::Object::Ptr to_json(const NodeView& node, std::string_view version);
// One for each vhost among them.
std::vector<Poco::JSON::Object::Ptr> vhosts_json(const std::vector<StreamView>& streams);

}  // namespace weir
