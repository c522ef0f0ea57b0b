#include "proxy/system_apis.h"

#include <utility>

#include "proxy/proxy_setup.h"

namespace weir {

SystemApis::SystemApis(SystemApi::Identity identity, Handlers handlers, LiveEvents& events,
                       TlsServer& tls, const Config& config, OpenPorts known)
    : identity_(std::move(identity)), handlers_(std::move(handlers)), events_(events), tls_(tls) {
  PortOpener opener(1, std::move(known));
  for (const auto& [option, each] : handlers_) {
    const auto socket = opener.single(option, config.listen(option));
    if (!socket.empty()) apis_[option] = make(option, config, socket.front());
  }
  open_ = opener.keep();
}

std::unique_ptr<SystemApi> SystemApis::make(const std::string& option, const Config& config,
                                            int socket) const {
  const bool encrypted = option.ends_with("_https");
  return std::make_unique<SystemApi>(SystemApi::Options{.option = option,
                                                        .listen = *config.listen(option),
                                                        .socket = socket,
                                                        .allow = config.networks("system.allow"),
                                                        .token = config.text("api.token"),
                                                        .hops = trusted_hops_of(config),
                                                        .identity = identity_,
                                                        .events = &events_,
                                                        .tls = encrypted ? &tls_ : nullptr},
                                     handlers_.at(option));
}

Reload::Part SystemApis::part() {
  return [this](const Config& before, const Config& after) { return prepare(before, after); };
}

Reload::Commit SystemApis::prepare(const Config& before, const Config& after) {
  auto opener = std::make_unique<PortOpener>(1, open_);
  std::map<std::string, int> moved;  // to a socket, or nowhere
  for (const auto& [option, each] : handlers_) {
    const auto socket = opener->single(option, after.listen(option));
    if (before.text(option) != after.text(option))
      moved[option] = socket.empty() ? -1 : socket.front();
  }
  return [this, opener = std::move(opener), moved = std::move(moved), after] {
    for (const auto& [option, socket] : moved) {
      auto old = std::exchange(apis_[option], nullptr);
      if (socket >= 0) apis_[option] = make(option, after, socket);
      if (!old) continue;
      old->stop_accepting();
      leaving_.clear();
      leaving_.push_back(std::move(old));
    }
    for (const auto& [option, api] : apis_)
      if (api)
        api->change(after.networks("system.allow"), after.text("api.token"),
                    trusted_hops_of(after));
    open_ = opener->keep();
  };
}

void SystemApis::stop_accepting() {
  for (const auto& [option, api] : apis_)
    if (api) api->stop_accepting();
}

void SystemApis::close() {
  apis_.clear();
  leaving_.clear();
}

}  // namespace weir
