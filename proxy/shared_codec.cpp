#include "proxy/shared_codec.h"

#include <Poco/Dynamic/Var.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <openssl/sha.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <utility>

#include "common/json_object.h"

namespace weir {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kHashBytes = 16;
constexpr std::size_t kGenerationDigits = 16;

constexpr std::array<std::pair<SharedKind, std::string_view>, 4> kKinds{{
    {SharedKind::Route, "route"},
    {SharedKind::Origin, "origin"},
    {SharedKind::Proxy, "proxy"},
    {SharedKind::Session, "session"},
}};

// The heartbeat's own word for each protocol, in the order of Protocol.
constexpr std::array<const char*, kProtocolCount> kLists{"rtmp", "http", "api",
                                                         "rtc",  "srt",  "rtsp"};

std::string text_of(const Object& object) {
  std::ostringstream out;
  object.stringify(out);
  return std::move(out).str();
}

// Errors: Limit, Protocol.
Result<Object::Ptr> object_in(std::string_view text) {
  if (text.size() > kMaxSharedValue)
    return fail(Errc::Limit, fmt::format("more than {} bytes", kMaxSharedValue));
  return parse_json_object(text, kMaxSharedDepth);
}

// These texts become names in logs and on the wire.
bool plain(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
}

Result<std::string> string_at(const Object& object, const char* field, std::size_t max) {
  const Var value = object.get(field);
  if (!value.isString()) return fail(Errc::Protocol, fmt::format("{} is not a string", field));
  const auto& text = value.extract<std::string>();
  if (text.size() > max) return fail(Errc::Limit, fmt::format("{} is too long", field));
  return text;
}

Result<std::string> name_at(const Object& object, const char* field) {
  auto text = string_at(object, field, kMaxSharedText);
  if (text && (text->empty() || !plain(*text)))
    return fail(Errc::Protocol, fmt::format("{} is not a name", field));
  return text;
}

}  // namespace

std::string_view name(SharedKind kind) { return kKinds[static_cast<std::size_t>(kind)].second; }

std::optional<SharedKind> shared_kind(std::string_view name) {
  for (const auto& [kind, word] : kKinds)
    if (word == name) return kind;
  return std::nullopt;
}

std::string shared_key(std::string_view prefix, SharedKind kind, std::string_view name) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest.data());
  std::string key = fmt::format("{}{}:", prefix, weir::name(kind));
  for (std::size_t i = 0; i < kHashBytes; ++i)
    fmt::format_to(std::back_inserter(key), "{:02x}", digest[i]);
  return key;
}

std::optional<SharedKind> kind_of_key(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix)) return std::nullopt;
  key.remove_prefix(prefix.size());
  const std::size_t colon = key.find(':');
  if (colon == std::string_view::npos || key.size() != colon + 1 + 2 * kHashBytes)
    return std::nullopt;
  return shared_kind(key.substr(0, colon));
}

std::string encode(const SharedRoute& route) {
  Object object;
  object.set("stream", route.stream);
  object.set("upstream", route.upstream);
  // As text: JSON's numbers do not hold 64 bits everywhere.
  object.set("generation", fmt::format("{:016x}", route.generation));
  return text_of(object);
}

std::string encode(const Registration& member) {
  Object object;
  object.set("ip", member.host);
  object.set("server", member.server);
  object.set("service", member.service);
  object.set("pid", member.pid);
  object.set("device_id", member.device_id);
  if (!member.zone.empty()) object.set("zone", member.zone);
  for (std::size_t i = 0; i < kProtocolCount; ++i) {
    Array::Ptr list = new Array;
    for (const Endpoint& endpoint : member.endpoints[i]) list->add(to_url(endpoint));
    object.set(kLists[i], list);
  }
  return text_of(object);
}

std::string encode(const SharedNote& note) {
  Object object;
  object.set("name", note.name);
  object.set("value", note.value);
  return text_of(object);
}

Result<SharedRoute> decode_route(std::string_view text) {
  const auto object = object_in(text);
  if (!object) return std::unexpected(object.error());
  auto stream = name_at(**object, "stream");
  if (!stream) return std::unexpected(std::move(stream.error()));
  auto upstream = name_at(**object, "upstream");
  if (!upstream) return std::unexpected(std::move(upstream.error()));
  const auto digits = string_at(**object, "generation", kGenerationDigits);
  if (!digits) return std::unexpected(digits.error());
  std::uint64_t generation = 0;
  const char* const end = digits->data() + digits->size();
  const auto [stop, error] = std::from_chars(digits->data(), end, generation, 16);
  if (error != std::errc() || stop != end)
    return fail(Errc::Protocol, "generation is not a hexadecimal number");
  return SharedRoute{std::move(*stream), std::move(*upstream), generation};
}

Result<Registration> decode_member(std::string_view text) {
  if (text.size() > kMaxSharedValue)
    return fail(Errc::Limit, fmt::format("more than {} bytes", kMaxSharedValue));
  return parse_registration(text);
}

Result<SharedNote> decode_note(std::string_view text) {
  const auto object = object_in(text);
  if (!object) return std::unexpected(object.error());
  auto name = name_at(**object, "name");
  if (!name) return std::unexpected(std::move(name.error()));
  auto value = string_at(**object, "value", kMaxSharedValue);
  if (!value) return std::unexpected(std::move(value.error()));
  return SharedNote{std::move(*name), std::move(*value)};
}

}  // namespace weir
