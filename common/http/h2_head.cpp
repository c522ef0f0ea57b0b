#include "common/http/h2_head.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

namespace weir::http {
namespace {

constexpr std::size_t kPerField = 32;

// RFC 9113 8.2.2.
constexpr std::array<std::string_view, 5> kOfConnection = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

bool is_plain(std::string_view text) {
  return std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return out;
}

}  // namespace

void RequestFields::add(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size() + kPerField;
  if (too_large()) return;
  if (name == ":method") {
    method_ = value;
  } else if (name == ":path") {
    target_ = value;
  } else if (name == ":authority") {
    authority_ = value;
  } else if (name == "host") {
    if (authority_.empty()) authority_ = value;
  } else if (name == "cookie") {
    // RFC 9113 8.2.3: in crumbs, to be joined.
    cookie_ += (cookie_.empty() ? "" : "; ") + std::string(value);
  } else if (!name.starts_with(':') && name != "te" && name != "expect") {
    has_length_ |= name == "content-length";
    lines_ += fmt::format("{}: {}\r\n", name, value);
  }
}

Result<std::string> RequestFields::head(bool has_body) const {
  if (!is_token(method_) || target_.empty() || !is_plain(target_) || !is_plain(authority_))
    return fail(Errc::Protocol, "a first line that cannot be written");
  std::string text = fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\n", method_, target_, authority_);
  text += lines_;
  if (!cookie_.empty()) text += fmt::format("cookie: {}\r\n", cookie_);
  if (chunked(has_body)) text += "transfer-encoding: chunked\r\n";
  text += "\r\n";
  return text;
}

FieldList response_fields(const Response& response) {
  FieldList fields;
  fields.reserve(response.headers.size() + 1);
  fields.emplace_back(":status", std::to_string(response.status));
  for (const Header& header : response.headers) {
    std::string name = lower(header.name);
    if (std::ranges::find(kOfConnection, name) != kOfConnection.end()) continue;
    fields.emplace_back(std::move(name), header.value);
  }
  return fields;
}

}  // namespace weir::http
