#include "proxy/cluster_client.h"

#include <spdlog/fmt/fmt.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "proxy/api_fetch.h"

namespace weir {

namespace {

constexpr milliseconds kSlack{200};  // for the loop to say that time is up

struct Peer {
  UpstreamPtr upstream;
  Endpoint endpoint;
};

}  // namespace

struct ClusterClient::Round {
  std::string target;
  std::vector<Peer> peers;
  std::mutex mutex;
  std::condition_variable complete;
  std::vector<std::optional<Result<std::string>>> bodies;
  std::size_t missing = 0;
};

ClusterClient::ClusterClient(Loop& loop, milliseconds patience) : loop_(loop), patience_(patience) {
  std::promise<void> made;
  loop_.post([&] {
    resolver_ = std::make_unique<Resolver>(loop_);
    made.set_value();
  });
  made.get_future().wait();
}

ClusterClient::~ClusterClient() {
  std::promise<void> gone;
  loop_.post([&] {
    resolver_.reset();
    gone.set_value();
  });
  gone.get_future().wait();
}

Task<void> ClusterClient::ask(std::shared_ptr<Round> round, std::size_t index, Resolver& resolver,
                              milliseconds patience) {
  const Peer& peer = round->peers[index];
  auto body = co_await fetch_api(resolver, peer.upstream, peer.endpoint, round->target,
                                 ClusterClient::kMaxBody, resolver.loop().in(patience));
  const std::lock_guard lock(round->mutex);
  round->bodies[index].emplace(std::move(body));
  if (--round->missing == 0) round->complete.notify_one();
}

std::vector<ClusterAnswer> ClusterClient::get(const std::vector<UpstreamState>& upstreams,
                                              const std::string& target) {
  auto round = std::make_shared<Round>();
  round->target = target;
  std::vector<ClusterAnswer> answers;
  for (const UpstreamState& state : upstreams) {
    const auto& endpoints = state.upstream->at(Protocol::Api);
    if (endpoints.empty()) continue;
    answers.push_back({state.upstream->id, fail(Errc::Timeout, "no answer in time")});
    if (round->peers.size() < kMaxPeers)
      round->peers.push_back({state.upstream, endpoints.front()});
    else
      answers.back().body = fail(Errc::Limit, "not asked: too many upstreams");
  }
  round->bodies.resize(round->peers.size());
  round->missing = round->peers.size();
  loop_.post([this, round] {
    for (std::size_t i = 0; i < round->peers.size(); ++i)
      loop_.spawn(ask(round, i, *resolver_, patience_));
  });
  std::unique_lock lock(round->mutex);
  round->complete.wait_for(lock, patience_ + kSlack, [&] { return round->missing == 0; });
  for (std::size_t i = 0; i < round->peers.size(); ++i)
    if (round->bodies[i]) answers[i].body = std::move(*round->bodies[i]);
  return answers;
}

}  // namespace weir
