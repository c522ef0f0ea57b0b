#include "proxy/console_files.h"

#include <filesystem>
#include <catch2/catch.hpp>

#include "common/config_sources.h"
#include "test/support/temporary_folder.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

struct Folder : test::TemporaryFolder {
  Folder() { write("index.html", "page"); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(*this / name).parent_path());
    test::write_file(*this / name, text);
  }
  void resize(const std::string& name, std::size_t size) const {
    fs::resize_file(*this / name, size);
  }
};

std::string header(const SystemAnswer& answer, std::string_view name) {
  for (const auto& [key, value] : answer.headers)
    if (key == name) return value;
  return "";
}

SystemAnswer ask(const ConsoleFiles& files, std::string_view target,
                 std::string host = "node.example:12025", std::string tag = "") {
  return files.answer(
      {.method = "GET", .target = target, .sender = "::1", .host = host, .if_none_match = tag});
}

}  // namespace

TEST_CASE("the console's files are served by their names, and nothing else is", "[console_files]") {
  const Folder folder;
  folder.write("lib/player.js", "play()");
  folder.write(".hidden", "no");
  folder.write("package.json", "no");
  const ConsoleFiles files(folder.path(), {});
  CHECK(ask(files, "/console/").body == "page");
  CHECK(ask(files, "/console/?x=1").type == "text/html; charset=utf-8");
  CHECK(ask(files, "/console/lib/player.js").body == "play()");
  for (const char* path : {"/console/.hidden", "/console/package.json", "/console/lib",
                           "/console/../etc/passwd", "/console//index.html"})
    CHECK(ask(files, path).status == 404);
  CHECK(ask(files, "/").status == 302);
  CHECK(header(ask(files, "/console"), "Location") == "/console/");
  CHECK(ConsoleFiles::owns("/console/x"));
  CHECK_FALSE(ConsoleFiles::owns("/consoles"));
}

TEST_CASE("a file that the browser has is not sent again", "[console_files]") {
  const Folder folder;
  const ConsoleFiles files(folder.path(), {});
  const auto tag = header(ask(files, "/console/"), "ETag");
  CHECK(ask(files, "/console/", "node", tag).status == 304);
  CHECK(ask(files, "/console/", "node", "\"other\"").status == 200);
}

TEST_CASE("the policy names the node's own media listeners, as the page reaches them",
          "[console_files]") {
  const Folder folder;
  const ConsoleFiles files(folder.path(), {{"http", {"", 8080}}, {"https", {"10.0.0.1", 8443}}});
  const auto policy = [&](const std::string& host) {
    return header(ask(files, "/console/", host), "Content-Security-Policy");
  };
  const auto text = policy("node.example:12025");
  CHECK(text.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "));
  CHECK(text.find("connect-src 'self' http://node.example:8080 ws://node.example:8080 "
                  "https://10.0.0.1:8443 wss://10.0.0.1:8443;") != text.npos);
  // No text of the request gets in that could end a directive; an IPv6 address cannot be written.
  for (const char* host : {"x; script-src *", "[::1]:12025", "a b", ""})
    CHECK(policy(host).find("connect-src 'self' http: ws: https://10.0.0.1:8443") != text.npos);
}

TEST_CASE("a folder that is no console is the operator's mistake", "[console_files]") {
  const Folder folder;
  CHECK_THROWS_AS(ConsoleFiles("/nowhere/console", {}), ConfigError);
  folder.write("big.js", "x");
  folder.resize("big.js", ConsoleFiles::kMaxFile);
  CHECK_NOTHROW(ConsoleFiles(folder.path(), {}));
  folder.resize("big.js", ConsoleFiles::kMaxFile + 1);
  CHECK_THROWS_AS(ConsoleFiles(folder.path(), {}), ConfigError);
  const Folder other;
  for (std::size_t i = 0; i + 1 < ConsoleFiles::kMaxFiles; ++i)
    other.write(std::to_string(i) + ".js", "");
  CHECK_NOTHROW(ConsoleFiles(other.path(), {}));
  other.write("one-more.js", "");
  CHECK_THROWS_AS(ConsoleFiles(other.path(), {}), ConfigError);
}

}  // namespace weir
