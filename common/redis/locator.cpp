#include "common/redis/locator.h"

#include <algorithm>

namespace weir::redis {
namespace {

Error refusal(const Reply& reply) {
  for (const auto* word : {"NOAUTH", "WRONGPASS", "NOPERM"})
    if (reply.is_error(word)) return {Errc::Denied, "redis: " + reply.text};
  return {Errc::Unavailable, "redis: " + reply.text};
}

bool is_master(const Reply& role) {
  return role.is(Reply::Kind::Array) && !role.items.empty() && role.items[0].is_text("master");
}

}  // namespace

Task<Locator::Opened> Locator::open(Endpoint to, Deadline deadline) {
  return Connection::open(resolver_, std::move(to), deadline,
                          options_.tls ? &*options_.tls : nullptr);
}

void Locator::append_auth(Commands& commands) const {
  if (options_.password.empty()) return;
  if (options_.user.empty())
    commands.push_back({"AUTH", options_.password});
  else
    commands.push_back({"AUTH", options_.user, options_.password});
}

Task<Locator::Opened> Locator::connect() {
  if (options_.sentinels.empty()) {
    auto connection = co_await log_in(options_.server);
    co_return connection;
  }
  Error last;
  for (std::size_t i = 0; i < options_.sentinels.size(); ++i) {
    auto master = co_await ask(options_.sentinels[i]);
    if (!master) {
      last = master.error();
      continue;
    }
    auto connection = co_await log_in(*master);
    if (connection) {
      std::swap(options_.sentinels[0], options_.sentinels[i]);
      co_return connection;
    }
    last = connection.error();
  }
  co_return std::unexpected(last);
}

Task<Locator::Opened> Locator::log_in(Endpoint to) {
  const Deadline deadline = loop().in(options_.timeout);
  auto connection = co_await open(to, deadline);
  if (!connection) co_return connection;

  const bool by_sentinel = !options_.sentinels.empty();
  Commands commands;
  append_auth(commands);
  if (options_.db != 0) commands.push_back({"SELECT", std::to_string(options_.db)});
  commands.push_back({by_sentinel ? "ROLE" : "PING"});
  auto replies = co_await (*connection)->exchange(std::move(commands), deadline);
  if (!replies) co_return std::unexpected(replies.error());
  for (const Reply& reply : *replies)
    if (reply.is(Reply::Kind::Error)) co_return std::unexpected(refusal(reply));
  if (by_sentinel && !is_master(replies->back()))
    co_return fail(Errc::Unavailable, "redis: " + to_string(to) + " is not a master");
  co_return connection;
}

Task<Result<Endpoint>> Locator::ask(Endpoint sentinel) {
  const Deadline deadline = loop().in(options_.timeout);
  auto connection = co_await open(sentinel, deadline);
  if (!connection) co_return std::unexpected(connection.error());
  Commands commands;
  append_auth(commands);  // its answer does not matter: the next one's does
  commands.push_back({"SENTINEL", "get-master-addr-by-name", options_.master_name});
  auto replies = co_await (*connection)->exchange(std::move(commands), deadline);
  if (!replies) co_return std::unexpected(replies.error());

  const Reply& answer = replies->back();
  if (answer.is(Reply::Kind::Error)) co_return std::unexpected(refusal(answer));
  if (answer.is(Reply::Kind::Nil))
    co_return fail(Errc::NotFound, "sentinel knows no master " + options_.master_name);
  if (answer.items.size() != 2)
    co_return fail(Errc::Protocol, "sentinel's answer is not an address");
  const auto& host = answer.items[0].text;
  const bool bare_ipv6 = host.contains(':');
  auto master = parse_endpoint((bare_ipv6 ? "[" + host + "]" : host) + ":" + answer.items[1].text,
                               /*default_host=*/"");
  if (!master) co_return fail(Errc::Protocol, "sentinel's answer is not an address");
  co_return std::move(*master);
}

}  // namespace weir::redis
