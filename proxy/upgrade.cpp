#include "proxy/upgrade.h"

#include "common/log.h"
#include "proxy/router_handover.h"

namespace weir {

namespace {
constexpr milliseconds kAnswer{1000};
}  // namespace

Upgrade::Upgrade(std::vector<std::string> arguments, Departure& departure, Systemd& systemd,
                 Routing& routing, Metrics& metrics)
    : departure_(departure),
      systemd_(systemd),
      routing_(routing),
      failures_(metrics.counter("weir_upgrade_failures_total",
                                "Upgrades whose new process did not become ready.")),
      successor_(std::move(arguments)) {}

void Upgrade::begin(Successor::Offer offer, milliseconds patience) {
  auto state = routing_.ask_from_outside(
      [](Router& router) { return tell_all(router, Clock::now()); }, kAnswer);
  if (!state) return failed(state.error());
  offer.state = std::move(*state);
  auto started = successor_.start(std::move(offer), patience, [this](const Result<int>& pid) {
    departure_.post([this, pid] { became(pid); });
  });
  if (!started) return failed(started.error());
  log::info("upgrade begins");
}

void Upgrade::failed(const Error& why) {
  failures_.Increment();
  log::error("no upgrade, this process goes on", {{"error", why.text}});
}

void Upgrade::became(const Result<int>& pid) {
  if (!pid) return failed(pid.error());
  systemd_.main_is(*pid);
  if (auto given = routing_.hand_over(kAnswer); !given)
    log::warn("the state is not given up", {{"error", given.error().text}});
  successor_.confirm([this] {
    auto held =
        routing_.ask_from_outside([](Router& router) { return tell_held(router); }, kAnswer);
    return held ? std::move(*held) : std::vector<std::string>{};
  });
  log::info("upgraded", {{"pid", *pid}});
  departure_.make_way();
}

}  // namespace weir
