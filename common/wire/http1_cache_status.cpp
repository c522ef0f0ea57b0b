#include "common/wire/http1_cache_status.h"

#include <spdlog/fmt/fmt.h>

#include "common/wire/http1_headers.h"

namespace weir::http {
namespace {

std::string_view name(CacheStatus::Forwarded forwarded) {
  using enum CacheStatus::Forwarded;
  switch (forwarded) {
    case Hit: break;
    case Bypass: return "bypass";
    case Method: return "method";
    case UriMiss: return "uri-miss";
    case VaryMiss: return "vary-miss";
    case Stale: return "stale";
    case Request: return "request";
  }
  return "hit";
}

// RFC 8941 3.3.4: a token, or else a string.
void append_id(std::string_view text, std::string& out) {
  const bool begins_well = !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') ||
                                             (text[0] >= 'A' && text[0] <= 'Z') || text[0] == '*');
  if (begins_well && is_token(text)) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

void append_cache_status(std::string_view cache, const CacheStatus& status, std::string& out) {
  append_id(cache, out);
  if (status.forwarded == CacheStatus::Forwarded::Hit)
    out += "; hit";
  else
    out.append("; fwd=").append(name(status.forwarded));
  auto to = std::back_inserter(out);
  if (status.status) fmt::format_to(to, "; fwd-status={}", *status.status);
  if (status.ttl) fmt::format_to(to, "; ttl={}", status.ttl->count());
  if (status.stored) out += "; stored";
  if (status.collapsed) out += "; collapsed";
}

}  // namespace weir::http
