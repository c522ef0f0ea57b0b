#include "common/redis/subscriber.h"

#include "common/log.h"

namespace weir::redis {
namespace {

// RESP2: ["subscribe", channel, count], ["message", channel, payload], ["pong", ""].
bool is_push(const Reply& reply, std::string_view kind, const std::string& channel) {
  return reply.items.size() == 3 && reply.items[0].is_text(kind) && reply.items[1].is_text(channel);
}

}  // namespace

Subscriber::Subscriber(Resolver& resolver, ServerOptions server, std::string channel,
                       Callbacks callbacks)
    : loop_(resolver.loop()),
      locator_(resolver, std::move(server)),
      channel_(std::move(channel)),
      callbacks_(std::move(callbacks)) {}

Task<void> Subscriber::run() {
  while (!loop_.cancelled()) {
    auto connection = co_await locator_.connect();
    if (connection) {
      auto why = co_await follow(**connection);
      log::debug("redis subscription lost", {{"reason", name(why.code)}, {"error", why.text}});
    }
    auto slept = co_await sleep(loop_, backoff_.next());
    if (!slept) co_return;
  }
}

Task<Error> Subscriber::follow(Connection& connection) {
  const Commands subscribe{{"SUBSCRIBE", channel_}};
  auto replies = co_await connection.exchange(subscribe, loop_.in(kSilence));
  if (!replies) co_return std::move(replies.error());
  if (!is_push(replies->front(), "subscribe", channel_))
    co_return Error{Errc::Denied, "cannot subscribe: " + replies->front().text};
  backoff_.reset();
  callbacks_.on_subscribed();

  std::string ping;
  append_command(ping, {"PING"});
  bool asked = false;
  while (true) {
    auto reply = co_await connection.receive(loop_.in(asked ? kSilence : kIdle));
    if (reply) {
      asked = false;
      if (is_push(*reply, "message", channel_)) callbacks_.on_message(reply->items[2].text);
      continue;
    }
    if (reply.error().code != Errc::Timeout || asked) co_return std::move(reply.error());
    auto sent = co_await connection.send(as_bytes(ping), loop_.in(kSilence));
    if (!sent) co_return std::move(sent.error());
    asked = true;
  }
}

}  // namespace weir::redis
