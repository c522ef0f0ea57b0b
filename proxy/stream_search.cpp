#include "proxy/stream_search.h"

#include <spdlog/fmt/fmt.h>

#include "common/log.h"
#include "proxy/api_fetch.h"
#include "proxy/srs_streams.h"

namespace weir {

std::vector<UpstreamPtr> StreamSearch::to_ask() const {
  std::vector<UpstreamPtr> asked;
  for (const auto& [id, entry] : registry_.entries()) {
    if (asked.size() == kMaxAsked) break;
    const bool well = registry_.alive(entry, loop_.now()) && !Registry::ejected(entry, loop_.now());
    if (well && entry.upstream->speaks(Protocol::Api)) asked.push_back(entry.upstream);
  }
  return asked;
}

bool StreamSearch::possible() const { return !to_ask().empty(); }

Task<std::optional<std::string>> StreamSearch::find(std::string key) {
  const Deadline deadline = loop_.in(options_.patience);
  while (!asked_ || round_under_way_ || loop_.now() - *asked_ >= options_.fresh) {
    if (!round_under_way_) {
      co_await run_round();
      break;
    }
    auto ended = co_await round_ended_.wait(deadline);
    if (!ended) co_return std::nullopt;
  }
  const auto home = homes_.find(key);
  std::optional<std::string> found;
  if (home != homes_.end()) found = home->second;
  co_return found;
}

Task<void> StreamSearch::run_round() {
  round_under_way_ = true;
  asked_ = loop_.now();
  homes_.clear();
  Resolver resolver(loop_);
  const Deadline deadline = loop_.in(options_.patience);
  std::vector<std::unique_ptr<Child>> questions;
  for (const UpstreamPtr& upstream : to_ask()) {
    questions.push_back(std::make_unique<Child>(loop_));
    questions.back()->start(ask(resolver, upstream, deadline));
  }
  for (auto& question : questions) co_await question->join();
  round_under_way_ = false;
  round_ended_.notify();
}

Task<void> StreamSearch::ask(Resolver& resolver, UpstreamPtr upstream, Deadline deadline) {
  const Endpoint endpoint = upstream->at(Protocol::Api).front();
  auto target = fmt::format("/api/v1/streams/?start=0&count={}", kMaxSrsStreams);
  auto body = co_await fetch_api(resolver, upstream, endpoint, std::move(target),
                                 kMaxSrsStreamsBody, deadline);
  Result<std::vector<std::string>> keys = std::unexpected(Error{Errc::Cancelled, ""});
  if (body)
    keys = published_in(*body);
  else
    keys = std::unexpected(body.error());
  if (!keys) {
    log::debug("an API does not say what streams it has",
               {{"upstream", upstream->id}, {"error", keys.error().text}});
    co_return;
  }
  for (std::string& key : *keys) {
    const auto [at, fresh] = homes_.try_emplace(std::move(key), upstream->id);
    if (!fresh && upstream->id < at->second) at->second = upstream->id;
  }
}

}  // namespace weir
