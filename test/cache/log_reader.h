// test/cache/log_reader.h
// Messages of plain text in a StreamLog, and a viewer that reads them byte by byte.
#pragma once

#include <string>
#include <string_view>

#include "cache/stream_log.h"

namespace weir::test {

using namespace std::chrono_literals;

inline StreamLog::Clock::time_point at(std::chrono::milliseconds since_start) {
  return StreamLog::Clock::time_point{} + std::chrono::hours{1} + since_start;
}

inline void put(StreamLog& log, std::string_view message, bool keyframe = false,
                StreamLog::Clock::time_point now = at(0ms)) {
  std::memcpy(log.begin_message(message.size(), now), message.data(), message.size());
  log.end_message(keyframe);
}

inline void put_key(StreamLog& log, std::string_view message,
                    StreamLog::Clock::time_point now = at(0ms)) {
  put(log, message, true, now);
}

struct Reader {
  Cursor cursor;
  int jumps = 0;

  explicit Reader(const StreamLog& log) : cursor(Cursor::start(log.view())) {}

  // What one write to a kernel with room for `most` bytes sends.
  std::string write(const LogView& view, std::size_t most = SIZE_MAX, std::size_t pieces = 16) {
    std::vector<iovec> out(pieces);
    bool jumped = false;
    out.resize(cursor.pieces(view, out, jumped));
    jumps += jumped ? 1 : 0;
    std::string text;
    for (const auto& piece : out)
      text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    if (text.empty()) return text;
    text.resize(std::min(text.size(), most));
    cursor.advance(view, text.size());
    return text;
  }
  std::string write(const StreamLog& log, std::size_t most = SIZE_MAX) {
    return write(log.view(), most);
  }

  // Writes until there is nothing new.
  std::string read(const StreamLog& log, std::size_t most = SIZE_MAX) {
    std::string text;
    while (true) {
      const std::string part = write(log, most);
      if (part.empty()) return text;
      text += part;
    }
  }
};

}  // namespace weir::test
