// proxy/http_call.h
// One request, asked of one origin after the other until one answers: who is asked, and when
// another one is, for all who ask origins over HTTP.
//
//     choose: the one that the request names, else the stream's, else the next ◄─────┐
//        │                                                                           │
//        └─► a pooled connection, else a new one ─► talk ── no answer, 404 of a guess┘
//                                                     └──► HttpAnswer
//
// Another origin is tried only while nothing has been answered: after a connect that failed always,
// after that only what may be repeated. One that is slow or hangs up is passed over, not ejected:
// any client can ask for what makes it so.
//
// A 404 is an answer, unless nobody knew that the stream was there. Files of HLS and DASH may stand
// under other paths than their stream, which then says nothing about where they are; so while no
// session holds the route the other origins are asked too, the first that has it becomes the
// stream's, and if none has, the first 404 is the answer. Not when the request named its origin:
// what that has lost nobody else has, except a playlist, which is asked for once more at the
// stream's own origin.
//
// An upstream that is told whom connections are for (upstream_connection.h) gets one of its own for
// each request of a client; those in the pool are for what is nobody's.
//
// Threading: one loop's. Bounds: two connections, `dial.max_tries` origins.
#pragma once

#include "common/metrics.h"
#include "proxy/dialer.h"
#include "proxy/http_forwarding.h"
#include "proxy/http_upstream_pool.h"
#include "proxy/playlist_relay.h"

namespace weir {

// A response whose body, if any, is still to be read from the connection.
struct HttpAnswer {
  std::unique_ptr<http::ClientConnection> connection;
  http::Response response;
  Endpoint endpoint;
  UpstreamPtr upstream;
  std::string key;                         // its route's
  std::string id;                          // X-Request-Id
  http::BodyFraming framing;               // of the body, as it is to be passed on
  std::string beginning;                   // of the body: what has been read of it already
  bool begun = false;                      // it has been read from
  bool named = false;                      // the request chose the origin, not the stream's route
  std::optional<PlaylistBinding> binding;  // for bind_playlist()
};

// Reads the playlist that an answer brings, if its origin is to be named in it, and names it. What
// cannot be bound stays as it is, with a log line. Errors: the connection's.
Task<Result<void>> bind_playlist(HttpAnswer& answer, Deadline deadline);

// What a client is told whose request nobody answered.
int status_for(Errc why);

// How the request is put to one origin, for those who do more than to send it.
class HttpTalk {
 public:
  virtual ~HttpTalk() = default;
  // A final response, or why there is none.
  virtual Task<Result<http::Response>> ask(http::ClientConnection& origin,
                                           http::Request request) = 0;
  // Whether it may be put once more after no answer, or an answer that is not to be used.
  virtual bool may_repeat() const = 0;
};

class HttpCall {
 public:
  struct Context {
    Loop& loop;
    Routing& routing;
    Resolver& resolver;
    HttpUpstreamPool& pool;
    const DialOptions& dial;
    const OriginNaming& naming;
    Tally& reused;
  };
  struct Question {
    http::Request request;  // as forward() left it
    std::string key;
    std::string id;
    bool needs_host = false;
    milliseconds reply_timeout{3000};
    std::optional<ClientEnds> client = {};  // whose it is; none: many may wait for the answer
    bool for_playlist = false;
    std::optional<NamedOrigin> named = {};
  };

  // What is to be asked for a client's request; for a playlist or a request that names its origin as
  // `naming` wants it. Refusals: forward().
  static http::Parsed<Question> question_of(http::Request request, const ForwardedFor& how,
                                            const OriginNaming& naming);

  // Without a talk: the request without a body, which may be repeated. A talk must outlive this.
  HttpCall(Context context, Question question, HttpTalk* talk = nullptr);

  // Once. Errors: what kept the last origin from answering. The connection of a failed talk that
  // may not be repeated stays open until this is destroyed.
  Task<Result<HttpAnswer>> ask();
  // The last one; null before.
  const UpstreamPtr& asked() const { return now_.upstream; }

 private:
  Task<Result<void>> ask_at(Route route);
  Task<Result<void>> talk();
  bool may_repeat() const { return talk_ == nullptr || talk_->may_repeat(); }
  bool may_be_elsewhere(const Route& asked) const;
  void use(std::unique_ptr<http::ClientConnection> connection, Endpoint endpoint);
  void understand(http::Response response, bool tag_released);
  HttpAnswer take();

  Context context_;
  Question question_;
  HttpTalk* const talk_;
  Dialer dialer_;
  HttpAnswer now_;       // of the origin that is asked now
  bool talked_ = false;  // it has been connected
};

}  // namespace weir
