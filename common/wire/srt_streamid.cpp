#include "common/wire/srt_streamid.h"

#include <algorithm>

#include "common/wire/hex.h"
#include "common/wire/srt.h"

namespace weir::srt {

namespace {

using Mode = StreamRequest::Mode;

constexpr std::string_view kKeyed = "#!::";

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view take_until(std::string_view& text, char mark) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = high < 0 ? -1 : hex_digit(text[i + 2]);
      if (low < 0) return fail(Errc::Protocol, "bad percent escape in a streamid");
      c = static_cast<char>(high << 4 | low);
      i += 2;
    }
    if (is_control(c)) return fail(Errc::Protocol, "streamid with control bytes");
    out += c;
  }
  return out;
}

void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    if (c != '%' && c != ',' && c != '=') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
}

Result<Mode> mode_named(std::string_view name) {
  if (name == "request" || name.empty()) return Mode::Request;
  if (name == "publish" || name == "bidirectional") return Mode::Publish;
  return fail(Errc::Protocol, "unknown mode in a streamid");
}

Result<StreamRequest> parse_keyed(std::string_view text) {
  StreamRequest request;
  while (!text.empty()) {
    std::string_view value = take_until(text, ',');
    const std::string_view key = take_until(value, '=');
    if (key != "h" && key != "r" && key != "m" && key != "u") continue;
    auto plain = percent_decode(value);
    if (!plain) return std::unexpected(std::move(plain.error()));
    if (key == "h") request.host = std::move(*plain);
    if (key == "r") request.resource = std::move(*plain);
    if (key == "u") request.user = std::move(*plain);
    if (key != "m") continue;
    auto mode = mode_named(*plain);
    if (!mode) return std::unexpected(std::move(mode.error()));
    request.mode = *mode;
  }
  if (request.resource.empty() && request.host.find('/') != std::string::npos)
    request.resource.swap(request.host);
  return request;
}

StreamRequest parse_plain(std::string_view text) {
  StreamRequest request;
  for (const std::string_view action : {"publish:", "read:", "request:"}) {
    if (!text.starts_with(action)) continue;
    text.remove_prefix(action.size());
    if (action == "publish:") request.mode = Mode::Publish;
    request.resource = take_until(text, ':');
    request.user = take_until(text, ':');
    return request;
  }
  request.resource = text;
  return request;
}

}  // namespace

Result<StreamRequest> parse_stream_id(std::string_view text) {
  if (text.size() > kMaxStreamId) return fail(Errc::Limit, "streamid of more than 512 bytes");
  if (std::ranges::any_of(text, is_control))
    return fail(Errc::Protocol, "streamid with control bytes");
  Result<StreamRequest> request = text.starts_with(kKeyed)
                                      ? parse_keyed(text.substr(kKeyed.size()))
                                      : Result<StreamRequest>(parse_plain(text));
  if (request && request->resource.empty())
    return fail(Errc::NotFound, "streamid that names no stream");
  return request;
}

std::string to_stream_id(const StreamRequest& request) {
  std::string text(kKeyed);
  if (!request.host.empty()) {
    text += "h=";
    append_encoded(text, request.host);
    text += ',';
  }
  text += "r=";
  append_encoded(text, request.resource);
  text += request.mode == Mode::Publish ? ",m=publish" : ",m=request";
  if (!request.user.empty()) {
    text += ",u=";
    append_encoded(text, request.user);
  }
  return text;
}

}  // namespace weir::srt
