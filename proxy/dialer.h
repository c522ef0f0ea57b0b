// proxy/dialer.h
// Connects one session to its stream's upstream, and to the next one when that fails.
//
//     Dialer dialer(routing, resolver, key, Protocol::Rtmp, options);
//     while (true) {
//       auto call = co_await dialer.next();        // connected, or why nobody could be
//       if (!call) co_return call.error();
//       ... talk ...; on trouble: dialer.reject(error, Stage::Setup);  continue;
//     }
//
// next() is choose() and connect() until that works; they are there for those who may have a
// connection already.
//
// Threading: the session's loop. Bounds: `max_tries` upstreams, each with its own deadline.
#pragma once

#include <string>
#include <vector>

#include "common/io/resolver.h"
#include "proxy/routing.h"
#include "proxy/upstream_connection.h"

namespace weir {

struct DialOptions {
  milliseconds connect_timeout{1000};
  milliseconds reply_timeout{3000};  // for the answer after the connect; the caller applies it
  int max_tries = 3;
};

// A connection to an upstream.
struct Dialed {
  std::unique_ptr<Socket> socket;
  UpstreamPtr upstream;
  Endpoint endpoint;
  bool remembered = true;  // whether the stream's route leads here
};

class Dialer {
 public:
  Dialer(Routing& routing, Resolver& resolver, std::string key, Protocol protocol,
         const DialOptions& options)
      : routing_(routing),
        resolver_(resolver),
        key_(std::move(key)),
        protocol_(protocol),
        options_(options) {}

  // The next upstream that lets itself be connected. When nobody is left, the error is that of the
  // last one rejected or unreachable, or Unavailable; NotFound when one that binds is gone.
  Task<Result<Dialed>> next();
  // The next upstream to try. Errors: as next().
  Task<Result<Route>> choose();
  // To the one just chosen. One that cannot be connected is rejected, and the next may be chosen.
  Task<Result<Dialed>> connect(Route route);

  // Connections are this client's alone, and upstreams that want to know are told so.
  void connect_for(const ClientEnds& client) { client_ = client; }
  // Asks this one before the stream's own, or instead of them; see Router::route.
  void name_first(NamedOrigin named) { named_ = std::move(named); }
  void forget_name() { named_.reset(); }
  // Leaves this one out, though nothing is known against it.
  void skip(std::string id) { excluded_.push_back(std::move(id)); }
  // The one last given did not do. Whether that counts against its health: Router::failed.
  void reject(const Error& why, Stage stage);
  // The one last given serves the stream: its route leads there from now on.
  void accept();

 private:
  Routing& routing_;
  Resolver& resolver_;
  std::string key_;
  Protocol protocol_;
  DialOptions options_;
  std::optional<ClientEnds> client_;
  std::optional<NamedOrigin> named_;
  std::string current_;                // the one last given
  std::vector<std::string> excluded_;  // and all that were tried or are to be left out
  int tries_ = 0;
  std::optional<Error> last_;
};

}  // namespace weir
