#include "edge/http_portion.h"

#include <algorithm>

namespace weir {

namespace {

iovec piece_of(std::string_view text) {
  return {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
}

// Takes what has been sent off the front of `text`, and off `sent`.
void consume(std::string_view& text, std::uint64_t& sent) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(sent, text.size()));
  text.remove_prefix(part);
  sent -= part;
}

}  // namespace

Result<bool> HttpPortion::push(Socket& to, HttpBody::Reader* reader, Tally& sent) {
  std::array<iovec, kMaxPieces> pieces;
  while (true) {
    std::size_t count = 0;
    for (const std::string_view text : before)
      if (!text.empty()) pieces[count++] = piece_of(text);
    std::uint64_t of_body = 0;
    if (body > 0) {
      const auto room = std::span(pieces).subspan(count, kMaxPieces - count - 1);
      const std::size_t added = reader->pieces(room, body);
      for (const iovec& piece : room.first(added)) of_body += piece.iov_len;
      count += added;
    }
    if (of_body == body && !after.empty()) pieces[count++] = piece_of(after);
    if (count == 0) return true;
    const auto written = to.try_write(std::span(pieces).first(count));
    if (!written) return std::unexpected(written.error());
    if (*written == 0) return false;
    sent.add(*written);
    std::uint64_t left = *written;
    for (std::string_view& text : before) consume(text, left);
    const std::uint64_t taken = std::min(left, body);
    if (taken > 0) reader->advance(taken);
    body -= taken;
    left -= taken;
    consume(after, left);
  }
}

Task<Result<void>> send(Socket& to, HttpPortion portion, HttpBody::Reader* reader, Tally& sent,
                        milliseconds stall) {
  while (true) {
    const auto all = portion.push(to, reader, sent);
    if (!all) co_return std::unexpected(all.error());
    if (*all) co_return Result<void>{};
    auto ready = co_await to.writable(to.loop().in(stall));
    if (!ready) co_return ready;
  }
}

}  // namespace weir
