#include "proxy/system_api.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerConnection.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/SecureStreamSocket.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerDispatcher.h>
#include <Poco/ThreadPool.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "common/config_sources.h"
#include "common/io/tls_server.h"
#include "common/signals_blocked.h"
#include "proxy/connection_watch.h"
#include "proxy/live_events.h"
#include "proxy/system_sender.h"

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;
using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerResponse;
using Status = Poco::Net::HTTPResponse::HTTPStatus;

constexpr std::chrono::milliseconds kSweepPeriod{50};
constexpr std::chrono::milliseconds kIdlePeriod{250};
constexpr std::chrono::milliseconds kLastAnswers{500};
constexpr int kBacklog = 256;
constexpr std::chrono::seconds kIdle{2};  // between two requests of a connection
constexpr int kRequestsPerConnection = 16;

// The body of a POST. Errors: a refusal.
std::expected<std::string, SystemAnswer> read_body(HTTPServerRequest& request) {
  const bool chunked = request.getChunkedTransferEncoding();
  const bool sized = request.hasContentLength();
  if (chunked && sized)
    return std::unexpected(refusal(400, "body: both Content-Length and Transfer-Encoding"));
  if (!chunked && !sized) return std::unexpected(refusal(411, "body: no Content-Length"));
  const auto size = sized ? request.getContentLength64() : 0;
  if (size < 0) return std::unexpected(refusal(400, "body: Content-Length is negative"));

  const auto too_long = fmt::format("body: more than {} bytes", kMaxRegistrationBody);
  if (static_cast<std::uint64_t>(size) > kMaxRegistrationBody)
    return std::unexpected(refusal(413, too_long));
  std::string body;
  char piece[4096];
  while (request.stream().good() && body.size() <= kMaxRegistrationBody) {
    const auto room = std::min(sizeof piece, kMaxRegistrationBody + 1 - body.size());
    request.stream().read(piece, static_cast<std::streamsize>(room));
    body.append(piece, static_cast<std::size_t>(request.stream().gcount()));
  }
  if (body.size() > kMaxRegistrationBody) return std::unexpected(refusal(413, too_long));
  if (request.stream().bad() || (sized && body.size() != static_cast<std::uint64_t>(size)))
    return std::unexpected(refusal(400, "body: cut short"));
  return body;
}

// The pages, and who may ask for others.
struct Rules {
  SystemPages pages;
  TrustedHops hops;
};

// As they are now.
class CurrentRules {
 public:
  using Current = std::shared_ptr<const Rules>;

  explicit CurrentRules(Current rules) : rules_(std::move(rules)) {}
  Current get() const {
    const std::lock_guard lock{mutex_};
    return rules_;
  }
  void replace(Current rules) {
    const std::lock_guard lock{mutex_};
    rules_.swap(rules);
  }

 private:
  mutable std::mutex mutex_;
  Current rules_;
};

class Responder final : public Poco::Net::HTTPRequestHandler {
 public:
  Responder(const CurrentRules& rules, LiveEvents* events, ConnectionWatch::Visit& visit)
      : rules_(rules.get()), events_(events), visit_(visit) {}

  void handleRequest(HTTPServerRequest& request, HTTPServerResponse& response) override {
    SystemAnswer answer;
    bool body_read = false;
    try {
      visit_.answering();
      const auto read = [&] {
        visit_.reading();
        body_read = true;
        auto body = read_body(request);
        visit_.answering();
        return body;
      };
      auto sender = sender_of(request, rules_->hops);
      answer = sender ? rules_->pages.answer({.method = request.getMethod(),
                                              .target = request.getURI(),
                                              .sender = std::move(*sender),
                                              .authorization = request.get("Authorization", ""),
                                              .host = request.get("Host", ""),
                                              .origin = request.get("Origin", ""),
                                              .if_none_match = request.get("If-None-Match", "")},
                                             read)
                      : sender.error();
    } catch (const std::exception&) {
      answer = refusal(500, "internal error");
    }
    if (answer.events && events_ != nullptr) {
      response.setKeepAlive(false);
      events_->take(dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request).detachSocket());
      return;
    }
    response.setStatusAndReason(static_cast<Status>(answer.status));
    response.setContentType(answer.type);
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Cache-Control", "no-store");
    for (const auto& [name, value] : answer.headers) response.set(name, value);
    if (!answer.allow.empty()) response.set("Allow", answer.allow);
    if (!answer.authenticate.empty()) response.set("WWW-Authenticate", answer.authenticate);
    // What is left of an unread body must not be taken for the next request.
    const bool has_body = request.hasContentLength() ? request.getContentLength64() != 0
                                                     : request.getChunkedTransferEncoding();
    if (answer.status != 200 || (has_body && !body_read)) response.setKeepAlive(false);
    response.sendBuffer(answer.body.data(), answer.body.size());
    visit_.reading();
  }

 private:
  const CurrentRules::Current rules_;
  LiveEvents* const events_;
  ConnectionWatch::Visit& visit_;
};

class ResponderFactory final : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  ResponderFactory(const CurrentRules& rules, LiveEvents* events,
                   std::shared_ptr<ConnectionWatch::Visit> visit)
      : rules_(rules), events_(events), visit_(std::move(visit)) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override {
    return new Responder{rules_, events_, *visit_};
  }

 private:
  const CurrentRules& rules_;
  LiveEvents* const events_;
  const std::shared_ptr<ConnectionWatch::Visit> visit_;
};

using Params = Poco::Net::HTTPServerParams;

class ConnectionFactory final : public Poco::Net::TCPServerConnectionFactory {
 public:
  ConnectionFactory(const CurrentRules& rules, LiveEvents* events, ConnectionWatch& watch,
                    Params::Ptr params)
      : rules_(rules), events_(events), watch_(watch), params_(std::move(params)) {}

  Poco::Net::TCPServerConnection* createConnection(const Poco::Net::StreamSocket& socket) override {
    auto visit = std::make_shared<ConnectionWatch::Visit>(watch_, socket.impl()->sockfd());
    return new Connection{socket, params_, new ResponderFactory{rules_, events_, visit}, visit};
  }

 private:
  class Connection final : public Poco::Net::HTTPServerConnection {
   public:
    Connection(const Poco::Net::StreamSocket& socket, const Params::Ptr& params,
               ResponderFactory* factory, const std::shared_ptr<ConnectionWatch::Visit>& visit)
        : HTTPServerConnection(socket, params, factory), visit_(visit) {}
    void run() override {
      if (visit_->watched()) HTTPServerConnection::run();
    }

   private:
    const std::shared_ptr<ConnectionWatch::Visit> visit_;
  };

  const CurrentRules& rules_;
  LiveEvents* const events_;
  ConnectionWatch& watch_;
  const Params::Ptr params_;
};

Poco::Timespan timespan(std::chrono::microseconds duration) {
  return Poco::Timespan{duration.count()};
}

Poco::Net::ServerSocket listen_at(const std::string& host, std::uint16_t port) {
  // SO_REUSEPORT would let a second process share the port silently.
  constexpr bool kReuseAddress = true;
  constexpr bool kReusePort = false;
  Poco::Net::ServerSocket socket;
  const Poco::Net::SocketAddress address{host, port};
  if (address.family() == Poco::Net::SocketAddress::IPv6) {
    constexpr bool kIpv6Only = false;
    socket.bind6(address, kReuseAddress, kReusePort, kIpv6Only);
  } else {
    socket.bind(address, kReuseAddress, kReusePort);
  }
  socket.listen(kBacklog);
  return socket;
}

// Poco makes its sockets itself; this is one that listens already.
class Adopted final : public Poco::Net::ServerSocket {
 public:
  explicit Adopted(int socket) : ServerSocket(new Implementation(socket), true) {}

 private:
  class Implementation final : public Poco::Net::ServerSocketImpl {
   public:
    explicit Implementation(int socket) { reset(socket); }
  };
};

Poco::Net::ServerSocket listen(const SystemApi::Options& options) {
  const Endpoint& at = options.listen;
  if (options.socket >= 0) return Adopted(options.socket);
  try {
    if (!at.host.empty()) return listen_at(at.host, at.port);
    try {
      return listen_at("::", at.port);
    } catch (const Poco::Exception& error) {
      const bool no_ipv6 = error.code() == EAFNOSUPPORT || error.code() == EADDRNOTAVAIL;
      if (!no_ipv6) throw;
      return listen_at("0.0.0.0", at.port);
    }
  } catch (const Poco::Exception& error) {
    throw ConfigError(fmt::format("{}: cannot listen on {}: {}", options.option, to_string(at),
                                  error.displayText()));
  }
}

Poco::Net::Context::Ptr context_of(TlsServer* tls) {
  using Poco::Net::Context;
  if (tls == nullptr) return nullptr;
  const Context::Ptr context = new Context{Context::TLS_SERVER_USE, "", Context::VERIFY_NONE};
  tls->lend_to(context->sslContext());
  return context;
}

Params::Ptr params_of(const SystemApi::Options& options) {
  Params::Ptr params = new Params;
  params->setMaxThreads(static_cast<int>(options.threads));
  params->setMaxQueued(static_cast<int>(options.max_waiting));
  params->setTimeout(timespan(options.deadline));
  params->setKeepAlive(true);
  params->setKeepAliveTimeout(timespan(kIdle));
  params->setMaxKeepAliveRequests(kRequestsPerConnection);
  return params;
}

}  // namespace

class SystemApi::Server {
 public:
  Server(const Options& options, Handlers handlers)
      : socket_(listen(options)),
        tls_(context_of(options.tls)),
        identity_(options.identity),
        handlers_(std::move(handlers)),
        rules_(rules_of(options.allow, options.token, options.hops)),
        watch_(options.deadline, options.hurry),
        pool_(1, static_cast<int>(options.threads)) {
    // Another process may be quicker to accept who is waiting.
    socket_.setBlocking(false);
    const Params::Ptr params = params_of(options);
    dispatcher_ = new Poco::Net::TCPServerDispatcher(
        new ConnectionFactory{rules_, options.events, watch_, params}, pool_, params);
    door_ = std::thread{[this] { keep_door(); }};
  }

  ~Server() {
    stopping_ = true;
    wake();
    door_.join();
    ::close(wake_);
    dispatcher_->stop();
    watch_.end_all(kLastAnswers);
    pool_.joinAll();
    dispatcher_->release();
  }

  std::uint16_t port() const { return socket_.address().port(); }

  void stop_accepting() {
    accepting_ = false;
    wake();
  }

  void change(CidrList allow, std::string token, TrustedHops hops) {
    rules_.replace(rules_of(std::move(allow), std::move(token), std::move(hops)));
  }

 private:
  CurrentRules::Current rules_of(CidrList allow, std::string token, TrustedHops hops) const {
    return std::make_shared<const Rules>(
        SystemPages(identity_, std::move(allow), handlers_, std::move(token)), std::move(hops));
  }

  void wake() const { ::eventfd_write(wake_, 1); }

  bool somebody_waits(std::chrono::milliseconds patience) {
    if (!accepting_) socket_.close();
    // poll(2): a negative descriptor is ignored.
    pollfd events[] = {{socket_.impl()->sockfd(), POLLIN, 0}, {wake_, POLLIN, 0}};
    if (::poll(events, 2, static_cast<int>(patience.count())) <= 0) return false;
    eventfd_t wakes = 0;
    if (events[1].revents != 0) ::eventfd_read(wake_, &wakes);
    return events[0].revents != 0 && accepting_ && !stopping_;
  }

  // Shakes hands when it is first read from, by a thread of the pool.
  Poco::Net::StreamSocket welcome(const Poco::Net::StreamSocket& guest) const {
    if (!tls_) return guest;
    return Poco::Net::SecureStreamSocket::attach(guest, tls_);
  }

  // Who has just come waits for a moment although a thread is free.
  bool somebody_needs_a_thread() const {
    return dispatcher_->queuedConnections() > 0 &&
           dispatcher_->currentConnections() >= dispatcher_->maxThreads();
  }

  void keep_door() {
    while (!stopping_) {
      const bool quiet = watch_.empty() && dispatcher_->queuedConnections() == 0;
      const auto period = quiet ? kIdlePeriod : kSweepPeriod;
      try {
        if (somebody_waits(period)) {
          std::optional guest{welcome(socket_.acceptConnection())};
          dispatcher_->enqueue(*guest);
          watch_.part_with(guest);
        }
      } catch (const Poco::Exception&) {
        // Mostly descriptors have run out, or another process took the guest; without a pause poll() would return at once.
        std::this_thread::sleep_for(kSweepPeriod);
      }
      watch_.sweep(Clock::now(), somebody_needs_a_thread());
    }
  }

  Poco::Net::ServerSocket socket_;
  const Poco::Net::Context::Ptr tls_;  // null: plain HTTP
  const int wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const Identity identity_;
  const Handlers handlers_;
  CurrentRules rules_;
  ConnectionWatch watch_;
  Poco::ThreadPool pool_;
  Poco::Net::TCPServerDispatcher* dispatcher_ = nullptr;  // counts its own references
  std::atomic<bool> accepting_{true};
  std::atomic<bool> stopping_{false};
  std::thread door_;
};

SystemApi::SystemApi(const Options& options, Handlers handlers) {
  const SignalsBlocked in_new_threads;
  server_ = std::make_unique<Server>(options, std::move(handlers));
}

SystemApi::~SystemApi() = default;

void SystemApi::change(CidrList allow, std::string token, TrustedHops hops) {
  server_->change(std::move(allow), std::move(token), std::move(hops));
}

void SystemApi::stop_accepting() { server_->stop_accepting(); }

std::uint16_t SystemApi::port() const { return server_->port(); }

}  // namespace weir
