#include "edge/http_session.h"

#include "common/http/server_connection.h"
#include "common/log.h"
#include "common/wire/websocket_handshake.h"
#include "edge/http_hit.h"
#include "proxy/access/access.h"
#include "proxy/access/access_requests.h"
#include "proxy/http_forwarding.h"

namespace weir {

namespace {

const http::Headers kOpenToAllOrigins{{"Access-Control-Allow-Origin", "*"}};
constexpr int kUpgradeRequired = 426;

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

std::unexpected<http::Refusal> refusal(const Error& why) {
  return http::refuse(status_of(why.code), why.code, why.text);
}

// What the client is to watch, and the answer's head if there is something to watch.
struct Wanted {
  StreamRequest stream;
  Format format;
  http::Response head;
};

// Whether the request is for a live pipe, and for which: the one place that tells these from
// anything else that is fetched over HTTP.
std::optional<Format> live_format(const http::Request& request, std::string_view extension) {
  const bool websocket = websocket::is_asked_for(request);
  if (extension == "flv") return websocket ? Format::WsFlv : Format::Flv;
  if (extension == "ts") return websocket ? Format::WsTs : Format::Ts;
  if (websocket) return std::nullopt;
  if (extension == "aac") return Format::Aac;
  if (extension == "mp3") return Format::Mp3;
  return std::nullopt;
}

// Formats whose names segments of HLS have as well: only upstream knows which of both it is.
bool is_segment_too(Format format) {
  return format == Format::Ts || format == Format::Aac || format == Format::Mp3;
}

// The same at a glance: by the extension alone, which only FLV has to itself.
bool may_be_live(std::string_view target, bool any_stream) {
  const std::string_view path = target.substr(0, target.find('?'));
  const auto ends = [path](std::string_view extension) {
    return path.size() > extension.size() &&
           http::same_ignoring_case(path.substr(path.size() - extension.size()), extension);
  };
  return ends(".flv") || (any_stream && (ends(".ts") || ends(".aac") || ends(".mp3")));
}

std::string_view content_type(Format format) {
  switch (format) {
    case Format::Flv: return "video/x-flv";
    case Format::Ts: return "video/mp2t";
    case Format::Aac: return "audio/aac";
    case Format::Mp3: return "audio/mpeg";
    case Format::Rtmp:
    case Format::WsFlv:
    case Format::WsTs: break;
  }
  return "application/octet-stream";
}

// The body ends with the connection: like this all viewers get the same bytes.
http::Response live_head(Format format) {
  http::Response response{.status = 200, .reason = "OK", .headers = kOpenToAllOrigins};
  response.headers.add("Content-Type", content_type(format));
  response.headers.add("Cache-Control", "no-store");
  response.headers.add("Connection", "close");
  return response;
}

// The response's head, and the FLV file's.
ByteBuffer greeting(const http::Response& response, Format format, const StreamNews& news) {
  std::string head;
  http::write(response, head);
  ByteBuffer bytes(head.begin(), head.end());
  std::array<std::uint8_t, flv::kFileHeaderSize> file_header;
  flv::write_file_header(file_header.data(), news.audio, news.video);
  if (format == Format::Flv) append(bytes, file_header);
  if (format == Format::WsFlv)
    websocket::append_frame(bytes, websocket::Opcode::Binary, file_header);
  return bytes;
}

http::Headers open_headers(bool keep) {
  http::Headers headers = kOpenToAllOrigins;
  if (!keep) headers.set("Connection", "close");
  return headers;
}

class HttpSession {
 public:
  HttpSession(StreamHub& hub, HttpCache* cache, std::unique_ptr<Socket> socket,
              std::shared_ptr<void> admission)
      : hub_(hub),
        cache_(cache),
        peer_(socket->peer()),
        client_(std::move(socket), {.head = hub.options().head_timeout}, hub.options().http_limits,
                hub.options().admission),
        admission_(std::move(admission)) {}

  Task<void> run() {
    while (true) {
      auto request = co_await client_.read_request();
      if (!request) {
        co_await client_.refuse_with(request.error());
        co_return;
      }
      peer_ = client_.socket().peer();
      if (Access::current() != nullptr) {
        const Door door = co_await open_door(*request);
        if (door == Door::Closed) co_return;
        if (door == Door::Shut) continue;
      }
      auto hit = answer_from_memory(*request);
      if (hit && hit->rest == nullptr) {
        if (!hit->keep) co_return;
        continue;
      }
      const bool keeps = !hit || hit->keep;
      auto answering =
          hit ? cache_->hit().send(client_, std::move(hit->rest)) : answer(std::move(*request));
      const bool goes_on = co_await answering;
      if (!goes_on || !keeps) co_return;
    }
  }

 private:
  // All that the client occupies.
  std::shared_ptr<void> places() {
    if (!client_.place()) return std::move(admission_);
    return std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>(
        std::move(admission_), client_.place());
  }

  enum class Door : std::uint8_t { Open, Shut, Closed };  // Shut: the client has been told

  // Whether the client may have what it asks for. Live pipes are asked about when it is known that
  // they are one.
  Task<Door> open_door(const http::Request& request) {
    grant_.reset();
    const http::StaticFiles* files = hub_.options().files;
    const bool ours = request.method == "OPTIONS" || request.method == "PURGE" ||
                      (files != nullptr && files->find(request));
    const http::Target target = http::target_of(request);
    const auto key = http_route_key(target.authority, target.path);
    if (ours || !key) co_return Door::Open;
    const auto stream = stream_from_http(target.authority, target.path);
    const auto format = stream ? live_format(request, stream->extension) : std::nullopt;
    if (format && !is_segment_too(*format)) co_return Door::Open;
    id_ = hop_mark_of(request.headers).id;
    AccessRequest file = access_to_file(request, *key, peer_, id_);
    Access& access = *Access::current();
    const auto look = access.look(file);
    if (look && *look == Access::Look::Allowed) co_return Door::Open;
    if (!look) {
      const Door told = co_await shut(request, look.error());
      co_return told;
    }
    const bool may_be_live =
        format && std::ranges::find(file.names, access_name(*key)) != file.names.end();
    if (may_be_live) {
      auto permit = co_await access.may(access_to_pipe(request, name(*format), *key, peer_, id_));
      if (permit) {
        grant_ = std::move(*permit);
        co_return Door::Open;
      }
      const Door told = co_await shut(request, permit.error());
      co_return told;
    }
    auto allowed = co_await access.may_fetch(std::move(file));
    if (allowed) co_return Door::Open;
    const Door told = co_await shut(request, allowed.error());
    co_return told;
  }

  Task<Door> shut(const http::Request& request, AccessRefusal why) {
    log::info("request refused", {{"id", id_},
                                  {"peer", peer_.text()},
                                  {"target", log::redact_args(request.target)},
                                  {"reason", name(why.reason)},
                                  {"error", why.text}});
    const bool keep = http::keeps_alive(request) && client_.body().ended();
    auto sent = co_await client_.respond(refusal_response(why, request, open_headers(keep)));
    co_return sent&& keep ? Door::Shut : Door::Closed;
  }

  // What is there, whole and fresh, and cannot be a stream that somebody watches.
  std::optional<HttpHit::Answer> answer_from_memory(const http::Request& request) {
    if (cache_ == nullptr || hub_.options().files != nullptr) return std::nullopt;
    if (may_be_live(request.target, hub_.watches_any())) return std::nullopt;
    return cache_->hit().answer(client_, request);
  }

  // False: the connection has ended, or is a viewer's now.
  Task<bool> answer(http::Request request) {
    const http::StaticFiles* files = hub_.options().files;
    auto file = files != nullptr ? files->find(request) : std::nullopt;
    if (file) {
      auto kept = co_await files->serve(client_, std::move(request), std::move(*file));
      co_return kept;
    }
    if (request.method == "OPTIONS") {
      auto goes_on = co_await answer_preflight(http::keeps_alive(request));
      co_return goes_on;
    }
    auto fetched = co_await fetch(request);
    if (fetched) co_return *fetched;
    bool keep = http::keeps_alive(request);
    auto wanted = understand(request);
    if (wanted && request.method == "GET") {
      if (Access* access = Access::current(); access != nullptr && !grant_) {
        const std::string key = wanted->stream.name.key();
        auto permit =
            co_await access->may(access_to_pipe(request, name(wanted->format), key, peer_, id_));
        if (!permit) {
          const Door door = co_await shut(request, permit.error());
          co_return door == Door::Shut;
        }
        grant_ = std::move(*permit);
      }
      const bool may_be_file = is_segment_too(wanted->format);
      auto watching = co_await view(std::move(*wanted));
      if (watching) co_return false;
      if (may_be_file && cache_ != nullptr && watching.error().code == Errc::NotFound) {
        auto goes_on = co_await cache_->serve(client_, std::move(request));
        co_return goes_on;
      }
      wanted = refusal(watching.error());
    }
    if (wanted) wanted = refusal({Errc::NotFound, "only GET gives a stream"});
    const http::Refusal& why = wanted.error();
    if (why.status == 400) keep = false;
    client_.failed(why.code);
    log::info("request refused", {{"id", id_},
                                  {"peer", peer_.text()},
                                  {"target", log::redact_args(request.target)},
                                  {"reason", name(why.code)},
                                  {"error", why.text}});
    http::Headers headers = open_headers(keep);
    if (why.status == kUpgradeRequired) {
      headers.add("Connection", "Upgrade");
      headers.add("Upgrade", "websocket");
      headers.add("Sec-WebSocket-Version", websocket::kVersion);
    }
    const std::string body = request.method == "HEAD"
                                 ? std::string()
                                 : std::string(http::reason_phrase(why.status)) + "\n";
    auto sent =
        co_await client_.respond(http::simple_response(why.status, "text/plain", body, headers));
    co_return sent&& keep;
  }

  Task<bool> answer_preflight(bool keep) {
    http::Headers headers = open_headers(keep);
    headers.set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
    headers.set("Access-Control-Allow-Headers", "*");
    auto sent = co_await client_.respond(http::simple_response(204, "", "", headers));
    co_return sent&& keep;
  }

  // What is no live pipe, from the cache. Nothing: it may be one.
  Task<std::optional<bool>> fetch(http::Request request) {
    if (cache_ == nullptr) co_return std::nullopt;
    const http::Target target = http::target_of(request);
    const auto stream = stream_from_http(target.authority, target.path);
    const auto format = stream ? live_format(request, stream->extension) : std::nullopt;
    if (!format) {
      auto goes_on = co_await cache_->serve(client_, std::move(request));
      co_return goes_on;
    }
    if (!is_segment_too(*format) || hub_.watches(stream->key())) co_return std::nullopt;
    auto served = co_await cache_->serve_object(client_, std::move(request));
    co_return served;
  }

  http::Parsed<Wanted> understand(const http::Request& request) {
    const HopMark mark = hop_mark_of(request.headers);
    id_ = mark.id;
    agent_ = request.headers.find("User-Agent").value_or("");
    const http::Target target = http::target_of(request);
    std::string path(target.path);
    if (!target.query.empty()) path.append("?").append(target.query);
    auto stream = stream_from_http(target.authority, path);
    if (!stream) return refusal(stream.error());
    const auto format = live_format(request, stream->extension);
    if (!format) return refusal({Errc::NotFound, "not a live stream's path"});
    auto next = next_hop(mark, hub_.options().node_id, hub_.options().max_hops);
    if (!next) return refusal(next.error());
    auto head = is_websocket(*format) ? websocket::grant(request)
                                      : http::Parsed<http::Response>(live_head(*format));
    if (!head) return std::unexpected(head.error());
    return Wanted{.stream = {.name = *stream, .mark = *next, .arguments = {}},
                  .format = *format,
                  .head = std::move(*head)};
  }

  Task<Result<void>> view(Wanted wanted) {
    const Format format = wanted.format;
    log::info("viewer asks", {{"id", id_},
                              {"peer", peer_.text()},
                              {"stream", wanted.stream.name.key()},
                              {"protocol", name(format)}});
    auto fanout = co_await hub_.join(std::move(wanted.stream), format);
    if (!fanout) co_return std::unexpected(fanout.error());
    const ByteView unread = client_.unread();
    Arrival arrival{.socket = nullptr,
                    .id = id_,
                    .reader = nullptr,
                    .unread = ByteBuffer(unread.begin(), unread.end()),
                    .greeting = greeting(wanted.head, format, (*fanout)->news()),
                    .admission = places(),
                    .agent = std::move(agent_),
                    .asked = client_.asked()};
    if (grant_) arrival.grant = std::move(*grant_);
    if (is_websocket(format)) arrival.frames = std::make_unique<websocket::FrameReader>();
    arrival.socket = client_.take_socket();
    (*fanout)->admit(format, std::move(arrival));
    co_return Result<void>{};
  }

  StreamHub& hub_;
  HttpCache* const cache_;
  Address peer_;
  http::ServerConnection client_;
  std::shared_ptr<void> admission_;
  std::optional<Grant> grant_;  // of this request
  std::string id_;
  std::string agent_;
};

}  // namespace

Task<void> serve_http(StreamHub& hub, HttpCache* cache, std::unique_ptr<Socket> socket,
                      std::shared_ptr<void> admission) {
  HttpSession session(hub, cache, std::move(socket), std::move(admission));
  co_await session.run();
}

}  // namespace weir
