#include "common/http/static_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/http/client_connection.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

const std::string kPage = "<!doctype html><title>weir</title>";

// A folder to serve beside one that is none of anybody's business.
class Site {
 public:
  Site() {
    std::filesystem::create_directories(folder_ / "site/player");
    std::filesystem::create_directories(folder_ / "site/empty");
    std::filesystem::create_directories(folder_ / "site/.git");
    test::write_file(folder_ / "secret.txt", "secret");
    test::write_file(folder_ / "site/index.html", kPage);
    test::write_file(folder_ / "site/player/index.html", "player");
    test::write_file(folder_ / "site/player/a b.js", "0123456789");
    test::write_file(folder_ / "site/.env", "secret");
    test::write_file(folder_ / "site/.git/config", "secret");
    test::write_file(folder_ / "site/nothing.css", "");
    std::filesystem::create_symlink("../secret.txt", folder_ / "site/out.txt");
    std::filesystem::create_symlink(folder_ / "secret.txt", folder_ / "site/absolute.txt");
    std::filesystem::create_symlink("..", folder_ / "site/up");
    std::filesystem::create_symlink("/proc/self/root", folder_ / "site/root");
    std::filesystem::create_symlink("player/index.html", folder_ / "site/inside.html");
    REQUIRE(::mkfifo((folder_ / "site/fifo").c_str(), 0600) == 0);
    auto opened = http::StaticFiles::open(folder_ / "site", 5s);
    REQUIRE(opened);
    files_.emplace(std::move(*opened));
  }

  std::string path(const std::string& name) const { return folder_ / ("site/" + name); }
  const http::StaticFiles& files() const { return *files_; }
  bool has(const std::string& target) const {
    return files_->find({.method = "GET", .target = target}).has_value();
  }

 private:
  const test::QuietLog quiet_;
  const test::TemporaryFolder folder_;
  std::optional<http::StaticFiles> files_;
};

struct Reply {
  http::Response head;
  std::string body;
  bool keep = false;
};

Task<void> serve(const Site& site, http::ServerConnection& server, bool& keep) {
  auto request = co_await server.read_request();
  REQUIRE(request);
  auto file = site.files().find(*request);
  REQUIRE(file);
  keep = co_await site.files().serve(server, std::move(*request), std::move(*file));
}

Task<void> exchange(Loop& loop, const Site& site, http::Request request, Reply& reply) {
  auto ends = test::socket_pair(loop);
  http::ServerConnection server(std::move(ends[0]));
  auto client = std::make_unique<http::ClientConnection>(std::move(ends[1]));
  loop.spawn(serve(site, server, reply.keep));
  auto head = co_await client->get(std::move(request), loop.in(5s));
  REQUIRE(head);
  reply.head = std::move(*head);
  while (true) {
    auto piece = co_await client->read_body(loop.in(5s));
    if (!piece) {
      CHECK(piece.error().code == Errc::Closed);
      break;
    }
    reply.body += as_text(*piece);
  }
  client.reset();
  while (loop.spawned() > 1) co_await test::Turn{loop};
}

Reply ask(const Site& site, http::Request request) {
  Loop loop;
  Reply reply;
  if (!request.headers.has("Host")) request.headers.add("Host", "x");
  test::run(loop, exchange(loop, site, std::move(request), reply));
  return reply;
}

Reply get(const Site& site, const std::string& target, http::Headers headers = {}) {
  return ask(site, {.method = "GET", .target = target, .headers = std::move(headers)});
}

std::string field(const Reply& reply, const char* name) {
  return std::string(reply.head.headers.find(name).value_or("none"));
}

}  // namespace

TEST_CASE("a file is served with its type, length, date and tag", "[static_files]") {
  const Site site;
  const Reply reply = get(site, "/index.html?v=1");
  CHECK(reply.head.status == 200);
  CHECK(reply.body == kPage);
  CHECK(field(reply, "Content-Type") == "text/html; charset=utf-8");
  CHECK(field(reply, "Content-Length") == std::to_string(kPage.size()));
  CHECK(field(reply, "Accept-Ranges") == "bytes");
  CHECK(field(reply, "Last-Modified").ends_with(" GMT"));
  CHECK(field(reply, "ETag").starts_with('"'));
  CHECK(reply.keep);
}

TEST_CASE("a large file is sent whole and an empty one is empty", "[static_files]") {
  const Site site;
  std::string large(3'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 % 251);
  test::write_file(site.path("large.bin"), large);
  CHECK(get(site, "/large.bin").body == large);
  const Reply empty = get(site, "/nothing.css");
  CHECK(empty.head.status == 200);
  CHECK(field(empty, "Content-Length") == "0");
}

TEST_CASE("a folder is its index.html, by the path with a slash", "[static_files]") {
  const Site site;
  CHECK(get(site, "/").body == kPage);
  CHECK(get(site, "/player/").body == "player");
  const Reply moved = get(site, "/player?x=1");
  CHECK(moved.head.status == 301);
  CHECK(field(moved, "Location") == "/player/?x=1");
  CHECK_FALSE(site.has("/empty"));
  CHECK_FALSE(site.has("/empty/"));
}

TEST_CASE("a path is decoded once", "[static_files]") {
  const Site site;
  CHECK(get(site, "/player/a%20b.js").body == "0123456789");
  CHECK(site.has("/%70layer/"));
  CHECK_FALSE(site.has("/player/a%2520b.js"));
  CHECK_FALSE(site.has("/player%2fa%20b.js"));
  CHECK_FALSE(site.has("/player/a%2"));
  CHECK_FALSE(site.has("/player/a%zz"));
}

TEST_CASE("nothing leads to a hidden file or out of the folder", "[static_files]") {
  const Site site;
  for (const char* target : {"/.env",
                             "/.git/config",
                             "/%2eenv",
                             "/player/../.env",
                             "/../secret.txt",
                             "/player/../../secret.txt",
                             "/%2e%2e/secret.txt",
                             "/..%2fsecret.txt",
                             "/player/./a%20b.js",
                             "//etc/passwd",
                             "/player//index.html",
                             "/index.html%00.txt",
                             "/index.html/",
                             "/out.txt",
                             "/absolute.txt",
                             "/up/secret.txt",
                             "/root/etc/passwd",
                             "/fifo",
                             "/missing",
                             "*",
                             "/%0aindex.html"}) {
    INFO(target);
    CHECK_FALSE(site.has(target));
  }
  CHECK(get(site, "/inside.html").body == "player");
}

TEST_CASE("HEAD is GET without the body, and other methods are not allowed", "[static_files]") {
  const Site site;
  const Reply head = ask(site, {.method = "HEAD", .target = "/"});
  CHECK(head.head.status == 200);
  CHECK(field(head, "Content-Length") == std::to_string(kPage.size()));
  CHECK(head.body.empty());
  for (const char* method : {"DELETE", "PUT", "OPTIONS"}) {
    const Reply refused = ask(site, {.method = method, .target = "/"});
    CHECK(refused.head.status == 405);
    CHECK(field(refused, "Allow") == "GET, HEAD");
  }
}

TEST_CASE("what the client has already is not sent again", "[static_files]") {
  const Site site;
  const Reply first = get(site, "/");
  for (const http::Headers& condition :
       {http::Headers{{"If-None-Match", "\"x\", " + field(first, "ETag")}},
        http::Headers{{"If-Modified-Since", field(first, "Last-Modified")}}}) {
    const Reply again = get(site, "/", condition);
    CHECK(again.head.status == 304);
    CHECK(again.body.empty());
    CHECK(field(again, "ETag") == field(first, "ETag"));
  }
  CHECK(get(site, "/", {{"If-None-Match", "\"x\""}}).head.status == 200);
  CHECK(get(site, "/", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}).body == kPage);
}

TEST_CASE("a single range is obeyed, one beyond the end is 416", "[static_files]") {
  const Site site;
  const std::string target = "/player/a%20b.js";
  const Reply part = get(site, target, {{"Range", "bytes=2-4"}});
  CHECK(part.head.status == 206);
  CHECK(part.body == "234");
  CHECK(field(part, "Content-Range") == "bytes 2-4/10");
  CHECK(get(site, target, {{"Range", "bytes=9-"}}).body == "9");
  CHECK(get(site, target, {{"Range", "bytes=-3"}}).body == "789");
  const Reply beyond = get(site, target, {{"Range", "bytes=10-"}});
  CHECK(beyond.head.status == 416);
  CHECK(field(beyond, "Content-Range") == "bytes */10");
  CHECK(get(site, target, {{"Range", "bytes=0-1,3-4"}}).head.status == 200);
  CHECK(get(site, target, {{"Range", "bytes=2-4"}, {"If-Range", "\"old\""}}).body.size() == 10);
  CHECK(get(site, target, {{"Range", "bytes=2-4"}, {"If-Range", field(part, "ETag")}}).body ==
        "234");
}

TEST_CASE("a connection is kept as its client asked", "[static_files]") {
  const Site site;
  const Reply closing = get(site, "/", {{"Connection", "close"}});
  CHECK(field(closing, "Connection") == "close");
  CHECK_FALSE(closing.keep);
  const Reply old = ask(site, {.method = "GET",
                               .target = "/",
                               .minor_version = 0,
                               .headers = {{"Connection", "keep-alive"}}});
  CHECK(field(old, "Connection") == "keep-alive");
  CHECK(old.keep);
}

TEST_CASE("types go by the extension, in any case", "[static_files]") {
  CHECK(http::content_type_of("a.JS") == "text/javascript; charset=utf-8");
  CHECK(http::content_type_of("a.min.css") == "text/css; charset=utf-8");
  CHECK(http::content_type_of("README") == "application/octet-stream");
  CHECK(http::content_type_of("a.") == "application/octet-stream");
}

TEST_CASE("a folder that is not there is an error at once", "[static_files]") {
  const test::TemporaryFolder folder;
  CHECK_FALSE(http::StaticFiles::open(folder / "missing", 5s));
  test::write_file(folder / "file", "");
  CHECK_FALSE(http::StaticFiles::open(folder / "file", 5s));
}
