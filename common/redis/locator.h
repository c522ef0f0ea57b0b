// common/redis/locator.h
// Finds the server to talk to, connects and logs in.
//
//   without sentinels   connect, TLS ─► AUTH ─► SELECT ─► PING
//   with sentinels      ask one after the other for the master of that name; connect there ─► AUTH ─► SELECT ─► ROLE
//
// A sentinel may be cut off and still name the old master, so what it says is believed only if that
// server calls itself a master; otherwise the next sentinel is asked. The one that was right is
// asked first the next time. Sentinels are offered the same user and password, and may do without.
// TLS is with all of them or with none.
//
// Threading: one loop's. Bounds: each connection, sentinels' included, gets `timeout` for connect
// and login.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/redis/connection.h"

namespace weir::redis {

// Between two tries to connect; see Backoff.
inline constexpr milliseconds kFirstPause{50};
inline constexpr milliseconds kLongestPause{1000};

struct ServerOptions {
  Endpoint server{"127.0.0.1", 6379};  // when there are no sentinels
  std::vector<Endpoint> sentinels;
  std::string master_name;  // as the sentinels call it
  std::string user;         // empty: the default user
  std::string password;     // empty: no AUTH
  int db = 0;
  std::optional<TlsOptions> tls;
  milliseconds timeout{500};
};

class Locator {
 public:
  Locator(Resolver& resolver, ServerOptions options)
      : resolver_(resolver), options_(std::move(options)) {}

  Loop& loop() const { return resolver_.loop(); }

  // Logged in to a server that takes writes, as far as it said. Errors: those of the last try;
  // Denied when it does not let us in, Unavailable when it is loading or no master.
  Task<Result<std::unique_ptr<Connection>>> connect();

 private:
  using Opened = Result<std::unique_ptr<Connection>>;

  Task<Opened> log_in(Endpoint to);
  Task<Result<Endpoint>> ask(Endpoint sentinel);
  Task<Opened> open(Endpoint to, Deadline deadline);
  void append_auth(Commands& commands) const;

  Resolver& resolver_;
  ServerOptions options_;
};

}  // namespace weir::redis
