#include "edge/http_session.h"

#include "common/http/server_connection.h"
#include "common/log.h"
#include "common/wire/http1_via.h"

namespace weir {

namespace {

const http::Headers kOpenToAllOrigins{{"Access-Control-Allow-Origin", "*"}};

int status_of(Errc reason) {
  switch (reason) {
    case Errc::NotFound: return 404;
    case Errc::Protocol: return 400;
    case Errc::Limit: return 414;
    case Errc::Denied: return 403;
    case Errc::Loop: return 508;
    case Errc::Timeout: return 504;
    default: return 503;
  }
}

class HttpSession {
 public:
  HttpSession(StreamHub& hub, std::unique_ptr<Socket> socket, std::shared_ptr<void> admission)
      : hub_(hub),
        peer_(socket->peer()),
        client_(std::move(socket), {.head = hub.options().head_timeout}),
        admission_(std::move(admission)) {}

  Task<void> run() {
    while (true) {
      auto request = co_await client_.read_request();
      if (!request) {
        co_await client_.refuse_with(request.error());
        co_return;
      }
      auto goes_on = co_await answer(std::move(*request));
      if (!goes_on) co_return;
    }
  }

 private:
  // False: the connection has ended, or is a viewer's now.
  Task<bool> answer(http::Request request) {
    const bool keep = http::keeps_alive(request);
    http::Headers headers = kOpenToAllOrigins;
    if (!keep) headers.set("Connection", "close");
    if (request.method == "OPTIONS") {
      headers.set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
      headers.set("Access-Control-Allow-Headers", "*");
      auto sent = co_await client_.respond(http::simple_response(204, "", "", headers));
      co_return sent&& keep;
    }
    auto wanted = understand(request);
    if (wanted && request.method == "GET") {
      auto watching = co_await view(std::move(*wanted));
      if (watching) co_return false;
      wanted = std::unexpected(watching.error());
    }
    if (wanted) wanted = fail(Errc::NotFound, "only GET gives a stream");
    log::info("request refused", {{"id", id_},
                                  {"peer", peer_.text()},
                                  {"target", log::redact_args(request.target)},
                                  {"reason", name(wanted.error().code)},
                                  {"error", wanted.error().text}});
    const int status = status_of(wanted.error().code);
    const std::string body =
        request.method == "HEAD" ? std::string() : std::string(http::reason_phrase(status)) + "\n";
    auto sent =
        co_await client_.respond(http::simple_response(status, "text/plain", body, headers));
    co_return sent&& keep;
  }

  Result<StreamRequest> understand(const http::Request& request) {
    HopMark mark{.hops = {}, .id = std::string(request.headers.find("X-Request-Id").value_or(""))};
    if (!is_plain_id(mark.id)) mark.id = random_id();
    id_ = mark.id;
    const http::Target target = http::target_of(request);
    std::string path(target.path);
    if (!target.query.empty()) path.append("?").append(target.query);
    auto stream = stream_from_http(target.authority, path);
    if (!stream) return std::unexpected(stream.error());
    if (stream->extension != "flv") return fail(Errc::NotFound, "not a live stream's path");
    for (const auto value : request.headers.find_all("CDN-Loop")) {
      auto ids = http::parse_cdn_loop(value);
      if (!ids) return std::unexpected(ids.error());
      for (const auto hop : *ids) mark.hops += (mark.hops.empty() ? "" : ",") + std::string(hop);
    }
    auto next = next_hop(mark, hub_.options().node_id, hub_.options().max_hops);
    if (!next) return std::unexpected(next.error());
    return StreamRequest{.name = *stream, .mark = *next, .arguments = {}};
  }

  Task<Result<void>> view(StreamRequest wanted) {
    log::info(
        "viewer asks",
        {{"id", id_}, {"peer", peer_.text()}, {"stream", wanted.name.key()}, {"protocol", "flv"}});
    auto fanout = co_await hub_.join(std::move(wanted), Format::Flv);
    if (!fanout) co_return std::unexpected(fanout.error());
    const ByteView unread = client_.unread();
    Arrival arrival{.socket = nullptr,
                    .id = id_,
                    .reader = nullptr,
                    .unread = ByteBuffer(unread.begin(), unread.end()),
                    .greeting = greeting((*fanout)->news()),
                    .admission = std::move(admission_)};
    arrival.socket = client_.take_socket();
    (*fanout)->admit(Format::Flv, std::move(arrival));
    co_return Result<void>{};
  }

  // The response's head and the FLV file's. The body ends with the connection: like this all
  // viewers get the same bytes.
  static ByteBuffer greeting(const StreamNews& news) {
    http::Response response{.status = 200, .reason = "OK"};
    response.headers = kOpenToAllOrigins;
    response.headers.add("Content-Type", "video/x-flv");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("Connection", "close");
    std::string head;
    http::write(response, head);
    ByteBuffer bytes(head.begin(), head.end());
    bytes.resize(head.size() + flv::kFileHeaderSize);
    flv::write_file_header(bytes.data() + head.size(), news.audio, news.video);
    return bytes;
  }

  StreamHub& hub_;
  Address peer_;
  http::ServerConnection client_;
  std::shared_ptr<void> admission_;
  std::string id_;
};

}  // namespace

Task<void> serve_http(StreamHub& hub, std::unique_ptr<Socket> socket,
                      std::shared_ptr<void> admission) {
  HttpSession session(hub, std::move(socket), std::move(admission));
  co_await session.run();
}

}  // namespace weir
