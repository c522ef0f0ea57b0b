#include "common/listening.h"

#include <netdb.h>
#include <unistd.h>

#include "common/config.h"
#include "common/introduction.h"
#include "common/io/udp_socket.h"
#include "common/log.h"

namespace weir {

namespace {

Result<Address> address_of(const Endpoint& endpoint) {
  if (auto numeric = Address::parse(endpoint.host, endpoint.port)) return numeric;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found);
  if (status != 0) return fail(Errc::NotFound, endpoint.host + ": " + gai_strerror(status));
  Address address = Address::of(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  address.set_port(endpoint.port);
  return address;
}

// Descriptors that close unless they are kept.
class Opened {
 public:
  ~Opened() {
    for (const int each : descriptors_) ::close(each);
  }
  void add(int descriptor) { descriptors_.push_back(descriptor); }
  std::vector<int> keep() { return std::exchange(descriptors_, {}); }

 private:
  std::vector<int> descriptors_;
};

// One descriptor of the port for each loop.
template <class Kind>
std::vector<int> open_shared(const std::string& option, const std::optional<Endpoint>& endpoint,
                             std::size_t loops, Port port) {
  if (!endpoint) return {};
  auto address = address_of(*endpoint);
  if (!address) throw ConfigError(option + ": " + address.error().text);
  // The loops share the port by SO_REUSEPORT, which another process of ours could join unnoticed.
  if (port == Port::Free) {
    auto alone = Kind::open(*address, Kind::Sharing::Alone);
    if (!alone) throw ConfigError(option + ": " + alone.error().text);
    ::close(*alone);
  }
  Opened descriptors;
  for (std::size_t i = 0; i < loops; ++i) {
    auto opened = Kind::open(*address, Kind::Sharing::Port);
    if (!opened) throw ConfigError(option + ": " + opened.error().text);
    descriptors.add(*opened);
    address->set_port(Address::of_socket(*opened).port());
  }
  return descriptors.keep();
}

Task<void> serve_introduced(Admission& admission, std::shared_ptr<const Serve> serve,
                            std::unique_ptr<Socket> socket) {
  const Address balancer = socket->peer();
  auto introduced =
      co_await introduce(*socket, socket->loop().in(admission.introductions().patience));
  if (!introduced) {
    log::debug("connection without a PROXY header",
               {{"peer", balancer.text()}, {"error", introduced.error().text}});
    co_return;
  }
  auto ticket = admission.admit(socket->peer());
  if (ticket) co_await (*serve)(std::move(socket), std::move(ticket));
}

}  // namespace

std::vector<int> open_tcp(const std::string& option, const std::optional<Endpoint>& endpoint,
                          std::size_t loops, Port port) {
  return open_shared<Listener>(option, endpoint, loops, port);
}

std::vector<int> open_udp(const std::string& option, const std::optional<Endpoint>& endpoint,
                          std::size_t loops, Port port) {
  return open_shared<UdpSocket>(option, endpoint, loops, port);
}

std::unique_ptr<Listener> serve_clients(Loop& loop, int fd, Admission& admission, Serve serve) {
  auto shared = std::make_shared<const Serve>(std::move(serve));
  auto accepted = [&loop, &admission, shared](std::unique_ptr<Socket> socket) {
    if (admission.introductions().expected_of(socket->peer())) {
      loop.spawn(serve_introduced(admission, shared, std::move(socket)));
      return;
    }
    auto ticket = admission.admit(socket->peer());
    if (ticket) loop.spawn((*shared)(std::move(socket), std::move(ticket)));
  };
  return std::make_unique<Listener>(loop, fd, std::move(accepted));
}

void ServedPort::take_up(Loop& loop, const std::vector<int>& descriptors, Admission& admission,
                         Serve serve) {
  if (descriptors == descriptors_) return;
  close();
  descriptors_ = descriptors;
  if (descriptors.empty()) return;
  const int fd = descriptors[static_cast<std::size_t>(loop.index())];
  listener_ = serve_clients(loop, fd, admission, std::move(serve));
}

void ServedPort::close() {
  if (listener_) listener_->take_waiting();
  listener_.reset();
}

Endpoint endpoint_of(const std::vector<int>& descriptors, const Endpoint& wanted) {
  Endpoint endpoint = wanted;
  if (!descriptors.empty()) endpoint.port = Address::of_socket(descriptors.front()).port();
  return endpoint;
}

}  // namespace weir
