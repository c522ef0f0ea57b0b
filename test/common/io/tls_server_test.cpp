#include "common/io/tls_server.h"

#include <openssl/ssl.h>

#include <filesystem>
#include <catch2/catch.hpp>

#include "test/support/tls_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

struct Shop {
  CertificateFolder folder;
  Certificate ca = folder.authority("ca");
  Certificate one = folder.certificate("one", ca, {.names = "DNS:one.test,DNS:*.one.test"});
  Certificate two = folder.certificate("two", ca, {.names = "DNS:TWO.test,DNS:a.one.test"});
  Certificate three = folder.certificate("three", ca, {.names = "DNS:three.test"});

  static std::string pair(const Certificate& certificate) {
    return certificate.file + ":" + certificate.key_file;
  }
};

const Shop& shop() {
  static const Shop kShop;
  return kShop;
}

std::shared_ptr<TlsServer> serve(const std::string& certificates) {
  auto server = std::make_shared<TlsServer>();
  auto read = server->read(certificates);
  INVARIANT(read, read.error().text);
  server->show(std::move(*read));
  return server;
}

// Whose certificate a client that asks for `host` gets, "nobody's" when it is for somebody else.
std::string shown_to(TlsServer& server, const std::string& host) {
  struct Visit {
    static Task<void> go(Loop& loop, TlsServer& server, std::string host, std::string& shown) {
      TlsEnds ends(loop, client_trusting(shop().ca), server.context());
      auto shaken = co_await shake_hands(loop, ends, host);
      shown = shaken.client ? "its own" : shaken.client.error().text;
    }
  };
  Loop loop;
  std::string shown;
  run(loop, Visit::go(loop, server, host, shown));
  return shown;
}

constexpr auto* kOther = "certificate verify failed: hostname mismatch";

}  // namespace

TEST_CASE("a client gets the certificate for the name it asks for", "[tls]") {
  const auto server = serve(Shop::pair(shop().one) + ", " + Shop::pair(shop().two));
  for (const auto* host : {"one.test", "ONE.test", "b.one.test", "two.test", "a.one.test"}) {
    INFO(host);
    CHECK(shown_to(*server, host) == "its own");
  }
  // The first is shown to who asks for something else, and a star is one label.
  CHECK(shown_to(*server, "three.test") == kOther);
  CHECK(shown_to(*server, "b.b.one.test") == kOther);
}

TEST_CASE("certificates are read again, and none when one of them is bad", "[tls]") {
  const auto server = serve(Shop::pair(shop().one));
  CHECK(shown_to(*server, "two.test") == kOther);
  auto other = server->read(Shop::pair(shop().two));
  REQUIRE(other);
  CHECK(shown_to(*server, "one.test") == "its own");
  server->show(std::move(*other));
  CHECK(shown_to(*server, "two.test") == "its own");
  CHECK(shown_to(*server, "one.test") == kOther);

  const std::string mismatched = shop().one.file + ":" + shop().two.key_file;
  for (const std::string& bad :
       {mismatched, Shop::pair(shop().one) + "," + mismatched, std::string("/nowhere/a:/nowhere/b"),
        std::string("/nowhere"), std::string("")}) {
    INFO(bad);
    CHECK_FALSE(server->read(bad));
    CHECK(shown_to(*server, "two.test") == "its own");
  }
}

TEST_CASE("certificates are found in a folder, by name", "[tls]") {
  TemporaryFolder folder;
  namespace files = std::filesystem;
  const auto put = [&](const Certificate& from, const std::string& chain, const std::string& key) {
    files::create_directories(files::path(folder / chain).parent_path());
    files::copy_file(from.file, folder / chain);
    files::copy_file(from.key_file, folder / key);
  };
  put(shop().one, "b.crt", "b.key");
  put(shop().two, "a.pem", "a.key");
  put(shop().three, "site/fullchain.pem", "site/privkey.pem");
  files::copy_file(shop().three.file, folder / "alone.pem");
  const auto found = find_certificates(folder / "");
  REQUIRE(found);
  REQUIRE(found->size() == 3);
  CHECK(files::path(found->front().chain).filename() == "a.pem");
  const auto server = serve(folder / "");
  for (const auto* host : {"one.test", "two.test", "three.test"})
    CHECK(shown_to(*server, host) == "its own");
  CHECK_FALSE(find_certificates(folder / "site/none"));
}

TEST_CASE("the application is ours to choose among what a client offers", "[tls]") {
  struct Visit {
    static Task<void> go(Loop& loop, const std::string& ours, const std::string& theirs,
                         std::string& chosen) {
      const auto server = serve(Shop::pair(shop().one));
      auto client = client_trusting(shop().ca);
      SSL_CTX_set_alpn_protos(client.raw().get(),
                              reinterpret_cast<const unsigned char*>(theirs.data()),
                              static_cast<unsigned>(theirs.size()));
      TlsEnds ends(loop, client, server->context());
      ends.server.applications = ours;
      auto shaken = co_await shake_hands(loop, ends, "one.test");
      REQUIRE(shaken.client);
      CHECK(ends.client.agreement.application == ends.server.agreement.application);
      chosen = ends.server.agreement.application;
    }
  };
  const auto chosen = [](const std::string& ours, const std::string& theirs) {
    Loop loop;
    std::string text;
    run(loop, Visit::go(loop, ours, theirs, text));
    return text;
  };
  const std::string h1 = "\x08http/1.1";
  const std::string h2 = "\x02h2";
  CHECK(chosen(h2 + h1, h1 + h2) == "h2");
  CHECK(chosen(h2 + h1, h1) == "http/1.1");
  CHECK(chosen(h1, h2) == "");
  CHECK(chosen("", h1) == "");
}

TEST_CASE("a ticket's key seals for a period, and opens for two more", "[tls]") {
  TicketKeys::Clock::time_point now{};
  TicketKeys keys([&] { return now; });
  const auto first = keys.newest();
  CHECK(keys.newest().name == first.name);
  TicketKeys::Key found;
  bool renew = true;
  REQUIRE(keys.find(first.name.data(), found, renew));
  CHECK_FALSE(renew);
  CHECK(found.seal == first.seal);

  now += TicketKeys::kPeriod;
  CHECK(keys.newest().name != first.name);
  REQUIRE(keys.find(first.name.data(), found, renew));
  CHECK(renew);
  now += TicketKeys::kPeriod * 2;
  CHECK(keys.find(first.name.data(), found, renew));
  now += 1s;
  CHECK_FALSE(keys.find(first.name.data(), found, renew));
}
