#include "common/wire/http1_chunked.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/check.h"
#include "common/wire/hex.h"
#include "common/wire/http1.h"

namespace weir::http {
namespace {

constexpr std::uint64_t kMaxSize = INT64_MAX;

std::unexpected<Refusal> bad(std::string text) {
  return refuse(400, Errc::Protocol, std::move(text));
}

}  // namespace

Parsed<void> ChunkedReader::take_size(std::string_view line) {
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const int digit = hex_digit(line[digits]);
    if (digit < 0) break;
    if (size > (kMaxSize - static_cast<unsigned>(digit)) / 16) return bad("chunk size overflows");
    size = size * 16 + static_cast<unsigned>(digit);
  }
  if (digits == 0) return bad("chunk size without digits");
  const std::string_view extensions = line.substr(digits);
  // RFC 9112 7.1.1: white space may come before the semicolon, and nowhere else after the size.
  if (!extensions.empty() && !trim(extensions).starts_with(';')) return bad("malformed chunk size");
  extensions_ += extensions.size();
  if (extensions_ > limits_.extensions) {
    return refuse(400, Errc::Limit, "too many bytes of chunk extensions");
  }
  if (size > limits_.body - total_) return refuse(413, Errc::Limit, "body is too large");
  left_ = size;
  state_ = size > 0 ? State::Data : State::Trailers;
  return {};
}

Parsed<void> ChunkedReader::take_trailer(std::string_view line) {
  trailer_bytes_ += line.size() + 2;
  if (line.empty()) {
    remove_hop_by_hop(trailers_);
    for (const char* name : {"Content-Length", "Host", "Trailer"}) trailers_.remove(name);
    state_ = State::End;
    return {};
  }
  if (trailers_.size() == limits_.trailer_count) {
    return refuse(431, Errc::Limit, "too many trailers");
  }
  const Result<Header> field = parse_field_line(line, SpaceBeforeColon::Refuse);
  if (!field) return bad(field.error().text);
  trailers_.add(field->name, field->value);
  return {};
}

Parsed<void> ChunkedReader::take_line(ByteView& input) {
  std::size_t max = 0;
  if (state_ == State::Size) max = limits_.size_line;
  if (state_ == State::Trailers) {
    // The blank line at the end is counted neither here nor there.
    max = limits_.trailers - std::min(trailer_bytes_ + 2, limits_.trailers);
  }
  const auto line = lines_.next(input, max);
  if (!line) {
    if (line.error().code != Errc::Limit) return bad(line.error().text);
    if (state_ == State::DataEnd) return bad("chunk does not end with CRLF");
    if (state_ == State::Size) return refuse(400, Errc::Limit, "chunk size line is too long");
    return refuse(431, Errc::Limit, "trailers are too large");
  }
  if (!*line) return {};
  if (state_ == State::Size) return take_size(**line);
  if (state_ == State::Trailers) return take_trailer(**line);
  state_ = State::Size;
  return {};
}

Parsed<ChunkedReader::Step> ChunkedReader::next(ByteView& input) {
  while (!refusal_ && state_ != State::End && !input.empty()) {
    if (state_ == State::Data) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
      const ByteView data = input.first(size);
      input = input.subspan(size);
      left_ -= size;
      total_ += size;
      extensions_ -= std::min<std::uint64_t>(extensions_, size);
      if (left_ == 0) state_ = State::DataEnd;
      return Step{data, false};
    }
    const Parsed<void> taken = take_line(input);
    if (!taken) refusal_ = taken.error();
  }
  if (refusal_) return std::unexpected(*refusal_);
  return Step{{}, state_ == State::End};
}

void write_chunk_size(std::uint64_t size, std::string& out) {
  INVARIANT(size > 0);
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", size);
}

void write_last_chunk(const Headers& trailers, std::string& out) {
  out.append("0\r\n");
  for (const Header& field : trailers) {
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  out.append("\r\n");
}

}  // namespace weir::http
