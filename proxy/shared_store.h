// proxy/shared_store.h
// What proxies ask of Redis, one operation at a time, each safe against all others whoever does
// them and in whatever order.
//
//   claim    SET NX PX and, in the same write, GETRANGE: who was first, in one round trip
//   move     a script that replaces the value only if it is still the one expected
//   refresh  the same script for many keys: extends, writes again what is missing, and tells what another
//            proxy has made of it
//   read     GETRANGE, so that a value somebody else made huge costs its first 16 KiB
//   scan     SCAN: there is no index that could differ from what it lists
//
// A value of another type, one that is too long or is no JSON of ours counts as missing: it is
// counted and the next claim, move or refresh puts a good one in its place.
//
// Whoever changes something publishes "set KIND NAME" or "gone KIND NAME" on the channel
// <prefix>changes. A message is a hint to read that key, no more: what the key says, in the order of
// one connection, is the truth.
//
// Threading: one loop's. Bounds: an operation waits for its deadline, `timeout` for those that
// requests wait for; batches of kBatch.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/metrics.h"
#include "common/redis/client.h"
#include "proxy/shared_codec.h"

namespace weir {

struct SharedStoreOptions {
  std::string prefix = "weir:";
  milliseconds timeout{50};
  milliseconds route_lifetime{60'000};
  milliseconds member_lifetime{30'000};
};

class SharedStore {
 public:
  static constexpr std::size_t kBatch = 256;
  static constexpr milliseconds kPatience{1000};  // of what no request waits for

  SharedStore(Loop& loop, redis::Client& client, SharedStoreOptions options, Metrics& metrics);

  const SharedStoreOptions& options() const { return options_; }
  std::string channel() const { return options_.prefix + "changes"; }
  static constexpr std::string_view kSet = "set";
  static constexpr std::string_view kGone = "gone";

  // How long something that a request waits for may take.
  Deadline patience() const { return loop_.in(options_.timeout); }

  // Makes `mine` the stream's route unless it has one, and gives the one it has then. Errors here
  // and below: Client::call's, Unavailable also for an error reply; Protocol and Limit for what
  // cannot be written as a value.
  Task<Result<SharedRoute>> claim(SharedRoute mine, Deadline deadline);
  // The stream goes to `to` if it went to `from` or nowhere; gives the route it has then.
  Task<Result<SharedRoute>> move(SharedRoute from, SharedRoute to, Deadline deadline);
  // Only if it is still this one.
  Task<Result<void>> forget(SharedRoute route);

  struct Refreshed {
    std::size_t written = 0;             // had been missing
    std::vector<SharedRoute> contested;  // another proxy's routes for streams of `live`
  };
  // REQUIRES: at most kBatch.
  Task<Result<Refreshed>> refresh(std::vector<SharedRoute> live);

  Task<Result<void>> announce(SharedKind kind, Registration member);
  struct Announcement {
    SharedKind kind = SharedKind::Origin;
    Registration registration;
    milliseconds lifetime{};
  };
  // Those where no value is. REQUIRES: at most kBatch.
  Task<Result<void>> announce_missing(std::vector<Announcement> members);
  Task<Result<void>> withdraw(SharedKind kind, std::string id);

  struct Member {
    Registration registration;
    milliseconds age{};  // since it was last announced
  };
  // Nothing: missing, or a bad value.
  using Found = std::variant<std::monostate, SharedRoute, Member>;
  // One for each key. REQUIRES: at most kBatch keys, each of a route or a member.
  Task<Result<std::vector<Found>>> read(std::vector<std::string> keys);

  struct Page {
    std::string cursor;  // "0": this was the last one
    std::vector<std::string> keys;
  };
  // Begins at "0". Gives every key that is there from the first page to the last, some twice.
  Task<Result<Page>> scan(std::string cursor);

  // Small texts under a name, for sessions that may go on at another proxy.
  Task<Result<void>> put(std::string name, std::string value, milliseconds lifetime);
  Task<Result<std::optional<std::string>>> get(std::string name);
  Task<Result<void>> remove(std::string name);

 private:
  struct Swap {
    std::string key;
    std::string expected;  // empty: nothing there
    std::string value;     // empty: deletes
  };

  std::string key_of(SharedKind kind, std::string_view name) const;
  Task<Result<redis::Replies>> call(redis::Commands commands, Deadline deadline);
  // An error reply is an error.
  Task<Result<redis::Reply>> ask(redis::Command command, Deadline deadline);
  Task<Result<redis::Replies>> swap(std::vector<Swap> swaps, Deadline deadline);
  Task<Result<SharedRoute>> replace(std::optional<SharedRoute> from, std::string expected,
                                    SharedRoute to, Deadline deadline);
  void hint(std::string_view what, SharedKind kind, const std::string& name);
  Task<void> publish(std::string message);
  std::optional<SharedRoute> route_in(std::string_view key, const redis::Reply& value);
  std::optional<Member> member_in(std::string_view key, const redis::Reply& value,
                                  const redis::Reply& left);
  bool is_there(const redis::Reply& value);
  void count_bad(const std::string& reason);
  void count_failure(const Error& error);

  Loop& loop_;
  redis::Client& client_;
  const SharedStoreOptions options_;
  Metrics& metrics_;
};

}  // namespace weir
