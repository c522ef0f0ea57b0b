// common/redis/client.h
// Redis as its users see it: there or away, and asked with a deadline either way.
//
//   away ──connect, login──► up ──broken, silent, a replica now──► away      waits grow from 50 ms to 1 s
//
// While away, calls fail at once with Unavailable: nobody waits for a connection. The same holds
// while the server has missed a caller's deadline and has said nothing since.
//
// Threading: one loop's. Bounds: Pipeline's.
#pragma once

#include <memory>
#include <string>

#include "common/io/backoff.h"
#include "common/io/gate.h"
#include "common/redis/locator.h"
#include "common/redis/pipeline.h"

namespace weir::redis {

class Client {
 public:
  Client(Resolver& resolver, ServerOptions server);

  // Keeps a connection until the loop gives up its waits. Spawn it once; it ends before this does.
  Task<void> run();

  bool up() const { return pipeline_ && pipeline_->usable(); }
  // Until a connection is made or lost. An error is Timeout or Cancelled.
  Task<Result<void>> changed(Deadline deadline);

  // As Pipeline::call.
  Task<Result<Replies>> call(Commands commands, Deadline deadline);
  Task<Result<Reply>> call(Command command, Deadline deadline);

 private:
  Loop& loop_;
  Locator locator_;
  Backoff backoff_{kFirstPause, kLongestPause};
  Gate changed_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace weir::redis
