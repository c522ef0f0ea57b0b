// test/support/log_reader.h
// What a viewer of a log gets who takes all that it is given.
#pragma once

#include <sys/uio.h>

#include <array>

#include "cache/media_log.h"

namespace weir::test {

// Sends what a viewer who is there has not had.
inline ByteBuffer send(Cursor& cursor, const LogView& view) {
  ByteBuffer bytes;
  std::array<iovec, 4> pieces;
  bool jumped = false;
  while (const std::size_t count = cursor.pieces(view, pieces, jumped)) {
    std::size_t sent = 0;
    for (const auto& piece : std::span(pieces).first(count)) {
      append(bytes, {static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len});
      sent += piece.iov_len;
    }
    cursor.advance(view, sent);
  }
  return bytes;
}

inline ByteBuffer bytes_of(const MediaLog& log) {
  const LogView view = log.view();
  Cursor cursor = Cursor::start(view);
  return send(cursor, view);
}

}  // namespace weir::test
