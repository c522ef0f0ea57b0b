// proxy/whip_exchange.h
// One request of WebRTC signalling: to the stream's origin and back, with the addresses in its
// session descriptions replaced, so that media comes by way of listen.webrtc.
//
//     client                      this proxy                                origin
//       │ POST offer ───────────────► without the client's addresses ─────────► │
//       │ ◄── 201, our candidates ◄── session to the directory ◄── 201, answer │
//       │ PATCH, DELETE of Location ─► by the names in it ─────────────────────► │
//
// Status, headers and what else stands in the bodies are the origin's and the client's own.
// Refusals of ours are problem details (RFC 9457).
//
// Threading: its loop's. Bounds: bodies of kMaxBody both ways; one origin after the other as a
// Dialer has it, and only until one has been asked.
#pragma once

#include "common/http/server_connection.h"
#include "proxy/access/access.h"
#include "proxy/http_call.h"
#include "proxy/webrtc_directory.h"
#include "proxy/whip_addresses.h"
#include "proxy/whip_request.h"

namespace weir {

class WhipExchange {
 public:
  static constexpr std::size_t kMaxBody = 64 * 1024;

  struct Context {
    Loop& loop;
    Routing& routing;
    Resolver& resolver;
    WebrtcDirectory& directory;
    const WhipOptions& options;
  };

  WhipExchange(Context context, http::ServerConnection& client, http::Request request,
               WhipRequest whip);

  // Whether the client's connection may carry another request.
  Task<bool> run();

 private:
  Task<http::Parsed<std::string>> read_request_body();
  http::Parsed<void> prepare(std::string body);
  http::Parsed<void> prepare_offer(std::string_view sdp);

  Task<std::optional<AccessRefusal>> ask_access();

  Task<Result<http::Response>> ask();
  Task<Result<http::Response>> ask_over(Protocol protocol);
  Task<Result<http::Response>> ask_one();

  Task<http::Parsed<std::string>> answer_for_client(http::Response& response, std::string body);
  Task<http::Parsed<std::string>> take_answer(std::string sdp);
  Task<bool> refuse(int status, std::string why, http::Headers extra = {});
  Task<bool> send(std::string bytes);

  Context context_;
  http::ServerConnection& client_;
  http::Request request_;
  const WhipRequest whip_;
  const std::string shown_target_;
  const bool keeps_alive_;
  std::string id_;
  std::string key_;
  bool needs_host_ = false;
  std::optional<NamedOrigin> named_;
  std::string query_;  // all that the request says for itself
  Grant grant_;
  std::string session_;  // named by the request, or new
  std::string offer_;    // as it came: rewritten for each origin
  std::string body_;
  std::vector<sdp::Credentials> client_ice_;
  bool publishes_ = true;  // as the offer says

  std::unique_ptr<http::ClientConnection> origin_;
  UpstreamPtr upstream_;
};

// What became of a request and its connection.
enum class Signalled : std::uint8_t { NotTaken, On, Closed };

// Serves a request that is WebRTC signalling, and leaves any other as it is.
Task<Signalled> serve_signalling(WhipExchange::Context context, http::ServerConnection& client,
                                 http::Request& request);

}  // namespace weir
