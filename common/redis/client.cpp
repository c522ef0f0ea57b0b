#include "common/redis/client.h"

#include "common/log.h"

namespace weir::redis {

namespace {
constexpr std::chrono::seconds kSteady{5};  // a connection that lasted so long was a good one
}

Client::Client(Resolver& resolver, ServerOptions server)
    : loop_(resolver.loop()), locator_(resolver, std::move(server)), changed_(loop_) {}

Task<void> Client::run() {
  log::Limited failures(std::chrono::seconds(10));
  while (!loop_.cancelled()) {
    auto connection = co_await locator_.connect();
    if (connection) {
      const auto since = loop_.now();
      log::info("redis connected", {{"server", (*connection)->peer()}});
      pipeline_ = std::make_unique<Pipeline>(std::move(*connection));
      changed_.notify();
      auto why = co_await pipeline_->run();
      pipeline_.reset();
      changed_.notify();
      if (why.code == Errc::Cancelled) co_return;
      log::warn("redis lost", {{"reason", name(why.code)}, {"error", why.text}});
      if (loop_.now() - since >= kSteady) backoff_.reset();
    } else if (connection.error().code != Errc::Cancelled) {
      failures.write(
          log::Level::Warn, "redis is away",
          {{"reason", name(connection.error().code)}, {"error", connection.error().text}});
    }
    auto slept = co_await sleep(loop_, backoff_.next());
    if (!slept) co_return;
  }
}

Task<Result<void>> Client::changed(Deadline deadline) { return changed_.wait(deadline); }

Task<Result<Replies>> Client::call(Commands commands, Deadline deadline) {
  if (!pipeline_) co_return fail(Errc::Unavailable, "redis is away");
  auto replies = co_await pipeline_->call(std::move(commands), deadline);
  co_return replies;
}

Task<Result<Reply>> Client::call(Command command, Deadline deadline) {
  Commands commands;
  commands.push_back(std::move(command));
  auto replies = co_await call(std::move(commands), deadline);
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  co_return std::move(replies->front());
}

}  // namespace weir::redis
