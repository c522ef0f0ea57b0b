#include "common/wire/rtsp_transport.h"

#include <algorithm>

#include "common/wire/http1_headers.h"

namespace weir::rtsp {
namespace {

// Up to the separator that stands outside quoted strings, which goes too.
std::string_view take_until(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    if (text[end] == '"') quoted = !quoted;
    if (quoted && text[end] == '\\') ++end;
    if (!quoted && text[end] == separator) break;
  }
  end = std::min(end, text.size());
  const std::string_view part = http::trim(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// RTP/AVP/TCP; the lower transport may be left out, and is UDP then.
bool is_over_tcp(std::string_view protocol) {
  const std::size_t first = protocol.find('/');
  const std::size_t last = protocol.rfind('/');
  return last != first && http::same_ignoring_case(protocol.substr(last + 1), "TCP");
}

}  // namespace

std::vector<std::string_view> split_transports(std::string_view value) {
  std::vector<std::string_view> transports;
  while (!value.empty()) {
    const std::string_view transport = take_until(value, ',');
    if (!transport.empty()) transports.push_back(transport);
  }
  return transports;
}

bool is_interleaved(std::string_view transport) {
  if (!is_over_tcp(take_until(transport, ';'))) return false;
  while (!transport.empty())
    if (http::same_ignoring_case(take_until(transport, ';'), "multicast")) return false;
  return true;
}

std::string interleaved_only(std::string_view value) {
  std::string kept;
  for (const std::string_view transport : split_transports(value)) {
    if (!is_interleaved(transport)) continue;
    if (!kept.empty()) kept += ',';
    kept += transport;
  }
  return kept;
}

}  // namespace weir::rtsp
