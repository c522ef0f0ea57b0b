#include "common/access/access_request.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

using Names = std::vector<std::string>;

Names names(const std::string& key, const std::string& path) { return access_names(key, path); }

}  // namespace

TEST_CASE("a stream is named without the default virtual host and with any other", "[access]") {
  CHECK(access_name("__defaultVhost__/live/cam") == "/live/cam");
  CHECK(access_name("a.org/live/cam") == "a.org/live/cam");
}

TEST_CASE("a file is of the streams that its path may mean, the likeliest first", "[access]") {
  const std::string d = "__defaultVhost__";
  CHECK(names(d + "/live/cam", "/live/cam.m3u8") == Names{"/live/cam"});
  CHECK(names(d + "/live/cam-17", "/live/cam-17.ts") == Names{"/live/cam-17", "/live/cam"});
  CHECK(names(d + "/live/cam_17", "/live/cam_17.M4S") == Names{"/live/cam_17", "/live/cam"});
  CHECK(names(d + "/live/cam/index", "/live/cam/index.m3u8") ==
        Names{"/live/cam", "/live/cam/index"});
  CHECK(names(d + "/live/cam/720/5", "/live/cam/720/5.m4s") ==
        Names{"/live/cam/720/5", "/live/cam/720", "/live/cam"});
  CHECK(names("a.org/live/cam/1", "/live/cam/1.ts") == Names{"a.org/live/cam/1", "a.org/live/cam"});
}

TEST_CASE("a playlist or live pipe of another stream is not of this one", "[access]") {
  const std::string d = "__defaultVhost__";
  CHECK(names(d + "/live/cam-2", "/live/cam-2.m3u8") == Names{"/live/cam-2"});
  CHECK(names(d + "/live/cam-2", "/live/cam-2.flv") == Names{"/live/cam-2"});
  CHECK(names(d + "/live/cam-2", "/live/cam-2.FLV") == Names{"/live/cam-2"});
  CHECK(names(d + "/live/cam-2", "/live/cam-2") == Names{"/live/cam-2"});
  CHECK(names(d + "/live/cam2", "/live/cam2.ts") == Names{"/live/cam2"});
  CHECK(names(d + "/live/camera-2x", "/live/camera-2x.ts") == Names{"/live/camera-2x"});
  CHECK(names(d + "/live/-2", "/live/-2.ts") == Names{"/live/-2"});
}

TEST_CASE("a path of one part names no stream", "[access]") {
  CHECK(names("__defaultVhost__/index.html", "/index.html").empty());
  CHECK(names("a.org/", "/").empty());
  CHECK(names("", "").empty());
}

TEST_CASE("names of one file are bounded", "[access]") {
  std::string path = "/a";
  for (std::size_t i = 0; i < kMaxNames; ++i) path += "/b";
  CHECK(names("__defaultVhost__" + path, path + ".ts").size() == kMaxNames);
  CHECK(names("__defaultVhost__" + path + "/b", path + "/b.ts").size() == kMaxNames);
}

TEST_CASE("the first argument of a name counts", "[access]") {
  CHECK(access_argument("a=1&token=x&token=y", "token") == "x");
  CHECK(access_argument("vhost=b?token=x", "token") == "x");
  CHECK(access_argument("token=", "token").empty());
  CHECK(access_argument("mytoken=x&tokens=y&token", "token").empty());
  CHECK(access_argument("", "token").empty());
}

TEST_CASE("a bearer's token is what follows the scheme, in any case", "[access]") {
  CHECK(bearer_token("Bearer abc") == "abc");
  CHECK(bearer_token("bEARER  abc ") == "abc");
  CHECK(bearer_token("Basic abc").empty());
  CHECK(bearer_token("Bearer ").empty());
  CHECK(bearer_token("Bearerabc").empty());
}

TEST_CASE("a refusal is told by its own status", "[access]") {
  const auto status = [](AccessReason reason) { return AccessRefusal{reason, ""}.http_status(); };
  CHECK(status(AccessReason::NoToken) == 401);
  CHECK(status(AccessReason::BadToken) == 403);
  CHECK(status(AccessReason::Address) == 403);
  CHECK(status(AccessReason::HookDown) == 503);
  CHECK(status(AccessReason::Viewers) == 503);
  CHECK(AccessRefusal{AccessReason::Hook, "x"}.error().code == Errc::Denied);
  CHECK(AccessRefusal{AccessReason::UpstreamDown, "x"}.error().code == Errc::Unavailable);
  for (int i = 0; i < kAccessReasons; ++i) CHECK_FALSE(name(static_cast<AccessReason>(i)).empty());
}
