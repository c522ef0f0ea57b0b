#include "common/wire/http1_head.h"

#include <algorithm>
#include <type_traits>

#include "common/wire/http1_first_line.h"

namespace weir::http {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<Refusal> bad(std::string text) {
  return refuse(400, Errc::Protocol, std::move(text));
}

Parsed<int> parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  if (text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
      is_digit(text[7])) {
    return refuse(505, Errc::Protocol, "HTTP version is neither 1.0 nor 1.1");
  }
  return bad("malformed HTTP version");
}

bool is_target(std::string_view target, std::string_view method) {
  const auto is_bad = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '#';
  };
  if (std::ranges::any_of(target, is_bad)) return false;
  if (target.starts_with('/')) return true;
  if (target == "*") return method == "OPTIONS";
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view name = target.substr(0, scheme);
  if (!same_ignoring_case(name, "http") && !same_ignoring_case(name, "https")) return false;
  const std::string_view rest = target.substr(scheme + 3);
  return is_authority(rest.substr(0, rest.find_first_of("/?")));
}

Parsed<void> parse_first_line(std::string_view line, Request& request) {
  const Parsed<RequestLine> first = read_request_line(line, parse_version);
  if (!first) return std::unexpected(first.error());
  if (!is_target(first->target, first->method)) return bad("malformed request target");
  request.method = first->method;
  request.target = first->target;
  request.minor_version = first->version;
  return {};
}

Parsed<void> parse_first_line(std::string_view line, Response& response) {
  const Parsed<StatusLine> first = read_status_line(line, parse_version);
  if (!first) return std::unexpected(first.error());
  response.minor_version = first->version;
  response.status = first->status;
  response.reason = first->reason;
  return {};
}

Parsed<void> check_framing(Headers& headers, int minor_version) {
  const auto codings = headers.find_all("Transfer-Encoding");
  const auto lengths = headers.find_all("Content-Length");
  if (!codings.empty()) {
    if (!lengths.empty()) return bad("both Content-Length and Transfer-Encoding");
    // RFC 9112 6.1: such framing is faulty.
    if (minor_version == 0) return bad("Transfer-Encoding in HTTP/1.0");
    if (codings.size() > 1 || !same_ignoring_case(codings.front(), "chunked")) {
      return bad("Transfer-Encoding other than chunked");
    }
  }
  if (lengths.empty()) return {};
  if (!parse_content_length(lengths.front())) return bad("malformed Content-Length");
  for (const std::string_view length : lengths) {
    if (length != lengths.front()) return bad("Content-Lengths that differ");
  }
  if (lengths.size() > 1) headers.set("Content-Length", lengths.front());
  return {};
}

Parsed<void> check_head(Request& request) {
  const auto hosts = request.headers.find_all("Host");
  if (hosts.size() > 1) return bad("more than one Host");
  if (request.headers.find_all("Content-Length").size() > 1)
    return bad("more than one Content-Length");
  if (hosts.empty() && request.minor_version >= 1) return bad("no Host");
  // RFC 9110 7.2: an empty Host is that of a target without authority.
  if (!hosts.empty() && !hosts.front().empty() && !is_authority(hosts.front())) {
    return bad("malformed Host");
  }
  return check_framing(request.headers, request.minor_version);
}

Parsed<void> check_head(Response& response) {
  return check_framing(response.headers, response.minor_version);
}

template <class Message>
constexpr bool kIsRequest = std::is_same_v<Message, Request>;

}  // namespace

template <class Message>
Refusal HeadReader<Message>::refusal_for(const Error& line_error, bool head_is_full) const {
  Refusal refusal{line_error, 400};
  if (line_error.code != Errc::Limit) return refusal;
  refusal.status = started_ || head_is_full ? 431 : 414;
  refusal.text = head_is_full ? "head is too large"
                 : started_   ? "header line is too long"
                              : "first line is too long";
  return refusal;
}

template <class Message>
Parsed<bool> HeadReader<Message>::take_line(std::string_view line) {
  if (!started_ && line.empty() && kIsRequest<Message>) {
    if (++empty_lines_ > limits_.empty_lines) return bad("too many empty lines before a request");
    return false;
  }
  used_ += line.size() + 2;
  if (used_ > limits_.head) return refuse(431, Errc::Limit, "head is too large");
  if (!started_) {
    started_ = true;
    const Parsed<void> parsed = parse_first_line(line, message_);
    if (!parsed) return std::unexpected(parsed.error());
    return false;
  }
  if (line.empty()) {
    const Parsed<void> checked = check_head(message_);
    if (!checked) return std::unexpected(checked.error());
    return true;
  }
  if (message_.headers.size() == limits_.count) {
    return refuse(431, Errc::Limit, "too many headers");
  }
  const auto space = kIsRequest<Message> ? SpaceBeforeColon::Refuse : SpaceBeforeColon::Drop;
  const Result<Header> field = parse_field_line(line, space);
  if (!field) return refuse(400, field.error().code, field.error().text);
  message_.headers.add(field->name, field->value);
  return false;
}

template <class Message>
Parsed<std::optional<Message>> HeadReader<Message>::next(ByteView& input) {
  while (!refusal_ && !input.empty()) {
    // Which bound a line meets first is known before it comes, so the verdict does not depend on
    // how the bytes were cut.
    const std::size_t line_max = started_ ? limits_.header : limits_.line;
    const std::size_t head_max = limits_.head - std::min(used_ + 2, limits_.head);
    const bool head_is_full = head_max < line_max;
    const auto line = lines_.next(input, std::min(line_max, head_max));
    if (!line) {
      refusal_ = refusal_for(line.error(), head_is_full);
      break;
    }
    if (!*line) return std::nullopt;
    const Parsed<bool> complete = take_line(**line);
    if (!complete) {
      refusal_ = complete.error();
    } else if (*complete) {
      used_ = empty_lines_ = 0;
      started_ = false;
      return std::exchange(message_, {});
    }
  }
  if (!refusal_) return std::nullopt;
  if (!kIsRequest<Message>) refusal_->status = 502;
  return std::unexpected(*refusal_);
}

template class HeadReader<Request>;
template class HeadReader<Response>;

}  // namespace weir::http
