// proxy/http_exchange.h
// One request of a client and its response, through the proxy.
//
//     run: prepare ─► ask: pooled, else dial ─► attempt ──no answer──► next origin
//                                                  │ head
//                                                  ▼
//          finish ◄── relay: head, then the body pumped, or bytes both ways, or a playlist
//
// A request's body is uploaded by a task of its own, as an origin may answer before it has read it
// all, or not at all until it has said 100 Continue.
//
// Threading: the relay's loop. Bounds: the relay's.
#pragma once

#include "common/io/child.h"
#include "proxy/http_relay.h"
#include "proxy/playlist_relay.h"

namespace weir {

class HttpExchange {
 public:
  HttpExchange(HttpRelay& relay, http::ServerConnection& client, http::Request request);

  // Hears of the final response before it is relayed.
  using OnResponse = std::move_only_function<void(const http::Response&)>;
  void on_response(OnResponse call) { on_response_ = std::move(call); }

  // Whether the client's connection may carry another request.
  Task<bool> run();
  // The same, when an origin has answered the request already.
  Task<bool> pass_on(HttpAnswer answer);

 private:
  http::Parsed<void> prepare();
  void want_origin();

  Task<Result<http::Response>> ask();
  Task<Result<http::Response>> ask_origins();
  // Whether the origin that a nested playlist's token prefers has lost the stream to another.
  Task<bool> moved_on(int status);
  // Nothing when a new connection should be tried.
  Task<std::optional<Result<http::Response>>> ask_pooled();
  // Over upstream_: a final response, or why there is none.
  Task<Result<http::Response>> attempt();
  Task<Result<http::Response>> await_response();
  Task<void> upload();
  bool may_retry() const;
  milliseconds reply_timeout() const;

  Task<void> relay(http::Response response);
  // The head for the client; decides whether its connection goes on.
  std::string head_of(http::Response response, http::BodyFraming framing);
  std::optional<PlaylistType> playlist_in(const http::Response& response) const;
  Task<void> relay_playlist(http::Response response, PlaylistType type);
  void bind(PlaylistBody& body, PlaylistType type, http::Headers& headers) const;
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
  bool for_playlist_ = false;
  std::optional<NamedOrigin> named_;

  OnResponse on_response_;
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
