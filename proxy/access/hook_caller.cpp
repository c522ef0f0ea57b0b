#include "proxy/access/hook_caller.h"

#include <spdlog/fmt/fmt.h>

namespace weir {

Task<Result<bool>> HookCaller::ask_all(std::vector<HookUrl> urls, std::string body,
                                       milliseconds timeout, int retries) {
  for (const HookUrl& url : urls) {
    Result<bool> answer = fail(Errc::Unavailable, "not asked");
    for (int tries = 0; tries <= retries; ++tries) {
      answer = co_await post(url, body, timeout);
      if (answer || answer.error().code == Errc::Cancelled) break;
    }
    if (!answer || !*answer) co_return answer;
  }
  co_return true;
}

Task<Result<bool>> HookCaller::post(HookUrl url, std::string body, milliseconds timeout) {
  Loop& loop = resolver_.loop();
  const Deadline deadline = loop.in(timeout);
  while (under_way_ >= kAtOnce) {
    auto woken = co_await free_.wait(deadline);
    if (!woken) co_return std::unexpected(woken.error());
  }
  ++under_way_;
  auto answer = co_await post_now(std::move(url), std::move(body), deadline);
  --under_way_;
  free_.notify();
  co_return answer;
}

Task<Result<bool>> HookCaller::post_now(HookUrl url, std::string body, Deadline deadline) {
  auto pooled = pool_.take({&url.endpoint, 1});
  const bool reused = pooled.has_value();
  HttpUpstreamPool::Connection connection;
  if (reused) connection = std::move(pooled->connection);
  Result<http::Response> head = fail(Errc::Closed, "no connection");
  if (reused) head = co_await talk(*connection, url, body, deadline);
  // A server may end a connection that waits at any time: that is no answer, and no trouble either.
  const bool stale =
      !head && (head.error().code == Errc::Closed || head.error().code == Errc::Reset);
  if (!head && stale) {
    auto connected = co_await connect(url, deadline);
    if (!connected) co_return std::unexpected(connected.error());
    connection = std::move(*connected);
    head = co_await talk(*connection, url, std::move(body), deadline);
  }
  if (!head) co_return std::unexpected(head.error());
  auto text = co_await connection->read_all(kMaxAnswer, deadline);
  if (!text) co_return std::unexpected(text.error());
  const int status = head->status;
  pool_.put(url.endpoint, std::move(connection));
  if (status >= 500) co_return fail(Errc::Unavailable, fmt::format("HTTP status {}", status));
  co_return hook_allows(status, *text);
}

Task<Result<HttpUpstreamPool::Connection>> HookCaller::connect(HookUrl url, Deadline deadline) {
  const Endpoint& to = url.endpoint;
  auto socket = co_await resolver_.connect(to.host, to.port, deadline);
  if (!socket) co_return std::unexpected(socket.error());
  if (to.tls) {
    if (url.trust == nullptr) co_return fail(Errc::Denied, "TLS with nobody to trust");
    auto agreed = co_await connect_tls(**socket, *url.trust, to.host, deadline);
    if (!agreed) co_return std::unexpected(agreed.error());
  }
  co_return std::make_unique<http::ClientConnection>(std::move(*socket));
}

Task<Result<http::Response>> HookCaller::talk(http::ClientConnection& connection, HookUrl url,
                                              std::string body, Deadline deadline) {
  http::Request request{.method = "POST", .target = std::move(url.target)};
  request.headers.add("Host", to_string(url.endpoint));
  request.headers.add("User-Agent", "weir");
  request.headers.add("Accept", "*/*");
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Content-Length", std::to_string(body.size()));
  auto sent = co_await connection.send(std::move(request), deadline);
  if (sent) sent = co_await connection.write(std::move(body), deadline);
  if (!sent) co_return std::unexpected(sent.error());
  while (true) {
    auto head = co_await connection.read_head(deadline);
    if (!head || head->status / 100 != 1) co_return std::move(head);
    if (head->status == 101) co_return fail(Errc::Protocol, "upgrade that nobody asked for");
  }
}

}  // namespace weir
