// Anything may stand in Redis. What is taken for a route, a member or a note is written again as something that is
// read as the same; all else is an error of two kinds, whose text repeats nothing of the input.
#include <algorithm>
#include <cstdlib>

#include "proxy/shared_codec.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_refusal(const weir::Error& error) {
  const bool printable =
      std::ranges::all_of(error.text, [](char c) { return c >= 0x20 && c < 0x7f; });
  return printable && (error.code == weir::Errc::Protocol || error.code == weir::Errc::Limit);
}

bool same(const weir::Registration& a, const weir::Registration& b) {
  return a.server == b.server && a.service == b.service && a.pid == b.pid &&
         a.device_id == b.device_id && a.host == b.host && a.endpoints == b.endpoints;
}

template <class Value>
bool same(const Value& a, const Value& b) {
  return a == b;
}

template <class Value>
void check(std::string_view text, weir::Result<Value> (*decode)(std::string_view)) {
  const auto value = decode(text);
  if (!value) {
    require(is_refusal(value.error()));
    return;
  }
  require(text.size() <= weir::kMaxSharedValue);
  const auto again = decode(weir::encode(*value));
  // Written in full a value may be longer than it came.
  require(again ? same(*again, *value) : again.error().code == weir::Errc::Limit);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  check(text, weir::decode_route);
  check(text, weir::decode_member);
  check(text, weir::decode_note);
  if (const auto kind = weir::kind_of_key("weir:", text))
    require(text.starts_with("weir:" + std::string(weir::name(*kind)) + ':'));
  return 0;
}
