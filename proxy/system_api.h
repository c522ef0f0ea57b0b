// proxy/system_api.h
// The HTTP server for machines that run things: origins register here, monitoring asks here.
//
// What it answers is in system_pages.h; this is the sockets, threads and deadlines around it.
//
// The socket may be shared with another process, which goes on listening when this one ends.
//
// Threading: Poco's, on a pool of its own beside the loops; one more thread, the door, accepts.
// Handlers are called from any of the pool's threads, several at once. Constructor and destructor
// belong to one thread; the destructor ends open connections and waits for handlers that run.
//
// Bounds: `threads` connections are served and `max_waiting` wait, more are closed at the door. A
// connection has a thread for `deadline` in all, whatever it sends or does not; while others wait
// for one, a request has to be complete within `hurry`. So 200 silent clients are gone after
// 200 / 8 x 0.2 s, and one at a time costs nothing. Bodies: kMaxRegistrationBody. Out of file
// descriptors, the door pauses and goes on when there are some.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "common/endpoint.h"
#include "common/io/admission.h"
#include "proxy/system_pages.h"

namespace weir {

class LiveEvents;
class TlsServer;

class SystemApi {
 public:
  using Handlers = SystemPages::Handlers;
  using Identity = SystemPages::Identity;

  struct Options {
    std::string option = "listen.system";  // for the text of errors
    Endpoint listen;                       // port 0: the kernel chooses; no host: every address
    int socket = -1;                       // that listens there already, taken over; -1: none
    CidrList allow;                        // who may register
    std::string token{};                   // of the control API; empty: none
    TrustedHops hops{};                    // who may ask for others
    Identity identity;
    LiveEvents* events = nullptr;  // whose Handlers::events says that there is room
    TlsServer* tls = nullptr;      // outlives this; null: plain HTTP
    std::size_t threads = 8;
    std::size_t max_waiting = 256;
    std::chrono::milliseconds deadline{10'000};
    std::chrono::milliseconds hurry{200};
  };

  // Listens when it returns. Throws ConfigError with option and address when it cannot.
  SystemApi(const Options& options, Handlers handlers);
  ~SystemApi();
  SystemApi(const SystemApi&) = delete;
  SystemApi& operator=(const SystemApi&) = delete;

  // Other rules, from the next request on.
  void change(CidrList allow, std::string token, TrustedHops hops = {});

  // Lets go of the socket. Connections that are there go on.
  void stop_accepting();

  std::uint16_t port() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace weir
