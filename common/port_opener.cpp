#include "common/port_opener.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace weir {

PortOpener::~PortOpener() {
  for (const int fd : opened_) ::close(fd);
}

std::vector<int> PortOpener::tcp(const std::string& option,
                                 const std::optional<Endpoint>& endpoint) {
  return have(option, "tcp", endpoint, loops_, open_tcp);
}

std::vector<int> PortOpener::udp(const std::string& option,
                                 const std::optional<Endpoint>& endpoint) {
  return have(option, "udp", endpoint, loops_, open_udp);
}

std::vector<int> PortOpener::single(const std::string& option,
                                    const std::optional<Endpoint>& endpoint) {
  return have(option, "tcp", endpoint, 1, open_tcp);
}

OpenPorts PortOpener::keep() {
  opened_.clear();
  return std::exchange(asked_, {});
}

template <class Open>
std::vector<int> PortOpener::have(const std::string& option, const char* transport,
                                  const std::optional<Endpoint>& endpoint, std::size_t count,
                                  Open open) {
  if (!endpoint) return {};
  const std::string name = fmt::format("{} {} {}", option, transport, to_string(*endpoint));
  if (const auto found = known_.find(name); found != known_.end() && found->second.size() == count)
    return asked_[name] = found->second;
  const Port port = held(transport, endpoint->port) ? Port::Held : Port::Free;
  auto descriptors = open(option, endpoint, count, port);
  opened_.insert(opened_.end(), descriptors.begin(), descriptors.end());
  return asked_[name] = std::move(descriptors);
}

bool PortOpener::held(const char* transport, std::uint16_t port) const {
  const std::string same = fmt::format(" {} ", transport);
  return port != 0 && std::ranges::any_of(known_, [&](const auto& each) {
           return each.first.contains(same) && Address::of_socket(each.second.at(0)).port() == port;
         });
}

void close_others(const OpenPorts& before, const OpenPorts& after) {
  std::vector<int> kept;
  for (const auto& [name, descriptors] : after)
    kept.insert(kept.end(), descriptors.begin(), descriptors.end());
  for (const auto& [name, descriptors] : before)
    for (const int fd : descriptors)
      if (std::ranges::find(kept, fd) == kept.end()) ::close(fd);
}

}  // namespace weir
