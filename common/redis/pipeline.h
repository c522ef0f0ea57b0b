// common/redis/pipeline.h
// A connection that many callers share: all that is asked in one turn of the loop leaves in one
// write, and replies go to their callers in order.
//
//   call ─► waiting ──reply──► caller
//              │ its deadline passes: the caller goes on without
//              ▼
//          abandoned: its reply, should it still come, is thrown away
//
// A server that is stopped or cut off keeps its connection, so silence is judged here. When a
// deadline has passed and nothing has come since, the pipeline is `stalled`: callers are refused at
// once and do not each wait for their own deadline. An idle pipeline asks PING, and one that
// hears nothing for kSilence ends.
//
// Threading: one loop's. Bounds: kMaxWaiting calls, abandoned ones included, and kMaxUnsent bytes;
// past them Errc::Limit.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/io/child.h"
#include "common/io/gate.h"
#include "common/redis/connection.h"

namespace weir::redis {

class Pipeline {
 public:
  static constexpr std::size_t kMaxWaiting = 4096;
  static constexpr std::size_t kMaxUnsent = 4 * 1024 * 1024;
  static constexpr milliseconds kIdle{500};
  static constexpr milliseconds kSilence{1500};

  explicit Pipeline(std::unique_ptr<Connection> connection);
  ~Pipeline();

  // Serves the callers until the connection breaks, the server turns out to be a replica, or the
  // loop gives up its waits; says why. All who wait then get that error.
  Task<Error> run();

  // One reply for each command, in order; error replies are replies. Errors: Timeout (the server may
  // still do it), Limit, Unavailable when stalled or ended, and why the connection broke.
  Task<Result<Replies>> call(Commands commands, Deadline deadline);

  bool usable() const { return !ended_ && !stalled_; }

 private:
  struct Request {
    Request(Loop& loop, std::size_t count) : answered(loop), expected(count) {}
    Wait answered;
    std::size_t expected;
    Replies replies;
    std::optional<Error> failed;
  };

  Task<Error> read();
  Task<void> write();
  std::shared_ptr<Request> add(const Commands& commands);
  void deliver(Reply reply);
  void end(const Error& why);

  Loop& loop_;
  std::unique_ptr<Connection> connection_;
  std::string unsent_;
  Gate something_to_send_;
  std::deque<std::shared_ptr<Request>> waiting_;
  std::optional<Error> cannot_send_;
  bool stalled_ = false;
  bool ended_ = false;
};

}  // namespace weir::redis
