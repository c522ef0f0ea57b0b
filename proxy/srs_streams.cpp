#include "proxy/srs_streams.h"

#include <Poco/Dynamic/Var.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <spdlog/fmt/fmt.h>

#include <exception>
#include <optional>

#include "common/json_object.h"
#include "common/stream_key.h"

namespace weir {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

std::optional<std::string> key_of(const Object& stream) {
  if (!stream.isObject("publish")) return std::nullopt;
  const Var active = stream.getObject("publish")->get("active");
  if (!active.isBoolean() || !active.extract<bool>()) return std::nullopt;
  const auto name =
      stream_from_rtmp(text_in(stream, "tcUrl"), text_in(stream, "app"), text_in(stream, "name"));
  return name ? std::optional(name->key()) : std::nullopt;
}

}  // namespace

Result<std::vector<std::string>> published_in(std::string_view body) {
  if (body.size() > kMaxSrsStreamsBody)
    return fail(Errc::Limit, fmt::format("more than {} bytes", kMaxSrsStreamsBody));
  try {
    const auto root = parse_json_object(body);
    if (!root) return std::unexpected(root.error());
    if (!(*root)->isArray("streams")) return fail(Errc::Protocol, "streams is not an array");
    std::vector<std::string> keys;
    for (const Var& item : *(*root)->getArray("streams")) {
      if (item.type() != typeid(Object::Ptr)) continue;
      if (auto key = key_of(*item.extract<Object::Ptr>())) keys.push_back(std::move(*key));
    }
    return keys;
  } catch (const std::exception&) {
    return fail(Errc::Protocol, "not JSON");
  }
}

}  // namespace weir
