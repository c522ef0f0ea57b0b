// proxy/public_api.h
// listen.api on one loop, what SRS has on its port 1985: pages that change nothing, and WebRTC
// signalling.
//
//     /rtc/v1/...  .../whip  .../whep  and what leads back to their sessions ─► WhipExchange
//     /api/...  /metrics  /healthz  /readyz                                  ─► SystemDesk
//
// Its connections are in no list of sessions: who asks what there is does not count as being there.
//
// Threading: its loop's. Bounds: http::ServerConnection's and the desk's; kIdle between requests.
#pragma once

#include <optional>

#include "proxy/system_desk.h"
#include "proxy/whip_exchange.h"

namespace weir {

class PublicApi {
 public:
  static constexpr milliseconds kIdle{5000};

  struct Options {
    http::ServerTimes times{.idle = kIdle};
    http::Limits limits{};
    Admission* admission = nullptr;  // see http::ServerConnection
  };

  // What WebRTC needs on a loop, asked for anew by each request; none: there is none now.
  using Signalling = std::function<std::optional<WhipExchange::Context>(const Loop&)>;

  // REQUIRES: all outlive this.
  PublicApi(Loop& loop, SystemDesk& desk, Options options, Signalling signalling);

  // The whole life of a client's connection.
  Task<void> serve(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket);

  // No new WebRTC sessions; requests about those there are go on, and so do pages.
  void stop_signalling() { takes_sessions_ = false; }

 private:
  // Whether the connection may carry another request.
  Task<bool> take(http::ServerConnection& client, http::Request& request);
  Task<bool> show_page(http::ServerConnection& client, const http::Request& request);

  Loop& loop_;
  SystemDesk& desk_;
  const Options options_;
  const Signalling signalling_;  // null: never any
  bool takes_sessions_ = true;
};

}  // namespace weir
