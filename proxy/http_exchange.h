// proxy/http_exchange.h
// One request of a client and its response, through the proxy.
//
//     run: prepare ─► ask: pooled, else dial ─► attempt ──no answer──► next origin
//                                                  │ head
//                                                  ▼
//          finish ◄── relay: head, then the body pumped, or bytes both ways
//
// A request's body is uploaded by a task of its own, as an origin may answer before it has read it
// all, or not at all until it has said 100 Continue.
//
// Threading: the relay's loop. Bounds: the relay's.
#pragma once

#include "common/io/child.h"
#include "proxy/http_relay.h"

namespace weir {

class HttpExchange {
 public:
  HttpExchange(HttpRelay& relay, http::ServerConnection& client, http::Request request);

  // Whether the client's connection may carry another request.
  Task<bool> run();

 private:
  http::Parsed<void> prepare();
  void add_forwarding_headers(const std::string& host);

  Task<Result<http::Response>> ask();
  // Nothing when a new connection should be tried.
  Task<std::optional<Result<http::Response>>> ask_pooled();
  // Over upstream_: a final response, or why there is none.
  Task<Result<http::Response>> attempt();
  Task<Result<http::Response>> await_response();
  Task<void> upload();
  bool may_retry() const;
  milliseconds reply_timeout() const;

  Task<void> relay(http::Response response);
  Task<PumpEnd> relay_content(std::string head, PumpOptions options);
  Task<void> relay_upgrade(http::Response response);
  Task<void> answer(int status, std::string text);
  Task<void> finish();
  void drop_upstream();
  void note_end(const PumpEnd& end);
  void log_end() const;

  HttpRelay& relay_;
  http::ServerConnection& client_;
  http::Request request_;
  const int client_version_;  // the minor one
  const bool keeps_alive_;
  const bool has_body_;
  const bool upgrade_;
  const std::string shown_target_;
  const Clock::time_point began_;
  std::string id_;
  std::string key_;
  bool needs_host_ = false;

  std::unique_ptr<http::ClientConnection> upstream_;
  UpstreamPtr upstream_of_;
  Endpoint endpoint_;
  Child upload_;
  Clock::time_point asked_at_;  // when all of the request was sent
  bool interim_passed_ = false;
  std::optional<Error> bad_body_;  // what the client did wrong in it

  int status_ = 0;
  std::uint64_t bytes_ = 0;
  std::string end_ = "complete";
  bool keep_ = true;
};

}  // namespace weir
