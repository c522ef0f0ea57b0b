// proxy/http_call.h
// One request without a body, asked of its stream's origin, and the head of what comes back.
//
//     HttpCall call(context, {request, key, id, reply_timeout});
//     auto answer = co_await call.ask();          // pooled, else dialled, else the next origin
//     ... answer->connection->read_body() ...
//     pool.put(answer->endpoint, std::move(answer->connection));
//
// For those who want the response themselves, as the cache of the edge does; HttpExchange relays one
// to a client. The same rules hold: another origin is tried only while nothing has been answered, and
// one that is slow or hangs up is passed over, not ejected.
//
// Threading: one loop's. Bounds: one connection, `dial.max_tries` origins.
#pragma once

#include "proxy/dialer.h"
#include "proxy/http_upstream_pool.h"

namespace weir {

// A response whose body, if any, is still to be read from the connection.
struct HttpAnswer {
  std::unique_ptr<http::ClientConnection> connection;
  http::Response response;
  Endpoint endpoint;
  UpstreamPtr upstream;
  std::string key;  // its route's
  std::string id;   // X-Request-Id
};

class HttpCall {
 public:
  struct Context {
    Loop& loop;
    Routing& routing;
    Resolver& resolver;
    HttpUpstreamPool& pool;
    const DialOptions& dial;
  };
  struct Question {
    http::Request request;  // as forward() left it
    std::string key;
    std::string id;
    bool needs_host = false;
    milliseconds reply_timeout{3000};
  };

  HttpCall(Context context, Question question)
      : context_(context), question_(std::move(question)) {}

  // Errors: what kept the last origin from answering.
  Task<Result<HttpAnswer>> ask();

 private:
  Task<std::optional<HttpAnswer>> ask_pooled();
  Task<Result<http::Response>> attempt(http::ClientConnection& connection,
                                       const Endpoint& endpoint);

  Context context_;
  Question question_;
};

}  // namespace weir
