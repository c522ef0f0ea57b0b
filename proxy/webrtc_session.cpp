#include "proxy/webrtc_session.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/access/url_signature.h"
#include "common/endpoint.h"

namespace weir {

namespace {

constexpr std::string_view kVersion = "webrtc 1";
constexpr std::size_t kMaxRecord = 64 * 1024;
constexpr std::size_t kMaxLine = 2048;

std::string_view cut(std::string_view& text, char at) {
  const std::size_t end = text.find(at);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

Result<void> take(WebrtcSession& session, std::string_view line) {
  const std::string_view field = cut(line, ' ');
  if (line.empty() || line.size() > kMaxLine) return fail(Errc::Protocol, "field without a value");
  if (field == "id") {
    session.id = line;
  } else if (field == "stream") {
    session.stream = line;
  } else if (field == "upstream") {
    session.upstream = line;
  } else if (field == "check") {
    if (session.checks.size() == WebrtcSession::kMaxChecks) return fail(Errc::Limit, "many checks");
    const std::string_view username = cut(line, ' ');
    const std::string_view password = cut(line, ' ');
    session.checks.push_back({std::string(username), std::string(password), std::string(line)});
  } else if (field == "publishes") {
    session.publishes = line == "yes";
  } else if (field == "expires") {
    const auto expires = parse_expiry(line);
    if (!expires) return fail(Errc::Protocol, "an end that is no time");
    session.expires = *expires;
  } else if (field == "media") {
    if (session.media.size() == WebrtcSession::kMaxMedia)
      return fail(Errc::Limit, "many addresses");
    auto endpoint = parse_endpoint(line, "");
    if (!endpoint) return std::unexpected(endpoint.error());
    auto address = Address::parse(endpoint->host, endpoint->port);
    if (!address) return std::unexpected(address.error());
    session.media.push_back(*address);
  }  // what a later version adds is not needed here
  return {};
}

}  // namespace

const WebrtcSession::Check* WebrtcSession::check_of(std::string_view username) const {
  const auto found = std::ranges::find(checks, username, &Check::username);
  return found == checks.end() ? nullptr : &*found;
}

std::vector<WebrtcSession::Check> checks_of(const std::vector<sdp::Credentials>& origin,
                                            const std::vector<sdp::Credentials>& client) {
  std::vector<WebrtcSession::Check> checks;
  const auto meet = [&](std::size_t of_origin, std::size_t of_client) {
    if (of_origin >= origin.size() || of_client >= client.size()) return;
    if (checks.size() == WebrtcSession::kMaxChecks) return;
    WebrtcSession::Check check{
        .username = fmt::format("{}:{}", origin[of_origin].ufrag, client[of_client].ufrag),
        .password = origin[of_origin].password,
        .client_password = client[of_client].password};
    if (std::ranges::find(checks, check) == checks.end()) checks.push_back(std::move(check));
  };
  for (std::size_t i = 0; i < std::max(origin.size(), client.size()); ++i) {
    meet(i, i);
    meet(i, 0);
    meet(0, i);
  }
  return checks;
}

std::string encode(const WebrtcSession& session) {
  std::string text = fmt::format("{}\nid {}\nstream {}\nupstream {}\n", kVersion, session.id,
                                 session.stream, session.upstream);
  if (session.publishes) text += "publishes yes\n";
  if (session.expires > 0) text += fmt::format("expires {}\n", session.expires);
  for (const auto& check : session.checks)
    text += fmt::format("check {} {}{}{}\n", check.username, check.password,
                        check.client_password.empty() ? "" : " ", check.client_password);
  for (const Address& address : session.media) text += fmt::format("media {}\n", address.text());
  return text;
}

Result<WebrtcSession> decode_webrtc_session(std::string_view text) {
  if (text.size() > kMaxRecord) return fail(Errc::Limit, "long record");
  if (cut(text, '\n') != kVersion) return fail(Errc::Protocol, "not a WebRTC session");
  WebrtcSession session;
  while (!text.empty()) {
    auto taken = take(session, cut(text, '\n'));
    if (!taken) return std::unexpected(taken.error());
  }
  if (session.id.empty() || session.checks.empty() || session.media.empty())
    return fail(Errc::Protocol, "half a WebRTC session");
  return session;
}

}  // namespace weir
