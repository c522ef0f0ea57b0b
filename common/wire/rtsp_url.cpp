#include "common/wire/rtsp_url.h"

#include <algorithm>

#include "common/wire/http1_headers.h"

namespace weir::rtsp {
namespace {

constexpr std::string_view kControl = "a=control:";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The size of "rtsp://authority" at the front; 0 when there is none.
std::size_t base_size(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return 0;
  const std::string_view name = url.substr(0, scheme);
  const auto is_name = [name](std::string_view known) {
    return http::same_ignoring_case(name, known);
  };
  if (!is_name("rtsp") && !is_name("rtsps") && !is_name("rtspu")) return 0;
  // What may follow a URL in RTP-Info or a description.
  return std::min(url.find_first_of("/?\";, \r\n", scheme + 3), url.size());
}

}  // namespace

std::optional<std::string> base_of(std::string_view uri) {
  const std::size_t size = base_size(uri);
  const std::size_t authority = uri.find("://") + 3;
  if (size == 0 || size == authority) return std::nullopt;
  const std::size_t user = uri.substr(0, size).rfind('@');
  if (user == std::string_view::npos) return std::string(uri.substr(0, size));
  return std::string(uri.substr(0, authority)).append(uri.substr(user + 1, size - user - 1));
}

std::string with_base(std::string_view url, std::string_view base) {
  const std::size_t size = base_size(url);
  if (size == 0) return std::string(url);
  return std::string(base).append(url.substr(size));
}

std::string rtp_info_with_base(std::string_view value, std::string_view base) {
  constexpr std::string_view kUrl = "url=";
  std::string out;
  while (!value.empty()) {
    std::size_t at = 0;
    while (at < value.size() && !http::same_ignoring_case(value.substr(at, kUrl.size()), kUrl))
      ++at;
    at = std::min(at + kUrl.size(), value.size());
    if (at < value.size() && value[at] == '"') ++at;
    out += value.substr(0, at);
    value.remove_prefix(at);
    const std::size_t end = std::min(value.find_first_of("\";,"), value.size());
    out += with_base(value.substr(0, end), base);
    value.remove_prefix(end);
  }
  return out;
}

std::string sdp_with_base(std::string_view sdp, std::string_view base) {
  std::string out;
  while (!sdp.empty()) {
    const std::size_t end = std::min(sdp.find('\n'), sdp.size() - 1) + 1;
    const std::string_view line = sdp.substr(0, end);
    if (line.starts_with(kControl))
      out.append(kControl).append(with_base(line.substr(kControl.size()), base));
    else
      out += line;
    sdp.remove_prefix(end);
  }
  return out;
}

std::string_view without_track(std::string_view url) {
  const std::size_t base = base_size(url);
  while (url.size() > base && url.ends_with('/')) url.remove_suffix(1);
  const std::size_t slash = url.rfind('/');
  if (slash == std::string_view::npos || slash < base || slash + 1 >= url.size()) return url;
  std::string_view name = url.substr(slash + 1);
  const std::string_view all = name;
  while (!name.empty() && is_digit(name.back())) name.remove_suffix(1);
  const bool numbered = name.size() < all.size();
  const bool named = name.size() > 1 && name.ends_with('=') && name.find('?') == name.npos;
  if (!numbered || !(named || http::same_ignoring_case(name, "track"))) return url;
  return url.substr(0, slash);
}

}  // namespace weir::rtsp
