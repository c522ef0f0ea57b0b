#include "proxy/system_access.h"

#include <catch2/catch.hpp>

namespace weir {
namespace {

SystemRequest from(std::string sender, std::string authorization = {}) {
  return {.method = "GET",
          .target = "/api/v1/streams",
          .sender = std::move(sender),
          .authorization = std::move(authorization)};
}

int status(const SystemAccess& access, const SystemRequest& request, bool changes) {
  const auto refused = access.refuses(request, changes);
  return refused ? refused->status : 200;
}

}  // namespace

TEST_CASE("without a token everybody reads and only this machine changes", "[system_access]") {
  const SystemAccess access("");
  CHECK(status(access, from("192.0.2.1"), false) == 200);
  CHECK(status(access, from("192.0.2.1"), true) == 403);
  CHECK(status(access, from("127.0.0.1"), true) == 200);
  CHECK(status(access, from("::1"), true) == 200);
  CHECK(status(access, from("::ffff:127.0.0.1"), true) == 200);
  CHECK(status(access, from("10.0.0.1"), true) == 403);
}

TEST_CASE("without a token no page of another site changes anything", "[system_access]") {
  const SystemAccess access("");
  SystemRequest request = from("127.0.0.1");
  request.host = "127.0.0.1:12025";
  CHECK(status(access, request, true) == 200);
  request.origin = "http://127.0.0.1:12025";
  CHECK(status(access, request, true) == 200);
  request.origin = "http://evil.example";
  CHECK(status(access, request, true) == 403);
  CHECK(status(access, request, false) == 200);
  request.origin = "null";
  CHECK(status(access, request, true) == 403);
  request.host = "evil.example:12025";  // a name that leads to this machine
  request.origin = "http://evil.example:12025";
  CHECK(status(access, request, true) == 403);
  for (const char* host : {"localhost:12025", "[::1]:12025", "127.0.0.1"}) {
    request.host = host;
    request.origin = std::string("http://") + host;
    CHECK(status(access, request, true) == 200);
  }
  for (const char* host : {"[", "[::1", "::", ":", "[]:1"}) {
    request.host = host;
    request.origin.clear();
    CHECK(status(access, request, true) == (std::string(host) == "[::1" ? 200 : 403));
  }
}

TEST_CASE("a token is asked of everybody for everything", "[system_access]") {
  const SystemAccess access("s3cret");
  const auto refused = access.refuses(from("127.0.0.1"), false);
  REQUIRE(refused);
  CHECK(refused->status == 401);
  CHECK(refused->authenticate == R"(Bearer realm="weir")");
  CHECK(refused->body ==
        R"({"code":401,"error":"api.token: the bearer token is missing or wrong"})");
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret!",
                            "Bearer S3CRET", "Basic s3cret", "s3cret"})
    CHECK(status(access, from("127.0.0.1", wrong), false) == 401);
  CHECK(status(access, from("192.0.2.1", "Bearer s3cret"), true) == 200);
  CHECK(status(access, from("192.0.2.1", "bearer  s3cret"), true) == 200);
}

TEST_CASE("texts are compared whole", "[system_access]") {
  CHECK(equal_in_constant_time("", ""));
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abc", "ab"));
  CHECK_FALSE(equal_in_constant_time("", "a"));
}

}  // namespace weir
