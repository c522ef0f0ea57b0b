#include "proxy/hop_mark.h"

#include <openssl/rand.h>

#include <algorithm>
#include <ranges>

#include "common/check.h"
#include "common/wire/http1_via.h"

namespace weir {

namespace {
constexpr std::string_view kHopsProperty = "weirHops";
constexpr std::string_view kIdProperty = "weirRequestId";
constexpr std::string_view kClientProperty = "clientAddr";
constexpr std::size_t kMaxId = 64;
}  // namespace

std::string random_id() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  unsigned char bytes[8];
  INVARIANT(RAND_bytes(bytes, sizeof(bytes)) == 1);
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool is_plain_id(std::string_view text) {
  constexpr std::string_view kPlain =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:";
  return !text.empty() && text.size() <= kMaxId &&
         text.find_first_not_of(kPlain) == std::string_view::npos;
}

namespace {

// Without what no weir would have written.
std::string plain_hops(std::string_view hops) {
  std::string plain;
  for (const auto part : std::views::split(hops, ',')) {
    const std::string_view hop(part.begin(), part.end());
    if (!is_plain_id(hop)) continue;
    if (!plain.empty()) plain += ',';
    plain += hop;
  }
  return plain;
}

}  // namespace

HopMark hop_mark_of(const http::Headers& headers) {
  HopMark mark{.hops = {}, .id = std::string(headers.find("X-Request-Id").value_or(""))};
  if (!is_plain_id(mark.id)) mark.id = random_id();
  for (const std::string_view hop : http::cdn_loop_of(headers)) {
    if (!mark.hops.empty()) mark.hops += ',';
    mark.hops += hop;
  }
  return mark;
}

HopMark hop_mark_of(const rtmp::Request& request) {
  HopMark mark{.hops = std::string(request.property(kHopsProperty)),
               .id = std::string(request.property(kIdProperty))};
  if (!is_plain_id(mark.id)) mark.id = random_id();
  mark.hops = plain_hops(mark.hops);
  return mark;
}

Result<HopMark> next_hop(const HopMark& mark, std::string_view node, int max_hops) {
  int count = 0;
  for (const auto part : std::views::split(mark.hops, ',')) {
    const std::string_view hop(part.begin(), part.end());
    if (http::same_ignoring_case(hop, node))
      return fail(Errc::Loop, "request came back to this node, by way of " + mark.hops);
    if (!hop.empty()) ++count;
  }
  if (count >= max_hops) return fail(Errc::Loop, "too many hops: " + mark.hops);
  return HopMark{
      .hops = mark.hops.empty() ? std::string(node) : mark.hops + "," + std::string(node),
      .id = mark.id};
}

void set_hop_mark(amf0::Value& connect_object, const HopMark& mark) {
  if (!connect_object.is_object()) return;
  connect_object.set(std::string(kHopsProperty), mark.hops);
  connect_object.set(std::string(kIdProperty), mark.id);
}

void set_client_address(amf0::Value& connect_object, const std::string& host) {
  if (!connect_object.is_object()) return;
  connect_object.erase(kClientProperty);
  if (!host.empty()) connect_object.set(std::string(kClientProperty), host);
}

}  // namespace weir
