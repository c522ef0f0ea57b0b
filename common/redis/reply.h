// common/redis/reply.h
// What is said to Redis and what it answers: commands to bytes, bytes to replies.
//
// hiredis writes and reads RESP2 here; of hiredis nothing else is used. Replies are built by us and
// not by its default functions, which allocate arrays on the word of their length field.
//
// Threading: a reader belongs to one loop; commands and replies are values.
// Bounds: ReplyLimits; arrays nest at most 8 deep, which is hiredis's own limit. A reply takes
// memory for what has arrived, whatever lengths it announces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"

struct redisReader;

namespace weir::redis {

using Command = std::vector<std::string>;  // "SET", "key", "value": one word or more
using Commands = std::vector<Command>;

// Appends the command as the server reads it. REQUIRES: at least one word.
void append_command(std::string& out, const Command& command);

struct Reply {
  enum class Kind : std::uint8_t { Nil, Integer, String, Array, Error };

  Kind kind = Kind::Nil;
  std::int64_t integer = 0;
  std::string
      text{};  // of a string, a status ("OK") or an error ("WRONGTYPE Operation against...")
  std::vector<Reply> items{};

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_text(std::string_view wanted) const { return is(Kind::String) && text == wanted; }
  // An error whose first word this is.
  bool is_error(std::string_view word) const;

  friend bool operator==(const Reply&, const Reply&) = default;
};

using Replies = std::vector<Reply>;

struct ReplyLimits {
  std::size_t bytes = 1024 * 1024;  // on the wire
  std::size_t items = 16 * 1024;    // of one reply, those of nested arrays included
};

class ReplyReader {
 public:
  explicit ReplyReader(ReplyLimits limits = {});
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // Takes bytes as they come. Call next() until it has no more before the next piece.
  void feed(ByteView bytes);
  // The next whole reply, if it is there. Errors: Protocol, Limit; the reader is of no use then.
  Result<std::optional<Reply>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };

  const ReplyLimits limits_;
  std::size_t arrived_ = 0;     // bytes of the reply being read, and of what came behind it
  std::size_t items_left_ = 0;  // that this reply may still have; the builders count it down
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace weir::redis
