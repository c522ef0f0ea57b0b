// proxy/rtsp_call.h
// A client's requests, put to the origin of its stream one at a time, until media is set up.
//
//     RtspCall call(context, client);
//     auto answer = co_await call.ask(request, {.key = key, .base = base});
//
// The connection to the origin stays for the next request. Another origin is tried while nobody has
// said yes: when one cannot be reached or gives no answer, and when a viewer hears 404. If nobody
// has the stream, the answer is the first origin's.
//
// Threading: one loop's. Bounds: one connection, `dial.max_tries` origins a request.
#pragma once

#include <optional>

#include "common/rtsp/connection.h"
#include "proxy/rtsp_forwarding.h"
#include "proxy/rtsp_relay.h"

namespace weir {

class RtspCall {
 public:
  RtspCall(RtspRelayContext context, rtsp::Connection& client)
      : context_(context), client_(client) {}

  // The final answer as the client is to see it; what comes before it (100 Continue, requests of
  // the origin's own) has been passed on. Errors: what kept the last origin from answering;
  // Protocol when it said what nobody can read; Closed when the client has gone meanwhile.
  Task<Result<rtsp::Message>> ask(rtsp::Message request, RtspTarget target);

  // What the client answers to a request of the origin's.
  Task<Result<void>> pass_up(rtsp::Message answer);

  bool connected() const { return origin_ != nullptr; }
  // REQUIRES: connected().
  rtsp::Connection& origin() { return *origin_; }
  // The last one, as a name; empty before the first.
  const std::string& upstream() const { return upstream_; }
  const std::string& endpoint() const { return endpoint_; }  // host:port
  const RtspTarget& target() const { return target_; }
  bool client_gone() const { return client_gone_; }

 private:
  Task<Result<rtsp::Message>> exchange(rtsp::Message request);
  bool settles(const rtsp::Message& request, const rtsp::Message& answer);
  void begin_anew();

  RtspRelayContext context_;
  rtsp::Connection& client_;
  RtspTarget target_;
  std::optional<Dialer> dialer_;
  std::unique_ptr<rtsp::Connection> origin_;
  std::string upstream_;
  std::string endpoint_;
  bool fresh_ = false;                    // origin_ has answered nothing yet
  std::optional<rtsp::Message> missing_;  // the first 404
  bool client_gone_ = false;
};

}  // namespace weir
