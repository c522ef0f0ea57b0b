#include <catch2/catch.hpp>

#include "test/support/tls_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

struct Meeting {
  std::string host = "server.test";
  const Certificate* trusted = &papers().ca;
  const Certificate* shown = &papers().server;
  const Certificate* client = nullptr;
  std::string client_ca{};
};

// How the handshake and, when it went well, a first answer of the server's go for both.
Shaken meet(Meeting meeting) {
  Shaken shaken;
  struct Test {
    static Task<void> go(Loop& loop, const Meeting& how, Shaken& outcome) {
      auto own = client_trusting(*how.trusted);
      if (how.client != nullptr) {
        const auto shown = own.identify(how.client->file, how.client->key_file);
        INVARIANT(shown);
      }
      TlsEnds ends(loop, own, server_showing(*how.shown, how.client_ca));
      outcome = co_await shake_hands(loop, ends, how.host);
      if (outcome.server) {
        auto sent = co_await ends.server.write(as_bytes("welcome"), loop.in(kPatience));
        CHECK(sent);
      }
      if (outcome.client) {
        auto got = co_await ends.client.read(loop.scratch(), loop.in(kPatience));
        if (!got) outcome.client = std::unexpected(got.error());
      }
    }
  };
  Loop loop;
  run(loop, Test::go(loop, meeting, shaken));
  return shaken;
}

std::string refusal(Meeting meeting) {
  const auto shaken = meet(std::move(meeting));
  CHECK_FALSE(shaken.server);
  if (shaken.client) return "taken";
  CHECK(shaken.client.error().code == Errc::Denied);
  return shaken.client.error().text;
}

std::string mistake(const Result<TlsContext>& made) { return made ? "none" : made.error().text; }

}  // namespace

TEST_CASE("a server is who its certificate names, by name, pattern or address", "[tls]") {
  for (const auto* host : {"server.test", "SERVER.test", "a.many.test", "127.0.0.1", "::1"}) {
    INFO(host);
    const auto shaken = meet({.host = host});
    CHECK(shaken.client);
    CHECK(shaken.server);
  }
  for (const auto* host : {"other.test", "a.server.test", "many.test", "a.b.many.test", "127.0.0.2",
                           "::2", "server"}) {
    INFO(host);
    const std::string kind = Address::parse(host, 0) ? "IP address" : "hostname";
    CHECK(refusal({.host = host}) == "certificate verify failed: " + kind + " mismatch");
  }
}

TEST_CASE("what cannot be a host is not connected to", "[tls]") {
  for (const std::string& host : {std::string(), std::string(300, 'x')}) {
    const auto shaken = meet({.host = host});
    REQUIRE_FALSE(shaken.client);
    CHECK(shaken.client.error().code == Errc::Protocol);
  }
}

TEST_CASE("a certificate must be of a trusted authority and of the present", "[tls]") {
  CHECK(refusal({.trusted = &papers().stranger}) ==
        "certificate verify failed: unable to get local issuer certificate");
  CHECK(refusal({.shown = &papers().expired}) ==
        "certificate verify failed: certificate has expired");
  CHECK(refusal({.shown = &papers().early}) ==
        "certificate verify failed: certificate is not yet valid");
}

TEST_CASE("a peer that is not believed hears why", "[tls]") {
  const auto shaken = meet({.trusted = &papers().stranger});
  REQUIRE_FALSE(shaken.server);
  CHECK(shaken.server.error().code == Errc::Denied);
  CHECK(shaken.server.error().text == "TLS: tlsv1 alert unknown ca");
}

TEST_CASE("a server that asks for a certificate takes those of its authority", "[tls]") {
  const auto shaken = meet({.client = &papers().client, .client_ca = papers().ca.file});
  CHECK(shaken.client);
  CHECK(shaken.server);
  CHECK(refusal({.client_ca = papers().ca.file}) == "TLS: tlsv13 alert certificate required");
  CHECK(refusal({.client = &papers().false_client, .client_ca = papers().ca.file}) ==
        "TLS: tlsv1 alert unknown ca");
}

TEST_CASE("bad certificate files are told by name when they are read", "[tls]") {
  const Papers& all = papers();
  const std::string none = all.folder / "none.pem";
  const std::string empty = all.folder / "empty.pem";
  const std::string locked = all.folder / "locked.key";
  write_file(empty, "");
  {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(locked.c_str(), "w"),
                                                               std::fclose);
    INVARIANT(PEM_write_PKCS8PrivateKey(file.get(), all.server.key.get(), EVP_aes_128_cbc(),
                                        "secret", 6, nullptr, nullptr) == 1);
  }
  CHECK(mistake(TlsContext::client(none)) ==
        "certificates in " + none + ": No such file or directory");
  CHECK(mistake(TlsContext::client(empty)) ==
        "certificates in " + empty + ": no certificate or crl found");
  CHECK(mistake(TlsContext::client("")) == "none");
  const auto& [file, key_file, x509, key] = all.server;
  CHECK(mistake(TlsContext::server(none, key_file, "")) ==
        "certificate in " + none + ": No such file or directory");
  CHECK(mistake(TlsContext::server(key_file, key_file, "")) ==
        "certificate in " + key_file + ": no start line");
  CHECK(mistake(TlsContext::server(file, none, "")) ==
        "key in " + none + ": No such file or directory");
  CHECK(mistake(TlsContext::server(file, all.client.key_file, "")) ==
        "key in " + all.client.key_file + ": key values mismatch");
  // It is not asked for at the terminal.
  CHECK(mistake(TlsContext::server(file, locked, "")).starts_with("key in " + locked + ": "));
  CHECK(mistake(TlsContext::server(file, key_file, empty)).starts_with("certificates in " + empty));
}
