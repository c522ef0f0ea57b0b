#include "proxy/access/hook.h"

#include <Poco/JSON/Object.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <exception>
#include <sstream>

#include "common/json_object.h"
#include "common/stream_key.h"
#include "common/wire/http1_headers.h"
#include "common/wire/uri.h"
#include "proxy/upstream.h"

namespace weir {

namespace {

constexpr std::array<std::string_view, kHookEvents> kEvents = {
    "on_connect", "on_close", "on_publish", "on_unpublish", "on_play", "on_stop"};
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

// JSON is UTF-8, and what peers send need not be.
std::string plain(std::string_view text) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80         ? 1
                             : lead >> 5 == 0x06 ? 2
                             : lead >> 4 == 0x0e ? 3
                             : lead >> 3 == 0x1e ? 4
                                                 : 0;
    bool good = size > 0 && i + size <= text.size();
    for (std::size_t j = 1; good && j < size; ++j)
      good = (static_cast<unsigned char>(text[i + j]) & 0xc0) == 0x80;
    if (good)
      out += text.substr(i, size);
    else
      out += '?';
    i += good ? size : 1;
  }
  return out;
}

}  // namespace

std::string_view name(HookEvent event) { return kEvents[static_cast<std::size_t>(event)]; }

Result<HookUrl> parse_hook_url(std::string_view text) {
  const UriReference uri = split_uri(text);
  const auto wrong = [text](const char* why) {
    return fail(Errc::Protocol, fmt::format("'{}' {}", text, why));
  };
  if (!uri.scheme || !uri.authority || uri.fragment)
    return wrong("is not http://HOST:PORT/PATH or https://");
  const bool tls = http::same_ignoring_case(*uri.scheme, "https");
  if (!tls && !http::same_ignoring_case(*uri.scheme, "http"))
    return wrong("is neither http nor https");
  auto endpoint = parse_endpoint(*uri.authority, "", tls ? kHttpsPort : kHttpPort);
  if (!endpoint) return std::unexpected(endpoint.error());
  endpoint->tls = tls;
  const bool clean = std::ranges::none_of(text, [](unsigned char c) { return c <= 0x20; });
  if (!clean) return wrong("has a space in it");
  std::string target(uri.path.empty() ? "/" : uri.path);
  if (uri.query) target.append("?").append(*uri.query);
  return HookUrl{std::move(*endpoint), std::move(target)};
}

Result<std::vector<HookUrl>> parse_hook_urls(std::string_view text) {
  std::vector<HookUrl> urls;
  while (true) {
    const std::size_t begin = text.find_first_not_of(", \t");
    if (begin == text.npos) return urls;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(", \t"), text.size());
    auto url = parse_hook_url(text.substr(0, end));
    if (!url) return std::unexpected(url.error());
    if (urls.size() == kMaxHookUrls) return fail(Errc::Limit, "more than 16 URLs");
    urls.push_back(std::move(*url));
    text.remove_prefix(end);
  }
}

bool HookOptions::any() const {
  return std::ranges::any_of(urls, [](const auto& of_event) { return !of_event.empty(); });
}

HookClient HookClient::of(const AccessRequest& request) {
  HookClient client{.id = request.id, .ip = request.peer.host()};
  const std::string& of = request.names.empty() ? request.key : request.names.front();
  const std::size_t first = of.find('/'), last = of.rfind('/');
  client.vhost = first == 0 || first == of.npos ? kDefaultVhost : of.substr(0, first);
  if (first != of.npos && last > first) client.app = of.substr(first + 1, last - first - 1);
  client.stream = last == of.npos ? of : of.substr(last + 1);
  if (!request.query.empty()) client.param = "?" + request.query;
  client.tc_url = request.tc_url;
  client.page_url = request.page_url;
  return client;
}

std::string hook_body(HookEvent event, const HookClient& client, const HookOptions& options,
                      const Traffic& traffic) {
  Poco::JSON::Object body(Poco::JSON_PRESERVE_KEY_ORDER);
  const auto put = [&body](const char* field, std::string_view text) {
    body.set(field, plain(text));
  };
  put("server_id", options.server_id);
  put("service_id", options.service_id);
  put("action", name(event));
  put("client_id", client.id);
  put("ip", client.ip);
  put("vhost", client.vhost);
  put("app", client.app);
  if (event == HookEvent::Close) {
    body.set("send_bytes", traffic.sent);
    body.set("recv_bytes", traffic.received);
  } else if (event == HookEvent::Connect) {
    put("tcUrl", client.tc_url);
    put("pageUrl", client.page_url);
  } else {
    if (event == HookEvent::Publish || event == HookEvent::Play) put("tcUrl", client.tc_url);
    put("stream", client.stream);
    put("param", client.param);
    if (event == HookEvent::Play) put("pageUrl", client.page_url);
    const bool plain_vhost = client.vhost == kDefaultVhost;
    const std::string url =
        fmt::format("{}/{}/{}", plain_vhost ? "" : client.vhost, client.app, client.stream);
    put("stream_url", url);
    put("stream_id", fmt::format("vid-{:07x}", stable_hash(url) & 0xfffffff));
  }
  std::ostringstream out;
  body.stringify(out);
  return out.str();
}

bool hook_allows(int status, std::string_view body) {
  if (status != 200 && status != 201) return false;
  const std::size_t begin = body.find_first_not_of(" \t\r\n");
  if (begin == body.npos) return false;
  body = body.substr(begin, body.find_last_not_of(" \t\r\n") + 1 - begin);
  if (body == "0") return true;
  try {
    const auto answer = parse_json_object(body);
    if (!answer) return false;
    const auto code = (*answer)->get("code");
    return code.isInteger() && !code.isBoolean() && code.convert<std::int64_t>() == 0;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace weir
