#include "common/wire/rtsp.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/check.h"
#include "common/wire/http1_first_line.h"

namespace weir::rtsp {
namespace {

constexpr bool breaks_line(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::unexpected<Refusal> bad(std::string text) {
  return http::refuse(400, Errc::Protocol, std::move(text));
}

Parsed<int> parse_version(std::string_view text) {
  if (text == "RTSP/1.0") return 1;
  if (text == "RTSP/2.0") return 2;
  if (text.starts_with("RTSP/"))
    return http::refuse(505, Errc::Protocol, "RTSP version is neither 1.0 nor 2.0");
  return bad("malformed RTSP version");
}

// "*", a path, or an absolute URI of whatever scheme: which streams there are is decided elsewhere.
bool is_uri(std::string_view text) {
  const auto is_bad = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  return !text.empty() && std::ranges::none_of(text, is_bad);
}

Parsed<void> parse_request_line(std::string_view line, Message& message) {
  const auto first = http::read_request_line(line, parse_version);
  if (!first) return std::unexpected(first.error());
  if (!is_uri(first->target)) return bad("malformed request URI");
  message.method = first->method;
  message.uri = first->target;
  message.version = first->version;
  return {};
}

Parsed<void> parse_status_line(std::string_view line, Message& message) {
  const auto first = http::read_status_line(line, parse_version);
  if (!first) return std::unexpected(first.error());
  message.version = first->version;
  message.status = first->status;
  message.reason = first->reason;
  return {};
}

Parsed<void> parse_first_line(std::string_view line, Message& message) {
  return line.starts_with("RTSP/") ? parse_status_line(line, message)
                                   : parse_request_line(line, message);
}

}  // namespace

void write(const Message& message, std::string& out) {
  if (message.is_request()) {
    INVARIANT(http::is_token(message.method), message.method);
    fmt::format_to(std::back_inserter(out), "{} {} RTSP/{}.0\r\n", message.method, message.uri,
                   message.version);
  } else {
    INVARIANT(message.status >= 100 && message.status <= 999, message.status);
    fmt::format_to(std::back_inserter(out), "RTSP/{}.0 {} ", message.version, message.status);
    for (const char c : message.reason) out.push_back(breaks_line(c) && c != '\t' ? ' ' : c);
    out.append("\r\n");
  }
  for (const http::Header& field : message.headers)
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  out.append("\r\n").append(message.body);
}

void set_body(Message& message, std::string body) {
  message.body = std::move(body);
  if (message.body.empty())
    message.headers.remove("Content-Length");
  else
    message.headers.set("Content-Length", fmt::format("{}", message.body.size()));
}

Message answer_to(const Message& request, int status) {
  Message answer{
      .status = status, .reason = std::string(reason_phrase(status)), .version = request.version};
  if (const auto number = request.headers.find("CSeq")) answer.headers.add("CSeq", *number);
  return answer;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 413: return "Request Entity Too Large";
    case 414: return "Request-URI Too Long";
    case 431: return "Request Header Fields Too Large";
    case 455: return "Method Not Valid in This State";
    case 461: return "Unsupported Transport";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "RTSP Version Not Supported";
    case 508: return "Loop Detected";
    default: return "";
  }
}

bool Reader::idle() const {
  return between_frames() && !started_ && empty_lines_ == 0 && lines_.empty() && !refusal_;
}

// REQUIRES: in a frame, or at its mark.
ByteView Reader::take_frames(ByteView& input, Run run) {
  std::size_t at = 0;
  while (at < input.size()) {
    if (run == Run::OneFrame && at > 0 && between_frames()) break;
    if (frame_left_ > 0) {
      const std::size_t part = std::min(frame_left_, input.size() - at);
      frame_left_ -= part;
      at += part;
      continue;
    }
    if (frame_header_.empty()) {
      if (input[at] != kFrameMark) break;
      // The usual case: the header is whole.
      if (input.size() - at >= kFrameHeader) {
        frame_left_ = load_be16(input.data() + at + 2);
        at += kFrameHeader;
        continue;
      }
    }
    frame_header_.bytes[frame_header_.size++] = input[at++];
    if (frame_header_.size < kFrameHeader) continue;
    frame_left_ = load_be16(frame_header_.bytes.data() + 2);
    frame_header_.size = 0;
  }
  const ByteView taken = input.first(at);
  input = input.subspan(at);
  return taken;
}

Parsed<bool> Reader::take_line(std::string_view line) {
  if (!started_ && line.empty()) {
    if (++empty_lines_ > limits_.empty_lines) return bad("too many empty lines before a message");
    return false;
  }
  used_ += line.size() + 2;
  if (used_ > limits_.head) return http::refuse(431, Errc::Limit, "head is too large");
  if (!started_) {
    started_ = true;
    const Parsed<void> parsed = parse_first_line(line, message_);
    if (!parsed) return std::unexpected(parsed.error());
    return false;
  }
  if (line.empty()) {
    const Parsed<void> framed = begin_body();
    if (!framed) return std::unexpected(framed.error());
    return true;
  }
  if (message_.headers.size() == limits_.count)
    return http::refuse(431, Errc::Limit, "too many headers");
  const auto space =
      message_.is_request() ? http::SpaceBeforeColon::Refuse : http::SpaceBeforeColon::Drop;
  const Result<http::Header> field = http::parse_field_line(line, space);
  if (!field) return bad(field.error().text);
  message_.headers.add(field->name, field->value);
  return false;
}

// RFC 2326 4.4, without its "until the server closes", which no session can follow.
Parsed<void> Reader::begin_body() {
  if (message_.headers.has("Transfer-Encoding")) return bad("Transfer-Encoding in RTSP");
  body_size_ = 0;
  const auto lengths = message_.headers.find_all("Content-Length");
  if (lengths.empty()) return {};
  const auto size = http::parse_content_length(lengths.front());
  if (!size) return bad("malformed Content-Length");
  for (const std::string_view length : lengths)
    if (length != lengths.front()) return bad("Content-Lengths that differ");
  if (lengths.size() > 1) message_.headers.set("Content-Length", lengths.front());
  if (*size > limits_.body) return http::refuse(413, Errc::Limit, "body is too large");
  body_size_ = *size;
  return {};
}

Parsed<std::optional<Message>> Reader::take_body(ByteView& input) {
  const std::size_t part = std::min(body_size_ - message_.body.size(), input.size());
  message_.body += as_text(input.first(part));
  input = input.subspan(part);
  if (message_.body.size() < body_size_) return std::nullopt;
  used_ = empty_lines_ = 0;
  started_ = in_body_ = false;
  return std::exchange(message_, {});
}

Parsed<std::optional<Message>> Reader::next_message(ByteView& input) {
  while (!in_body_ && !input.empty()) {
    // Which bound a line meets first is known before it comes, so the verdict does not depend on
    // how the bytes were cut.
    const std::size_t head_max = limits_.head - std::min(used_ + 2, limits_.head);
    const bool head_is_full = head_max < limits_.line;
    const auto line = lines_.next(input, std::min(limits_.line, head_max));
    if (!line) {
      const bool limit = line.error().code == Errc::Limit;
      const int status = !limit ? 400 : started_ || head_is_full ? 431 : 414;
      return http::refuse(status, line.error().code, line.error().text);
    }
    if (!*line) return std::nullopt;
    const Parsed<bool> complete = take_line(**line);
    if (!complete) return std::unexpected(complete.error());
    in_body_ = *complete;
    // An empty line before a message may be followed by a frame.
    if (!started_ && !input.empty() && input.front() == kFrameMark) return std::nullopt;
  }
  if (!in_body_) return std::nullopt;
  return take_body(input);
}

Parsed<Item> Reader::next(ByteView& input) { return next(input, Run::Whole); }

Parsed<Item> Reader::next_single(ByteView& input) { return next(input, Run::OneFrame); }

Parsed<Item> Reader::next(ByteView& input, Run run) {
  while (!refusal_ && !input.empty()) {
    const bool in_message = started_ || !lines_.empty();
    if (!between_frames() || (!in_message && input.front() == kFrameMark)) {
      empty_lines_ = 0;
      return Item{.frames = take_frames(input, run), .message = {}};
    }
    auto message = next_message(input);
    if (!message) {
      refusal_ = message.error();
    } else if (*message) {
      return Item{.frames = {}, .message = std::move(**message)};
    }
  }
  if (refusal_) return std::unexpected(*refusal_);
  return Item{};
}

}  // namespace weir::rtsp
