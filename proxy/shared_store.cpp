#include "proxy/shared_store.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace weir {
namespace {

using redis::Command;
using redis::Commands;
using redis::Replies;
using redis::Reply;

constexpr int kTries = 3;
constexpr std::size_t kQuoted = 100;  // of what Redis says of an error

// KEYS: any number. ARGV: lifetime in ms, longest value, then for each key the expected value and
// the new one. Answers for each key: 0 replaced the expected value, 1 nothing (good) was there,
// or what is there and was left.
constexpr std::string_view kSwap = R"(
local longest = tonumber(ARGV[2])
local answers = {}
for i, key in ipairs(KEYS) do
  local expected, value = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  local current = ''
  if redis.call('TYPE', key).ok == 'string' and redis.call('STRLEN', key) <= longest then
    current = redis.call('GET', key)
  end
  if current ~= '' and current ~= expected then
    answers[i] = current
  else
    if value == '' then
      redis.call('DEL', key)
    else
      redis.call('SET', key, value, 'PX', ARGV[1])
    end
    answers[i] = current == '' and 1 or 0
  end
end
return answers
)";

std::string text_of(milliseconds duration) { return std::to_string(duration.count()); }

Command read_of(std::string key) {
  return {"GETRANGE", std::move(key), "0", std::to_string(kMaxSharedValue)};
}

Error refused(const Reply& reply) {
  return {Errc::Unavailable, "redis: " + reply.text.substr(0, kQuoted)};
}

const std::string kWrongName = "name";

std::string reason_of(const Error& error) { return error.code == Errc::Limit ? "size" : "content"; }

// What must not happen: that a proxy writes what no proxy can read.
template <class Value, class Decoded>
Result<std::string> text_for(const Value& value, Result<Decoded> (*decode)(std::string_view)) {
  auto text = encode(value);
  const auto again = decode(text);
  if (!again) return std::unexpected(again.error());
  return text;
}

// Keeps glob characters of the prefix from matching more than themselves.
std::string pattern_of(std::string_view prefix) {
  std::string pattern;
  for (const char c : prefix) {
    if (std::string_view(R"(*?[]\)").contains(c)) pattern += '\\';
    pattern += c;
  }
  return pattern + '*';
}

}  // namespace

SharedStore::SharedStore(Loop& loop, redis::Client& client, SharedStoreOptions options,
                         Metrics& metrics)
    : loop_(loop), client_(client), options_(std::move(options)), metrics_(metrics) {}

std::string SharedStore::key_of(SharedKind kind, std::string_view name) const {
  return shared_key(options_.prefix, kind, name);
}

Task<Result<Replies>> SharedStore::call(Commands commands, Deadline deadline) {
  auto replies = co_await client_.call(std::move(commands), deadline);
  if (!replies) count_failure(replies.error());
  co_return replies;
}

Task<Result<Reply>> SharedStore::ask(Command command, Deadline deadline) {
  auto reply = co_await client_.call(std::move(command), deadline);
  if (reply && reply->is(Reply::Kind::Error)) reply = std::unexpected(refused(*reply));
  if (!reply) count_failure(reply.error());
  co_return reply;
}

void SharedStore::count_failure(const Error& error) {
  metrics_
      .counter("weir_redis_failures_total", "Operations that went without Redis, by why.",
               {{"reason", std::string(name(error.code))}})
      .Increment();
}

void SharedStore::count_bad(const std::string& reason) {
  metrics_
      .counter("weir_redis_bad_values_total",
               "Values in Redis that are not what proxies write: taken for missing.",
               {{"reason", reason}})
      .Increment();
}

// Counts a wrong type.
bool SharedStore::is_there(const Reply& value) {
  if (value.is(Reply::Kind::String)) return !value.text.empty();
  count_bad("type");
  return false;
}

std::optional<SharedRoute> SharedStore::route_in(std::string_view key, const Reply& value) {
  if (!is_there(value)) return std::nullopt;
  auto route = decode_route(value.text);
  if (!route)
    count_bad(reason_of(route.error()));
  else if (key_of(SharedKind::Route, route->stream) != key)
    count_bad(kWrongName);
  else
    return std::move(*route);
  return std::nullopt;
}

std::optional<SharedStore::Member> SharedStore::member_in(std::string_view key, const Reply& value,
                                                          const Reply& left) {
  if (!is_there(value)) return std::nullopt;
  auto member = decode_member(value.text);
  const auto kind = kind_of_key(options_.prefix, key);
  INVARIANT(kind, key);
  if (!member) {
    count_bad(reason_of(member.error()));
    return std::nullopt;
  }
  if (key_of(*kind, member->server) != key) {
    count_bad(kWrongName);
    return std::nullopt;
  }
  // Negative: no lifetime, or gone between the two commands.
  const milliseconds age = options_.member_lifetime - milliseconds(left.integer);
  const bool known = left.integer >= 0 && age > milliseconds(0);
  return Member{std::move(*member), known ? age : milliseconds(0)};
}

Task<Result<SharedRoute>> SharedStore::claim(SharedRoute mine, Deadline deadline) {
  const auto key = key_of(SharedKind::Route, mine.stream);
  const auto value = text_for(mine, decode_route);
  if (!value) co_return std::unexpected(value.error());
  for (int tries = 0; tries < kTries; ++tries) {
    Commands commands;
    commands.push_back({"SET", key, *value, "NX", "PX", text_of(options_.route_lifetime)});
    commands.push_back(read_of(key));
    auto replies = co_await call(std::move(commands), deadline);
    if (!replies) co_return std::unexpected(std::move(replies.error()));
    const Reply& set = replies->front();
    const Reply& there = replies->back();
    if (set.is(Reply::Kind::Error)) co_return std::unexpected(refused(set));
    if (!set.is(Reply::Kind::Nil)) {
      hint(kSet, SharedKind::Route, mine.stream);
      co_return mine;
    }
    if (there.is(Reply::Kind::String) && there.text.empty()) continue;  // it has just expired
    auto theirs = route_in(key, there);
    if (theirs) co_return std::move(*theirs);
    auto expected = there.is(Reply::Kind::String) ? there.text : std::string();
    auto replaced = co_await replace(std::nullopt, std::move(expected), std::move(mine), deadline);
    co_return replaced;
  }
  co_return fail(Errc::Unavailable, "redis: the route expires as fast as it is made");
}

Task<Result<SharedRoute>> SharedStore::move(SharedRoute from, SharedRoute to, Deadline deadline) {
  auto expected = encode(from);
  auto replaced = co_await replace(std::move(from), std::move(expected), std::move(to), deadline);
  co_return replaced;
}

// Puts `to` in the place of `from`, of whatever is no route, and of nothing.
Task<Result<SharedRoute>> SharedStore::replace(std::optional<SharedRoute> from,
                                               std::string expected, SharedRoute to,
                                               Deadline deadline) {
  const auto key = key_of(SharedKind::Route, to.stream);
  const auto value = text_for(to, decode_route);
  if (!value) co_return std::unexpected(value.error());
  for (int tries = 0; tries < kTries; ++tries) {
    std::vector<Swap> swaps;
    swaps.push_back({key, std::move(expected), *value});
    auto answers = co_await swap(std::move(swaps), deadline);
    if (!answers) co_return std::unexpected(std::move(answers.error()));
    Reply& there = answers->front();
    if (there.is(Reply::Kind::Integer)) {
      hint(kSet, SharedKind::Route, to.stream);
      co_return to;
    }
    auto theirs = route_in(key, there);
    if (theirs && theirs != from) co_return std::move(*theirs);
    expected = std::move(there.text);  // no route, or `from` as another version writes it
  }
  co_return fail(Errc::Unavailable, "redis: the route changes as fast as it is made");
}

Task<Result<void>> SharedStore::forget(SharedRoute route) {
  std::vector<Swap> swaps;
  swaps.push_back({key_of(SharedKind::Route, route.stream), encode(route), ""});
  auto answers = co_await swap(std::move(swaps), loop_.in(options_.timeout));
  if (!answers) co_return std::unexpected(std::move(answers.error()));
  if (answers->front().is(Reply::Kind::Integer)) hint(kGone, SharedKind::Route, route.stream);
  co_return Result<void>{};
}

Task<Result<SharedStore::Refreshed>> SharedStore::refresh(std::vector<SharedRoute> live) {
  INVARIANT(live.size() <= kBatch);
  const Deadline deadline = loop_.in(kPatience);
  std::erase_if(live, [](const SharedRoute& route) { return !text_for(route, decode_route); });
  std::vector<Swap> swaps;
  for (const SharedRoute& route : live) {
    auto value = encode(route);
    swaps.push_back({key_of(SharedKind::Route, route.stream), value, value});
  }
  Refreshed refreshed;
  if (swaps.empty()) co_return refreshed;
  auto answers = co_await swap(swaps, deadline);
  if (!answers) co_return std::unexpected(std::move(answers.error()));

  std::vector<Swap> again;
  for (std::size_t i = 0; i < live.size(); ++i) {
    Reply& there = (*answers)[i];
    if (there.is(Reply::Kind::Integer)) {
      refreshed.written += static_cast<std::size_t>(there.integer);
      continue;
    }
    auto theirs = route_in(swaps[i].key, there);
    if (theirs && *theirs != live[i]) {
      refreshed.contested.push_back(std::move(*theirs));
    } else {
      if (!theirs) ++refreshed.written;
      again.push_back({swaps[i].key, std::move(there.text), swaps[i].value});
    }
  }
  if (again.empty()) co_return refreshed;
  auto second = co_await swap(std::move(again), deadline);
  if (!second) co_return std::unexpected(std::move(second.error()));
  co_return refreshed;
}

Task<Result<Replies>> SharedStore::swap(std::vector<Swap> swaps, Deadline deadline) {
  Command command{"EVAL", std::string(kSwap), std::to_string(swaps.size())};
  const std::size_t count = swaps.size();
  for (Swap& each : swaps) command.push_back(std::move(each.key));
  command.push_back(text_of(options_.route_lifetime));
  command.push_back(std::to_string(kMaxSharedValue));
  for (Swap& each : swaps) {
    // The script takes what is longer for missing.
    if (each.expected.size() > kMaxSharedValue) each.expected.clear();
    command.push_back(std::move(each.expected));
    command.push_back(std::move(each.value));
  }
  auto answers = co_await ask(std::move(command), deadline);
  if (!answers) co_return std::unexpected(std::move(answers.error()));
  if (answers->items.size() != count)
    co_return fail(Errc::Protocol, "redis: not an answer of the script");
  co_return std::move(answers->items);
}

void SharedStore::hint(std::string_view what, SharedKind kind, const std::string& name) {
  loop_.spawn(publish(fmt::format("{} {} {}", what, weir::name(kind), name)));
}

// Nobody waits for it: who misses it finds the change by scanning.
Task<void> SharedStore::publish(std::string message) {
  Command command{"PUBLISH", channel(), std::move(message)};
  auto published = co_await ask(std::move(command), loop_.in(kPatience));
  static_cast<void>(published);
}

Task<Result<void>> SharedStore::announce(SharedKind kind, Registration member) {
  auto value = text_for(member, decode_member);
  if (!value) co_return std::unexpected(value.error());
  Command command{"SET", key_of(kind, member.server), std::move(*value), "PX",
                  text_of(options_.member_lifetime)};
  auto set = co_await ask(std::move(command), loop_.in(kPatience));
  if (!set) co_return std::unexpected(std::move(set.error()));
  hint(kSet, kind, member.server);
  co_return Result<void>{};
}

Task<Result<void>> SharedStore::announce_missing(std::vector<Announcement> members) {
  INVARIANT(members.size() <= kBatch);
  Commands commands;
  for (const Announcement& each : members) {
    auto value = text_for(each.registration, decode_member);
    if (!value) continue;
    commands.push_back({"SET", key_of(each.kind, each.registration.server), std::move(*value), "NX",
                        "PX", text_of(each.lifetime)});
  }
  if (commands.empty()) co_return Result<void>{};
  auto replies = co_await call(std::move(commands), loop_.in(kPatience));
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  co_return Result<void>{};
}

Task<Result<void>> SharedStore::withdraw(SharedKind kind, std::string id) {
  Command command{"DEL", key_of(kind, id)};
  auto deleted = co_await ask(std::move(command), loop_.in(kPatience));
  if (!deleted) co_return std::unexpected(std::move(deleted.error()));
  hint(kGone, kind, id);
  co_return Result<void>{};
}

Task<Result<std::vector<SharedStore::Found>>> SharedStore::read(std::vector<std::string> keys) {
  INVARIANT(keys.size() <= kBatch);
  Commands commands;
  for (const std::string& key : keys) {
    commands.push_back(read_of(key));
    commands.push_back({"PTTL", key});
  }
  std::vector<Found> found;
  if (keys.empty()) co_return found;
  auto replies = co_await call(std::move(commands), loop_.in(kPatience));
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Reply& value = (*replies)[2 * i];
    const Reply& left = (*replies)[2 * i + 1];
    Found& each = found.emplace_back();
    if (kind_of_key(options_.prefix, keys[i]) == SharedKind::Route) {
      if (auto route = route_in(keys[i], value)) each = std::move(*route);
    } else if (auto member = member_in(keys[i], value, left)) {
      each = std::move(*member);
    }
  }
  co_return found;
}

Task<Result<SharedStore::Page>> SharedStore::scan(std::string cursor) {
  Command command{"SCAN",  std::move(cursor),     "MATCH", pattern_of(options_.prefix),
                  "COUNT", std::to_string(kBatch)};
  auto reply = co_await ask(std::move(command), loop_.in(kPatience));
  if (!reply) co_return std::unexpected(std::move(reply.error()));
  if (reply->items.size() != 2 || reply->items[0].text.empty())
    co_return fail(Errc::Protocol, "redis: not an answer to SCAN");
  Page page{.cursor = std::move(reply->items[0].text), .keys = {}};
  for (Reply& key : reply->items[1].items) page.keys.push_back(std::move(key.text));
  co_return page;
}

Task<Result<void>> SharedStore::put(std::string name, std::string value, milliseconds lifetime) {
  auto key = key_of(SharedKind::Session, name);
  auto text = text_for(SharedNote{std::move(name), std::move(value)}, decode_note);
  if (!text) co_return std::unexpected(text.error());
  Command command{"SET", std::move(key), std::move(*text), "PX", text_of(lifetime)};
  auto set = co_await ask(std::move(command), loop_.in(options_.timeout));
  if (!set) co_return std::unexpected(std::move(set.error()));
  co_return Result<void>{};
}

Task<Result<std::optional<std::string>>> SharedStore::get(std::string name) {
  Commands commands;
  commands.push_back(read_of(key_of(SharedKind::Session, name)));
  auto replies = co_await call(std::move(commands), loop_.in(options_.timeout));
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  if (!is_there(replies->front())) co_return std::nullopt;
  auto note = decode_note(replies->front().text);
  if (note && note->name == name) co_return std::move(note->value);
  count_bad(note ? kWrongName : reason_of(note.error()));
  co_return std::nullopt;
}

Task<Result<void>> SharedStore::remove(std::string name) {
  Command command{"DEL", key_of(SharedKind::Session, name)};
  auto deleted = co_await ask(std::move(command), loop_.in(options_.timeout));
  if (!deleted) co_return std::unexpected(std::move(deleted.error()));
  co_return Result<void>{};
}

}  // namespace weir
