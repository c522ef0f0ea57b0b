#include "common/http/request_record.h"

#include <catch2/catch.hpp>

#include "common/http/server_connection.h"
#include "common/sessions.h"
#include "common/wire/http1_head.h"
#include "test/support/on_a_loop.h"

namespace weir::http {
namespace {

struct Ended {
  std::string method;
  std::string target;
  std::string agent;
  std::string reason;
  int status;
};

class Witness final : public SessionWitness {
 public:
  Witness(std::vector<Ended>& ended, int& answers) : ended_(ended), answers_(answers) {}
  void began(const SessionFacts&) override {}
  void joined(const SessionFacts&, Clock::duration) override {}
  void session_ended(const SessionEnd&) override { FAIL("a connection is no session"); }
  void answered(Clock::duration) override { ++answers_; }
  void request_ended(const RequestEnd& end) override {
    ended_.push_back({std::string(end.method), std::string(end.target), std::string(end.agent),
                      std::string(end.reason), end.status});
  }
  bool wants_requests() const override { return true; }

 private:
  std::vector<Ended>& ended_;
  int& answers_;
};

// What is told of a connection on which `sent` comes, and where each request is answered by 204.
std::vector<Ended> records_of(std::string sent, int& answers) {
  std::vector<Ended> ended;
  test::on_a_loop([&](Loop& loop) -> Task<void> {
    Sessions sessions(loop, std::make_unique<Witness>(ended, answers));
    auto pair = test::socket_pair(loop);
    const ByteView bytes = as_bytes(sent);
    auto told = co_await pair[1]->write(bytes, loop.in(std::chrono::seconds{5}));
    REQUIRE(told);
    pair[1]->shut_down_writes();
    ServerConnection server(std::move(pair[0]));
    while (true) {
      auto request = co_await server.read_request();
      if (!request) {
        co_await server.refuse_with(request.error());
        break;
      }
      if (request->target == "/silent") break;
      if (request->target == "/cut") server.failed(Errc::Timeout);
      std::string answer = simple_response(204, "", "", {});
      auto answered = co_await server.respond(std::move(answer));
      REQUIRE(answered);
    }
  });
  return ended;
}

}  // namespace

TEST_CASE("each request on a connection is told of when it is over", "[request_record]") {
  int answers = 0;
  const auto ended = records_of(
      "GET /a?b HTTP/1.1\r\nHost: x\r\nUser-Agent: curl\r\n\r\nHEAD /c HTTP/1.1\r\nHost: x\r\n\r\n",
      answers);
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].method == "GET");
  CHECK(ended[0].target == "/a?b");
  CHECK(ended[0].agent == "curl");
  CHECK(ended[0].status == 204);
  CHECK(ended[0].reason == "complete");
  CHECK(ended[1].method == "HEAD");
  CHECK(ended[1].agent.empty());
  CHECK(answers == 2);
}

TEST_CASE("requests that fail say why", "[request_record]") {
  int answers = 0;
  auto ended = records_of("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n", answers);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].reason == "timeout");
  ended = records_of("GET /silent HTTP/1.1\r\nHost: x\r\n\r\n", answers);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].status == 0);
  CHECK(ended[0].reason == "closed");
  ended = records_of("no request\r\n\r\n", answers);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].status == 400);
  CHECK(ended[0].reason == "protocol");
  CHECK(records_of("", answers).empty());
}

TEST_CASE("a response's status is read off its bytes", "[request_record]") {
  CHECK(final_status("HTTP/1.1 404 Not Found\r\n") == 404);
  CHECK(final_status("HTTP/1.1 101 Switching Protocols\r\n") == 101);
  CHECK(final_status("HTTP/1.1 100 Continue\r\n") == 0);
  CHECK(final_status("HTTP/1.1 20") == 0);
  CHECK(final_status("HTTP/1.1 2x0 ") == 0);
  CHECK(final_status("") == 0);
}

}  // namespace weir::http
