#include "common/wire/http1.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "common/check.h"

namespace weir::http {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 3986 3.2.2 reg-name, without the comma: it would make two hosts of one where fields are
// merged.
constexpr bool is_host_char(char c) {
  return is_alphanumeric(c) ||
         std::string_view("-._~%!$&'()*+;=").find(c) != std::string_view::npos;
}

constexpr bool is_literal_char(char c) {
  return is_alphanumeric(c) || std::string_view(":.-_~").find(c) != std::string_view::npos;
}

constexpr bool breaks_line(char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }

constexpr bool has_no_body(int status) {
  return (status >= 100 && status < 200) || status == 204 || status == 304;
}

bool keeps_alive(int minor_version, const Headers& headers) {
  if (headers.has_token("Connection", "close")) return false;
  return minor_version >= 1 || headers.has_token("Connection", "keep-alive");
}

// Transfer-Encoding overrides Content-Length (RFC 9112 6.3); readers refuse both together.
BodyFraming framing_or(const Headers& headers, BodyFraming otherwise) {
  if (headers.has("Transfer-Encoding")) return {BodyFraming::Chunked, 0};
  const auto text = headers.find("Content-Length");
  if (!text) return otherwise;
  const auto length = parse_content_length(*text);
  return length ? BodyFraming{BodyFraming::Length, *length} : otherwise;
}

void write_headers(const Headers& headers, std::string& out) {
  for (const Header& field : headers)
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  out.append("\r\n");
}

}  // namespace

bool is_authority(std::string_view text) {
  std::size_t end = 0;
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    if (!std::ranges::all_of(text.substr(1, end - 1), is_literal_char)) return false;
    ++end;
  } else {
    end = std::min(text.find(':'), text.size());
    if (end == 0 || !std::ranges::all_of(text.substr(0, end), is_host_char)) return false;
  }
  std::string_view port = text.substr(end);
  if (port.empty()) return true;
  if (port.front() != ':') return false;
  port.remove_prefix(1);
  return port.size() <= 5 && std::ranges::all_of(port, is_digit);
}

Target target_of(const Request& request) {
  Target parts;
  std::string_view rest = request.target;
  if (const std::size_t scheme = rest.find("://"); !rest.starts_with('/') && scheme != rest.npos) {
    rest.remove_prefix(scheme + 3);
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    parts.authority = rest.substr(0, end);
    rest.remove_prefix(end);
  } else {
    parts.authority = request.headers.find("Host").value_or("");
  }
  const std::size_t question = std::min(rest.find('?'), rest.size());
  parts.path = rest.substr(0, question);
  if (parts.path.empty()) parts.path = "/";
  if (question < rest.size()) parts.query = rest.substr(question + 1);
  return parts;
}

BodyFraming framing_of(const Request& request) { return framing_or(request.headers, {}); }

BodyFraming framing_of(const Response& response, std::string_view request_method) {
  if (request_method == "HEAD" || has_no_body(response.status)) return {};
  const BodyFraming until_close{BodyFraming::UntilClose, 0};
  // RFC 9112 6.3, rule 2: a tunnel.
  if (request_method == "CONNECT" && response.status / 100 == 2) return until_close;
  return framing_or(response.headers, until_close);
}

void set_framing(Headers& headers, BodyFraming framing) {
  headers.remove("Transfer-Encoding");
  if (framing.kind == BodyFraming::Length)
    headers.set("Content-Length", fmt::to_string(framing.length));
  if (framing.kind == BodyFraming::Chunked || framing.kind == BodyFraming::UntilClose) {
    headers.remove("Content-Length");
  }
  if (framing.kind == BodyFraming::Chunked) headers.add("Transfer-Encoding", "chunked");
}

bool keeps_alive(const Request& request) {
  return keeps_alive(request.minor_version, request.headers);
}

bool keeps_alive(const Response& response) {
  return keeps_alive(response.minor_version, response.headers);
}

bool is_websocket_upgrade(const Request& request) {
  return request.method == "GET" && request.minor_version >= 1 &&
         request.headers.has_token("Connection", "upgrade") &&
         request.headers.has_token("Upgrade", "websocket") &&
         request.headers.has("Sec-WebSocket-Key");
}

bool is_websocket_upgrade(const Response& response) {
  return response.status == 101 && response.headers.has_token("Upgrade", "websocket");
}

void remove_hop_by_hop(Headers& headers, Upgrade upgrade) {
  static constexpr std::array<std::string_view, 10> kHop = {"Connection",
                                                            "Keep-Alive",
                                                            "Proxy-Connection",
                                                            "TE",
                                                            "HTTP2-Settings",
                                                            "Transfer-Encoding",
                                                            "Proxy-Authentication-Info",
                                                            "Proxy-Authenticate",
                                                            "Proxy-Authorization",
                                                            "Upgrade"};
  static constexpr std::array<std::string_view, 4> kNeverNamed = {"Content-Length", "Host",
                                                                  "CDN-Loop", "Via"};
  std::vector<std::string> named;
  for (const std::string_view value : headers.find_all("Connection")) {
    for (const std::string_view name : split_list(value)) named.emplace_back(name);
  }
  const std::string protocol(upgrade == Upgrade::Keep ? headers.find("Upgrade").value_or("")
                                                      : std::string_view{});
  for (const std::string& name : named) {
    const auto is_name = [&](std::string_view other) { return same_ignoring_case(name, other); };
    if (std::ranges::none_of(kNeverNamed, is_name)) headers.remove(name);
  }
  for (const std::string_view name : kHop) headers.remove(name);
  if (protocol.empty()) return;
  headers.add("Connection", "Upgrade");
  headers.add("Upgrade", protocol);
}

void write(const Request& request, std::string& out) {
  INVARIANT(is_token(request.method), request.method);
  out.append(request.method).push_back(' ');
  if (request.target.empty()) out.push_back('/');
  for (const char c : request.target) {
    if (breaks_line(c)) {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  out.append(request.minor_version == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  write_headers(request.headers, out);
}

void write(const Response& response, std::string& out) {
  INVARIANT(response.status >= 100 && response.status <= 999, response.status);
  fmt::format_to(std::back_inserter(out), "HTTP/1.{} {} ", response.minor_version == 0 ? 0 : 1,
                 response.status);
  for (const char c : response.reason) out.push_back(breaks_line(c) && c != '\t' ? ' ' : c);
  out.append("\r\n");
  write_headers(response.headers, out);
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 508: return "Loop Detected";
    default: return "";
  }
}

std::string simple_response(int status, std::string_view content_type, std::string_view body,
                            const Headers& extra) {
  Response response{
      .status = status, .reason = std::string(reason_phrase(status)), .headers = extra};
  const bool bodyless = has_no_body(status);
  if (!content_type.empty()) response.headers.set("Content-Type", content_type);
  if (!bodyless) set_framing(response.headers, {BodyFraming::Length, body.size()});
  std::string out;
  write(response, out);
  if (!bodyless) out.append(body);
  return out;
}

}  // namespace weir::http
