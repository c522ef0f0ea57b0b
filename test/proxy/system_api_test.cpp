// The clients here block in recv() until the server answers or hangs up; nothing sleeps.
#include "proxy/system_api.h"

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/StreamCopier.h>
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <latch>
#include <semaphore>
#include <thread>
#include <vector>
#include <catch2/catch.hpp>

#include "common/config_sources.h"

namespace weir {
namespace {

using namespace std::chrono_literals;
using Poco::Net::HTTPRequest;
using Poco::Net::HTTPResponse;
using Poco::Net::StreamSocket;

constexpr const char* kBeat =
    R"({"ip":"10.0.0.5","server":"o","service":"s","pid":"9","rtmp":["1935"]})";

SystemApi::Options options(const std::string& host = "127.0.0.1") {
  SystemApi::Options made;
  made.listen = {host, 0};
  made.allow = CidrList::parse("loopback").value();
  made.identity = {"weir-1", "8dh3", "77", "1.2.34"};
  return made;
}

SystemApi::Handlers handlers() {
  return {.registered = [](const Registration&) -> Result<void> { return {}; },
          .metrics = [] { return std::string{"weir_up 1\n"}; }};
}

struct Reply {
  int status = 0;
  std::string body;
  HTTPResponse head;
};

Reply ask(Poco::Net::HTTPClientSession& session, const std::string& method, const std::string& path,
          const std::string& body = {}, bool chunked = false) {
  HTTPRequest request{method, path, HTTPRequest::HTTP_1_1};
  if (chunked) {
    request.setChunkedTransferEncoding(true);
  } else if (!body.empty()) {
    request.setContentLength(static_cast<std::streamsize>(body.size()));
  }
  session.sendRequest(request) << body << std::flush;
  Reply reply;
  auto& in = session.receiveResponse(reply.head);
  reply.status = reply.head.getStatus();
  Poco::StreamCopier::copyToString(in, reply.body);
  return reply;
}

Reply ask(const SystemApi& api, const std::string& method, const std::string& path,
          const std::string& body = {}, bool chunked = false,
          const std::string& host = "127.0.0.1") {
  Poco::Net::HTTPClientSession session{host, api.port()};
  session.setTimeout(Poco::Timespan(20, 0));
  return ask(session, method, path, body, chunked);
}

StreamSocket connected(const SystemApi& api) {
  StreamSocket socket{Poco::Net::SocketAddress{"127.0.0.1", api.port()}};
  socket.setReceiveTimeout(Poco::Timespan(20, 0));
  return socket;
}

void send(StreamSocket& socket, std::string_view text) {
  socket.sendBytes(text.data(), static_cast<int>(text.size()));
}

// All that the server sends until it hangs up, by FIN or RST.
std::string rest(StreamSocket& socket) {
  std::string all;
  char piece[1024];
  try {
    while (const int size = socket.receiveBytes(piece, sizeof piece))
      all.append(piece, static_cast<std::size_t>(size));
  } catch (const Poco::Exception&) {
  }
  return all;
}

}  // namespace

TEST_CASE("an origin registers over HTTP", "[system_api][threads]") {
  std::string server;
  auto with = handlers();
  with.registered = [&](const Registration& registration) -> Result<void> {
    server = registration.server;
    return {};
  };
  const SystemApi api{options(), with};
  for (const bool chunked : {false, true}) {
    const Reply reply = ask(api, "POST", "/api/v1/srs/register", kBeat, chunked);
    CHECK(reply.status == 200);
    CHECK(reply.body == R"({"code":0,"pid":"77"})");
  }
  CHECK(server == "o");
}

TEST_CASE("answers say what they are and forbid guessing", "[system_api][threads]") {
  const SystemApi api{options(), handlers()};
  const Reply metrics = ask(api, "GET", "/metrics");
  CHECK(metrics.body == "weir_up 1\n");
  CHECK(metrics.head.getContentType() == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.head.get("X-Content-Type-Options") == "nosniff");
  CHECK_FALSE(metrics.head.has("Access-Control-Allow-Origin"));
  CHECK(ask(api, "GET", "/healthz").head.getContentType() == "application/json");
  CHECK(ask(api, "DELETE", "/metrics").head.get("Allow") == "GET, HEAD");
  const Reply head = ask(api, "HEAD", "/metrics");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
}

TEST_CASE("the system API listens on IPv6 and on every address", "[system_api][threads]") {
  const SystemApi six{options("::1"), handlers()};
  CHECK(ask(six, "POST", "/api/v1/srs/register", kBeat, false, "::1").status == 200);
  const SystemApi all{options(""), handlers()};
  CHECK(ask(all, "POST", "/api/v1/srs/register", kBeat).status == 200);
  CHECK(ask(all, "POST", "/api/v1/srs/register", kBeat, false, "::1").status == 200);
}

TEST_CASE("several requests go through one connection", "[system_api][threads]") {
  const SystemApi api{options(), handlers()};
  Poco::Net::HTTPClientSession session{"127.0.0.1", api.port()};
  session.setKeepAlive(true);
  for (int i = 0; i < 3; ++i) {
    const Reply reply = ask(session, "GET", "/healthz");
    CHECK(reply.status == 200);
    CHECK(reply.head.getKeepAlive());
  }
}

TEST_CASE("a handler that throws is an internal error, not the end", "[system_api][threads]") {
  auto with = handlers();
  with.metrics = []() -> std::string { throw std::runtime_error("secret"); };
  const SystemApi api{options(), with};
  const Reply reply = ask(api, "GET", "/metrics");
  CHECK(reply.status == 500);
  CHECK(reply.body == R"({"code":500,"error":"internal error"})");
}

TEST_CASE("a body of 64 KiB is read and one byte more is refused", "[system_api][threads]") {
  const SystemApi api{options(), handlers()};
  std::string body = kBeat;
  body.resize(kMaxRegistrationBody, ' ');
  for (const bool chunked : {false, true})
    CHECK(ask(api, "POST", "/api/v1/srs/register", body, chunked).status == 200);

  auto socket = connected(api);
  send(socket, fmt::format("POST /api/v1/srs/register HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
                           kMaxRegistrationBody + 1));
  CHECK(rest(socket).starts_with("HTTP/1.1 413 "));

  auto chunks = connected(api);
  send(chunks, fmt::format("POST /api/v1/srs/register HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                           "\r\n{:x}\r\n{} \r\n",
                           body.size() + 1, body));
  CHECK(rest(chunks).starts_with("HTTP/1.1 413 "));
}

TEST_CASE("a body whose length is unclear is refused", "[system_api][threads]") {
  const SystemApi api{options(), handlers()};
  const auto answer = [&](std::string_view headers, std::string_view body = "") {
    auto socket = connected(api);
    send(socket, fmt::format("POST /api/v1/srs/register HTTP/1.1\r\n{}\r\n{}", headers, body));
    socket.shutdownSend();
    return rest(socket);
  };
  CHECK(answer("").starts_with("HTTP/1.1 411 "));
  CHECK(answer("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")
            .starts_with("HTTP/1.1 400 "));
  CHECK(answer("Content-Length: 99\r\n", kBeat).starts_with("HTTP/1.1 400 "));
  CHECK_FALSE(answer("Content-Length: -5\r\n", kBeat).starts_with("HTTP/1.1 200 "));
  CHECK_FALSE(answer("Content-Length: x\r\n", kBeat).starts_with("HTTP/1.1 200 "));
  CHECK(ask(api, "GET", "/healthz").status == 200);
}

TEST_CASE("bytes that are not HTTP harm nobody", "[system_api][threads]") {
  const SystemApi api{options(), handlers()};
  for (const std::string& bytes :
       {std::string(70'000, 'A'), std::string("\x03\x00\x00\x00", 4),
        std::string("GET /healthz\r\n\r\n"), std::string("\r\n\r\n"),
        "GET / HTTP/1.1\r\n" + std::string(20'000, 'h') + ": v\r\n\r\n"}) {
    auto socket = connected(api);
    try {
      send(socket, bytes);
      socket.shutdownSend();
    } catch (const Poco::Exception&) {
    }
    rest(socket);
  }
  CHECK(ask(api, "GET", "/healthz").status == 200);
}

TEST_CASE("a silent and a dripping client lose their connection in time", "[system_api][threads]") {
  auto brief = options();
  brief.deadline = 300ms;
  const SystemApi api{brief, handlers()};
  const auto begin = std::chrono::steady_clock::now();
  auto silent = connected(api);
  auto half = connected(api);
  send(half, "POST /api/v1/srs/register HTTP/1.1\r\nContent-Length: 99\r\n\r\n{");
  auto dripping = connected(api);
  // Each byte comes well within any timeout of one read: only the deadline of the whole can end it.
  try {
    send(dripping, "GET / HTTP/1.1\r\nX: ");
    dripping.setReceiveTimeout(Poco::Timespan(0, 10'000));
    for (char byte; std::chrono::steady_clock::now() - begin < 15s;) {
      send(dripping, "x");
      try {
        if (dripping.receiveBytes(&byte, 1) == 0) break;
      } catch (const Poco::TimeoutException&) {
      }
    }
  } catch (const Poco::Exception&) {
  }
  CHECK(rest(silent).empty());
  CHECK_FALSE(rest(half).starts_with("HTTP/1.1 200 "));
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("200 half-sent openings do not keep others out", "[system_api][threads]") {
  auto brisk = options();
  brisk.hurry = 20ms;
  const SystemApi api{brisk, handlers()};
  const auto begin = std::chrono::steady_clock::now();
  std::vector<StreamSocket> half_open;
  for (int i = 0; i < 200; ++i) {
    half_open.push_back(connected(api));
    send(half_open.back(), "GET /healthz HTTP/1.1\r\nX-Slow: ");
  }
  CHECK(ask(api, "GET", "/healthz").status == 200);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("nobody has to hurry while a thread is free", "[system_api][threads]") {
  auto brisk = options();
  brisk.hurry = 0ms;
  const SystemApi api{brisk, handlers()};
  auto slow = connected(api);
  send(slow, "GET /healthz HTTP/1.1\r\n");
  for (int i = 0; i < 200; ++i) {
    auto quick = connected(api);
    send(quick, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
    rest(quick);
  }
  send(slow, "Connection: close\r\n\r\n");
  CHECK(rest(slow).starts_with("HTTP/1.1 200 "));
}

TEST_CASE("more connections than may wait are closed at the door", "[system_api][threads]") {
  std::latch go{1};
  std::counting_semaphore<> inside{0};
  auto with = handlers();
  with.metrics = [&] {
    inside.release();
    go.wait();
    return std::string{"done"};
  };
  auto small = options();
  small.threads = 2;
  small.max_waiting = 3;
  const SystemApi api{small, with};
  std::vector<StreamSocket> clients;
  const auto come = [&] {
    clients.push_back(connected(api));
    send(clients.back(), "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
  };
  come();
  come();
  inside.acquire();
  inside.acquire();
  for (int i = 0; i < 3; ++i) come();
  const auto answered = [&](StreamSocket& client) {
    return rest(client).starts_with("HTTP/1.1 200 ");
  };
  come();
  CHECK_FALSE(answered(clients[5]));
  go.count_down();
  for (int i = 0; i < 5; ++i) CHECK(answered(clients[static_cast<std::size_t>(i)]));
}

TEST_CASE("a port in use is the operator's mistake, told with option and address",
          "[system_api][threads]") {
  const SystemApi first{options(), handlers()};
  auto second = options();
  second.option = "listen.api";
  second.listen.port = first.port();
  const auto expected = fmt::format("listen.api: cannot listen on 127.0.0.1:{}: ", first.port());
  CHECK_THROWS_AS(SystemApi(second, handlers()), ConfigError);
  CHECK_THROWS_WITH(SystemApi(second, handlers()), Catch::StartsWith(expected));
  second.listen = {"192.0.2.1", 0};
  CHECK_THROWS_WITH(SystemApi(second, handlers()),
                    Catch::StartsWith("listen.api: cannot listen on 192.0.2.1:0: "));
}

TEST_CASE("two system APIs run in one process and end with clients inside",
          "[system_api][threads]") {
  auto one = std::make_unique<SystemApi>(options(), handlers());
  auto only_reading = handlers();
  only_reading.registered = {};
  const SystemApi two{options(), only_reading};
  CHECK(ask(two, "POST", "/api/v1/srs/register", kBeat).status == 404);
  auto inside = connected(*one);
  send(inside, "GET /hea");
  one.reset();
  const std::string last = rest(inside);  // it may be told that this is no request
  CHECK((last.empty() || last.starts_with("HTTP/1.1 400 ")));
  CHECK(ask(two, "GET", "/healthz").status == 200);
}

TEST_CASE("after running out of descriptors the door opens again", "[system_api][threads]") {
  const SystemApi api{options(), handlers()};
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval patience{0, 200'000};
  ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit none_left{3, limit.rlim_max};

  ::setrlimit(RLIMIT_NOFILE, &none_left);
  const Poco::Net::SocketAddress address{"127.0.0.1", api.port()};
  const int connected_to_backlog = ::connect(client, address.addr(), address.length());
  constexpr std::string_view kRequest = "GET /healthz HTTP/1.1\r\n\r\n";
  const auto sent = ::send(client, kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
  char answer[16] = {};
  const auto meanwhile = ::recv(client, answer, sizeof answer, 0);
  const int why = errno;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  CHECK(connected_to_backlog == 0);
  CHECK(sent == static_cast<ssize_t>(kRequest.size()));
  CHECK(meanwhile == -1);
  CHECK(why == EAGAIN);
  const timeval long_patience{20, 0};
  ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &long_patience, sizeof long_patience);
  CHECK(::recv(client, answer, sizeof answer, MSG_WAITALL) == sizeof answer);
  CHECK(std::string_view{answer, sizeof answer}.starts_with("HTTP/1.1 200 "));
  ::close(client);
}

}  // namespace weir
