#include "proxy/access/access_requests.h"

#include "proxy/srt_handshakes.h"

namespace weir {

namespace {

void add_http(const http::Request& request, AccessRequest& access) {
  const http::Target target = http::target_of(request);
  access.target.assign(target.path);
  access.query = target.query;
  access.authorization = request.headers.find("Authorization").value_or("");
  access.page_url = request.headers.find("Referer").value_or("");
}

}  // namespace

AccessRequest access_to_stream(AccessAction action, std::string_view protocol, std::string key,
                               std::string query, const Address& peer, std::string id) {
  AccessRequest access{.action = action,
                       .protocol = protocol,
                       .key = std::move(key),
                       .names = {},
                       .peer = peer,
                       .query = std::move(query),
                       .id = std::move(id)};
  access.names.push_back(access_name(access.key));
  return access;
}

AccessRequest access_of(const rtmp::Request& request, const StreamName& name, const Address& peer,
                        const std::string& id) {
  const bool publishes = request.kind == rtmp::Request::Kind::Publish;
  AccessRequest access = access_to_stream(publishes ? AccessAction::Publish : AccessAction::Play,
                                          "rtmp", name.key(), name.args, peer, id);
  access.tc_url = request.tc_url;
  access.page_url = request.property("pageUrl");
  return access;
}

AccessRequest access_to_pipe(const http::Request& request, std::string_view protocol,
                             const std::string& key, const Address& peer, const std::string& id) {
  AccessRequest access = access_to_stream(AccessAction::Play, protocol, key, "", peer, id);
  add_http(request, access);
  return access;
}

AccessRequest access_to_file(const http::Request& request, const std::string& key,
                             const Address& peer, const std::string& id) {
  AccessRequest access{.protocol = "http", .key = key, .names = {}, .peer = peer, .id = id};
  add_http(request, access);
  access.names = access_names(key, access.target);
  // What is not asked for is brought.
  if (request.method != "GET" && request.method != "HEAD") access.action = AccessAction::Publish;
  return access;
}

std::string refusal_response(const AccessRefusal& refusal, const http::Request& request,
                             http::Headers headers) {
  headers.add("Cache-Control", "no-store");
  add_challenge(refusal, headers);
  const std::string body = request.method == "HEAD" ? std::string() : refusal.text + "\n";
  return http::simple_response(refusal.http_status(), "text/plain", body, headers);
}

void add_challenge(const AccessRefusal& refusal, http::Headers& headers) {
  if (refusal.http_status() == 401) headers.add("WWW-Authenticate", "Bearer realm=\"weir\"");
}

srt::Rejection srt_rejection_of(const AccessRefusal& refusal) {
  switch (refusal.http_status()) {
    case 401: return srt::Rejection::Unauthorized;
    case 403: return srt::Rejection::Forbidden;
    default: return srt_rejection_of(refusal.error().code);
  }
}

}  // namespace weir
