// proxy/http_exchange.h
// One request of a client and its response, through the proxy.
//
//     run: prepare ─► HttpCall: origin after origin, each asked by ask() ─► relay: the body pumped,
//                                                                         or bytes both ways
//
// A request's body is uploaded by a task of its own, as an origin may answer before it has read it
// all, or not at all until it has said 100 Continue.
//
// Threading: the relay's loop. Bounds: the relay's.
#pragma once

#include "common/io/child.h"
#include "proxy/http_relay.h"

namespace weir {

class HttpExchange final : private HttpTalk {
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
  // HttpTalk: with the client's body, and what the origin says meanwhile passed on.
  Task<Result<http::Response>> ask(http::ClientConnection& origin, http::Request request) override;
  bool may_repeat() const override;

  http::Parsed<HttpCall::Question> prepare();
  Task<Result<http::Response>> converse(http::Request request);
  Task<Result<http::Response>> await_response();
  Task<void> upload();

  Task<void> deliver(HttpAnswer answer);
  Task<void> relay();
  std::string head_of(http::Response response, http::BodyFraming framing);
  Task<void> relay_upgrade();
  Task<void> fail_with(const Error& why);
  Task<void> answer(int status, std::string text);
  Task<bool> finish();
  void note_end(const PumpEnd& end);
  void log_end() const;

  HttpRelay& relay_;
  http::ServerConnection& client_;
  http::Request request_;
  const std::string method_;
  const int client_version_;  // the minor one
  const bool has_body_;
  const bool upgrade_;
  const std::string shown_target_;
  const milliseconds reply_timeout_;
  const Clock::time_point began_;
  std::string id_;
  std::string key_;

  OnResponse on_response_;
  std::optional<HttpCall> call_;
  HttpAnswer answer_;
  http::ClientConnection* upstream_ = nullptr;  // call_'s, then answer_'s
  Child upload_;
  Clock::time_point asked_at_;  // when all of the request was sent
  bool interim_passed_ = false;
  std::optional<Error> bad_body_;  // what the client did wrong in it

  int status_ = 0;
  std::uint64_t bytes_ = 0;
  std::string end_ = "complete";
  bool keep_;
};

}  // namespace weir
