#include "edge/token_traverse.h"

#include <spdlog/fmt/fmt.h>

#include "common/log.h"
#include "common/rtmp/client.h"
#include "common/stream_key.h"

namespace weir {

namespace {

TokenTraverse::Verdict denied(std::string why) {
  return AccessRefusal{AccessReason::Upstream, std::move(why)};
}

StreamName name_of(const AccessRequest& request) {
  const std::string& key = request.key;
  const std::size_t first = std::min(key.find('/'), key.size());
  const std::size_t last = key.rfind('/');
  StreamName name{.vhost = key.substr(0, first), .app = {}, .stream = {}, .args = request.query};
  if (last == key.npos || last <= first) return name;
  name.app = key.substr(first + 1, last - first - 1);
  name.stream = key.substr(last + 1);
  return name;
}

// Without what holds an answer back.
std::string without_blocking(std::string_view query) {
  std::string kept;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    if (!one.starts_with("_HLS_")) kept.append(kept.empty() ? "" : "&").append(one);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return kept;
}

std::vector<amf0::Value> connect_arguments(const AccessRequest& request, const StreamName& name,
                                           const Endpoint& endpoint, const HopMark& mark) {
  amf0::Value object = rtmp::player_object(name, endpoint);
  if (!request.page_url.empty()) object.set("pageUrl", request.page_url);
  set_hop_mark(object, mark);
  return {object};
}

bool speaks_not(const Error& why) { return why.code == Errc::Unavailable; }

}  // namespace

Task<TokenTraverse::Verdict> TokenTraverse::ask(AccessRequest request) {
  const bool rtmp = request.protocol == "rtmp";
  auto asking = rtmp ? ask_rtmp(request) : ask_http(request);
  Result<Verdict> verdict = co_await asking;
  if (!verdict && speaks_not(verdict.error())) {
    auto again = rtmp ? ask_http(request) : ask_rtmp(request);
    verdict = co_await again;
  }
  if (verdict) co_return std::move(*verdict);
  log::warn("upstream does not say who may play", {{"id", request.id},
                                                   {"stream", request.key},
                                                   {"reason", name(verdict.error().code)},
                                                   {"error", verdict.error().text}});
  co_return AccessRefusal{AccessReason::UpstreamDown, "no upstream says whether this is allowed"};
}

Task<Result<TokenTraverse::Verdict>> TokenTraverse::ask_http(AccessRequest request) {
  const StreamName name = name_of(request);
  const std::string path = request.target.empty() ? http_path(name, "flv") : request.target;
  const std::string query = without_blocking(request.query);
  http::Request get{.method = "GET", .target = path.substr(0, path.find('?'))};
  if (!query.empty()) get.target.append("?").append(query);
  if (!name.is_default_vhost()) get.headers.add("Host", name.vhost);
  if (!request.authorization.empty()) get.headers.add("Authorization", request.authorization);
  if (!request.page_url.empty()) get.headers.add("Referer", request.page_url);
  const HopMark mark{.hops = {}, .id = request.id};
  const HttpCall::Context calls = context_.relay.calls();
  const Requester viewer{.ends = {.client = request.peer}, .sender = request.peer};
  auto question = HttpCall::question_of(std::move(get),
                                        {.node_id = context_.options.node_id,
                                         .mark = mark,
                                         .requester = viewer,
                                         .max_hops = context_.options.max_hops},
                                        context_.options.naming);
  if (!question) co_return fail(question.error().code, question.error().text);
  question->reply_timeout = context_.options.dial.reply_timeout;
  HttpCall call(calls, std::move(*question));
  auto answer = co_await call.ask();
  if (!answer) co_return std::unexpected(answer.error());
  const int status = answer->response.status;
  if (status == 401 || status == 403) co_return denied(fmt::format("upstream answers {}", status));
  if (status >= 500) co_return fail(Errc::Timeout, fmt::format("upstream answers {}", status));
  co_return Verdict{};
}

Task<Result<TokenTraverse::Verdict>> TokenTraverse::ask_rtmp(AccessRequest request) {
  Dialer dialer(context_.routing, context_.resolver, request.key, Protocol::Rtmp,
                context_.options.dial);
  dialer.connect_for({.client = request.peer});
  Result<Verdict> verdict = fail(Errc::Unavailable, "nobody was asked");
  while (true) {
    auto dialed = co_await dialer.next();
    if (!dialed) co_return std::unexpected(dialed.error());
    verdict = co_await play(std::move(*dialed), request);
    if (verdict) co_return verdict;
    dialer.reject(verdict.error(), Stage::Setup);
  }
}

Task<Result<TokenTraverse::Verdict>> TokenTraverse::play(Dialed dialed, AccessRequest request) {
  const StreamName name = name_of(request);
  const HopMark mark{.hops = context_.options.node_id, .id = request.id};
  rtmp::Connection connection(std::move(dialed.socket), context_.options.rtmp);
  auto opened = co_await rtmp::open_stream(
      connection, connect_arguments(request, name, dialed.endpoint, mark),
      context_.options.window_ack, context_.loop.in(context_.options.dial.reply_timeout));
  if (!opened && opened.error().code == Errc::Denied) co_return denied("upstream refuses connect");
  if (!opened) co_return std::unexpected(opened.error());
  rtmp::send_play(connection, *opened, rtmp_stream(name), {});
  const Deadline deadline = context_.loop.in(context_.options.start_timeout);
  while (true) {
    auto message = co_await connection.read(deadline);
    const bool hung_up =
        !message && (message.error().code == Errc::Closed || message.error().code == Errc::Reset);
    if (hung_up) co_return denied("upstream ends the connection");
    if (!message) co_return fail(Errc::Timeout, message.error().text);
    const auto type = message->header.type;
    if (type == rtmp::Type::Audio || type == rtmp::Type::Video) co_return Verdict{};
    const auto said = rtmp::verdict_of(*message);
    if (!said || (said->code.empty() && !said->reply)) continue;
    if (!said->error && said->code == "NetStream.Play.Reset") continue;
    if (said->error && said->reason() != Errc::NotFound) co_return denied("upstream refuses play");
    co_return Verdict{};
  }
}

}  // namespace weir
