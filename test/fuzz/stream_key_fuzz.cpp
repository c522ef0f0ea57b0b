// Five lines name a stream in every way: tcUrl, app, stream, Host, target. Whatever is accepted has
// a safe key, and keeps it when it is named again in RTMP and in HTTP.
#include <algorithm>
#include <array>
#include <string>

#include "common/bytes.h"
#include "common/check.h"
#include "common/stream_key.h"

namespace {

using namespace weir;

void check_key(const StreamName& name) {
  const std::string key = name.key();
  INVARIANT(key.find("..") == std::string::npos, key);
  INVARIANT(key.find("//") == std::string::npos, key);
  INVARIANT(key.find_first_of("\\?") == std::string::npos, key);
  INVARIANT(std::ranges::none_of(key, [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
  INVARIANT(name.stream.find('/') == std::string::npos, key);
  INVARIANT(!name.app.empty() && !name.stream.empty(), key);
  INVARIANT(name.app.size() <= kMaxApp && name.stream.size() <= kMaxStream, key);
  INVARIANT(name.vhost.size() <= kMaxVhost && name.args.size() <= kMaxArgs, key);

  // The key alone, read as an address.
  auto again = stream_from_rtmp("rtmp://" + name.vhost, name.app, name.stream);
  INVARIANT(again.has_value(), key);
  INVARIANT(again->key() == key, again->key(), key);

  auto rtmp = stream_from_rtmp(tc_url(name, "127.0.0.1:1935"), name.app, rtmp_stream(name));
  INVARIANT(rtmp.has_value(), rtmp_url(name, "127.0.0.1:1935"));
  INVARIANT(*rtmp == name, rtmp->key(), key);

  const std::string host = name.is_default_vhost() ? "[::1]:8080" : name.vhost + ":8080";
  auto http = stream_from_http(host, http_path(name, "flv"));
  if (!http && http.error().code == Errc::Limit) return;  // escapes make arguments longer
  INVARIANT(http.has_value(), http_path(name, "flv"), http.error().text);
  INVARIANT(http->key() == key, http->key(), key);
  INVARIANT(http->extension == "flv");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = as_text(ByteView(data, size));
  std::array<std::string_view, 5> lines;
  for (std::string_view& line : lines) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (auto name = stream_from_rtmp(lines[0], lines[1], lines[2])) check_key(*name);
  if (auto name = stream_from_http(lines[3], lines[4])) check_key(*name);
  return 0;
}
