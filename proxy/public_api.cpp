#include "proxy/public_api.h"

#include "proxy/problem_response.h"

namespace weir {

namespace {

// The head of an answer to HEAD says what GET's would.
std::string written(const SystemAnswer& answer, bool head, bool keep) {
  http::Headers extra{{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}};
  if (!answer.allow.empty()) extra.add("Allow", answer.allow);
  if (!answer.authenticate.empty()) extra.add("WWW-Authenticate", answer.authenticate);
  if (!keep) extra.add("Connection", "close");
  std::string bytes = http::simple_response(answer.status, answer.type, answer.body, extra);
  if (head) bytes.resize(bytes.size() - answer.body.size());
  return bytes;
}

}  // namespace

PublicApi::PublicApi(Loop& loop, SystemDesk& desk, Options options, Signalling signalling)
    : loop_(loop), desk_(desk), options_(options), signalling_(std::move(signalling)) {}

Task<void> PublicApi::serve(std::unique_ptr<Socket> socket, std::shared_ptr<void> ticket) {
  http::ServerConnection client(std::move(socket), options_.times, options_.limits,
                                options_.admission);
  client.unlist();
  while (true) {
    auto request = co_await client.read_request();
    if (!request) {
      co_await client.refuse_with(request.error());
      break;
    }
    auto goes_on = co_await take(client, *request);
    if (!goes_on) break;
  }
  ticket.reset();
}

Task<bool> PublicApi::take(http::ServerConnection& client, http::Request& request) {
  const bool page = http::target_of(request).path.starts_with("/api/");
  const auto context = signalling_ && !page ? signalling_(loop_) : std::nullopt;
  if (context) {
    if (request.method == "POST" && !takes_sessions_) {
      auto told = co_await client.respond(problem_response(503, "this node goes away", "", false));
      if (told) co_await client.close_gently();
      co_return false;
    }
    auto signalled = co_await serve_signalling(*context, client, request);
    if (signalled != Signalled::NotTaken) co_return signalled == Signalled::On;
  }
  auto goes_on = co_await show_page(client, request);
  co_return goes_on;
}

Task<bool> PublicApi::show_page(http::ServerConnection& client, const http::Request& request) {
  client.forget_request();
  const http::Target target = http::target_of(request);
  const auto header = [&](std::string_view name) {
    return std::string(request.headers.find(name).value_or(""));
  };
  SystemDesk::Question question{.method = request.method,
                                .target = std::string(target.path),
                                .sender = client.socket().peer().host(),
                                .authorization = header("Authorization"),
                                .host = std::string(target.authority),
                                .origin = header("Origin")};
  if (!target.query.empty()) question.target += "?" + std::string(target.query);
  auto answer = co_await desk_.answer(loop_, std::move(question));
  // No page reads a body, so one ends the connection.
  const bool keep = http::keeps_alive(request) && client.body().ended() && answer.status == 200;
  auto sent = co_await client.respond(written(answer, request.method == "HEAD", keep));
  if (sent && keep) co_return true;
  if (sent) co_await client.close_gently();
  co_return false;
}

}  // namespace weir
