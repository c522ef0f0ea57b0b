#include "proxy/system_api.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerConnection.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/SecureServerSocket.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerDispatcher.h>
#include <Poco/ThreadPool.h>
#include <pthread.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "common/config_sources.h"
#include "common/io/tls_server.h"
#include "proxy/connection_watch.h"

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;
using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerResponse;
using Status = Poco::Net::HTTPResponse::HTTPStatus;

constexpr std::chrono::milliseconds kSweepPeriod{50};
constexpr std::chrono::milliseconds kIdlePeriod{250};
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

class Responder final : public Poco::Net::HTTPRequestHandler {
 public:
  Responder(const SystemPages& pages, ConnectionWatch::Visit& visit)
      : pages_(pages), visit_(visit) {}

  void handleRequest(HTTPServerRequest& request, HTTPServerResponse& response) override {
    SystemAnswer answer;
    bool body_read = false;
    try {
      visit_.answering();
      answer = pages_.answer({.method = request.getMethod(),
                              .target = request.getURI(),
                              .sender = request.clientAddress().host().toString(),
                              .authorization = request.get("Authorization", ""),
                              .host = request.get("Host", ""),
                              .origin = request.get("Origin", "")},
                             [&] {
                               visit_.reading();
                               body_read = true;
                               auto body = read_body(request);
                               visit_.answering();
                               return body;
                             });
    } catch (const std::exception&) {
      answer = refusal(500, "internal error");
    }
    response.setStatusAndReason(static_cast<Status>(answer.status));
    response.setContentType(answer.type);
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Cache-Control", "no-store");
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
  const SystemPages& pages_;
  ConnectionWatch::Visit& visit_;
};

class ResponderFactory final : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  ResponderFactory(const SystemPages& pages, std::shared_ptr<ConnectionWatch::Visit> visit)
      : pages_(pages), visit_(std::move(visit)) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override {
    return new Responder{pages_, *visit_};
  }

 private:
  const SystemPages& pages_;
  const std::shared_ptr<ConnectionWatch::Visit> visit_;
};

using Params = Poco::Net::HTTPServerParams;

class ConnectionFactory final : public Poco::Net::TCPServerConnectionFactory {
 public:
  ConnectionFactory(const SystemPages& pages, ConnectionWatch& watch, Params::Ptr params)
      : pages_(pages), watch_(watch), params_(std::move(params)) {}

  Poco::Net::TCPServerConnection* createConnection(const Poco::Net::StreamSocket& socket) override {
    auto visit = std::make_shared<ConnectionWatch::Visit>(watch_, socket.impl()->sockfd());
    return new Connection{socket, params_, pages_, visit};
  }

 private:
  class Connection final : public Poco::Net::HTTPServerConnection {
   public:
    Connection(const Poco::Net::StreamSocket& socket, const Params::Ptr& params,
               const SystemPages& pages, const std::shared_ptr<ConnectionWatch::Visit>& visit)
        : HTTPServerConnection(socket, params, new ResponderFactory{pages, visit}), visit_(visit) {}
    void run() override {
      if (visit_->watched()) HTTPServerConnection::run();
    }

   private:
    const std::shared_ptr<ConnectionWatch::Visit> visit_;
  };

  const SystemPages& pages_;
  ConnectionWatch& watch_;
  const Params::Ptr params_;
};

// A thread that is born under this takes no signal: they are for the main thread.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

Poco::Timespan timespan(std::chrono::microseconds duration) {
  return Poco::Timespan{duration.count()};
}

Poco::Net::ServerSocket socket_for(TlsServer* tls) {
  if (tls == nullptr) return {};
  using Poco::Net::Context;
  const Context::Ptr context = new Context{Context::TLS_SERVER_USE, "", Context::VERIFY_NONE};
  tls->lend_to(context->sslContext());
  return Poco::Net::SecureServerSocket{context};
}

Poco::Net::ServerSocket listen_at(const std::string& host, std::uint16_t port, TlsServer* tls) {
  // SO_REUSEPORT would let a second process share the port silently.
  constexpr bool kReuseAddress = true;
  constexpr bool kReusePort = false;
  Poco::Net::ServerSocket socket = socket_for(tls);
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

Poco::Net::ServerSocket listen(const SystemApi::Options& options) {
  const Endpoint& at = options.listen;
  try {
    if (!at.host.empty()) return listen_at(at.host, at.port, options.tls.get());
    try {
      return listen_at("::", at.port, options.tls.get());
    } catch (const Poco::Exception& error) {
      const bool no_ipv6 = error.code() == EAFNOSUPPORT || error.code() == EADDRNOTAVAIL;
      if (!no_ipv6) throw;
      return listen_at("0.0.0.0", at.port, options.tls.get());
    }
  } catch (const Poco::Exception& error) {
    throw ConfigError(fmt::format("{}: cannot listen on {}: {}", options.option, to_string(at),
                                  error.displayText()));
  }
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
        pages_(options.identity, options.allow, std::move(handlers), options.token),
        watch_(options.deadline, options.hurry),
        pool_(1, static_cast<int>(options.threads)) {
    const Params::Ptr params = params_of(options);
    dispatcher_ = new Poco::Net::TCPServerDispatcher(new ConnectionFactory{pages_, watch_, params},
                                                     pool_, params);
    door_ = std::thread{[this] { keep_door(); }};
  }

  ~Server() {
    stopping_ = true;
    // Wakes the door's poll().
    ::shutdown(socket_.impl()->sockfd(), SHUT_RDWR);
    door_.join();
    dispatcher_->stop();
    watch_.end_all();
    pool_.joinAll();
    dispatcher_->release();
  }

  std::uint16_t port() const { return socket_.address().port(); }

 private:
  void keep_door() {
    while (!stopping_) {
      const bool quiet = watch_.empty() && dispatcher_->queuedConnections() == 0;
      const auto period = quiet ? kIdlePeriod : kSweepPeriod;
      try {
        if (socket_.poll(timespan(period), Poco::Net::Socket::SELECT_READ) && !stopping_) {
          std::optional guest{socket_.acceptConnection()};
          dispatcher_->enqueue(*guest);
          watch_.part_with(guest);
        }
      } catch (const Poco::Exception&) {
        // Mostly descriptors have run out; without a pause poll() would return at once.
        std::this_thread::sleep_for(kSweepPeriod);
      }
      watch_.sweep(Clock::now(), dispatcher_->queuedConnections() > 0);
    }
  }

  Poco::Net::ServerSocket socket_;
  const SystemPages pages_;
  ConnectionWatch watch_;
  Poco::ThreadPool pool_;
  Poco::Net::TCPServerDispatcher* dispatcher_ = nullptr;  // counts its own references
  std::atomic<bool> stopping_{false};
  std::thread door_;
};

SystemApi::SystemApi(const Options& options, Handlers handlers) {
  const SignalsBlocked in_new_threads;
  server_ = std::make_unique<Server>(options, std::move(handlers));
}

SystemApi::~SystemApi() = default;

std::uint16_t SystemApi::port() const { return server_->port(); }

}  // namespace weir
