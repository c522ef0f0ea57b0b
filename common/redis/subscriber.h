// common/redis/subscriber.h
// Follows one channel: keeps a connection of its own subscribed and hands over what is published.
//
// Redis forgets messages that nobody was there to hear, so on_subscribed tells each time that
// something may have been missed; the owner then looks for itself.
//
// Threading: one loop's; callbacks run there and must not destroy this. Bounds: messages are not
// kept; a silent connection is asked PING and let go after kSilence.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/io/backoff.h"
#include "common/redis/locator.h"

namespace weir::redis {

class Subscriber {
 public:
  static constexpr milliseconds kIdle{1000};
  static constexpr milliseconds kSilence{1000};  // after the PING

  struct Callbacks {
    std::function<void(std::string_view payload)> on_message;
    std::function<void()> on_subscribed;
  };

  Subscriber(Resolver& resolver, ServerOptions server, std::string channel, Callbacks callbacks);

  // Until the loop gives up its waits. Spawn it once; it ends before this does.
  Task<void> run();

 private:
  Task<Error> follow(Connection& connection);

  Loop& loop_;
  Locator locator_;
  Backoff backoff_{kFirstPause, kLongestPause};
  const std::string channel_;
  const Callbacks callbacks_;
};

}  // namespace weir::redis
