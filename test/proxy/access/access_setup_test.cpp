#include "proxy/access/access_setup.h"

#include <catch2/catch.hpp>

#include "test/support/temporary_folder.h"
#include "test/support/tls_rig.h"
#include "test/support/tokens.h"

using namespace weir;
using namespace weir::test;

namespace {

AccessSettings settings(const std::string& text) {
  return access_settings_of(Config::from_settings(read_ini(text, "weir.conf")), "node");
}

// What is said of it; "none" when it is taken.
std::string mistake(const std::string& text) {
  try {
    static_cast<void>(settings(text));
    return "none";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a secret of less than 16 bytes is a mistake, told with its line", "[access]") {
  const std::string fifteen(15, 's');
  CHECK(mistake("[access.sign]\nsecret = " + fifteen + "s\n") == "none");
  CHECK(mistake("[access.sign]\nsecret = " + fifteen) ==
        "weir.conf:2: access.sign.secret: needs at least 16 bytes");
  CHECK(mistake("[access.sign]\nsecret = " + fifteen + "s\nprevious = " + fifteen) ==
        "weir.conf:3: access.sign.previous: needs at least 16 bytes");
}

TEST_CASE("what must be shown needs what it is verified with", "[access]") {
  CHECK(mistake("[access.play]\nrequire = signature") ==
        "weir.conf:2: access.play.require: needs access.sign.secret");
  CHECK(mistake("[access.publish]\nrequire = jwt") ==
        "weir.conf:2: access.publish.require: needs access.jwt.keys");
  CHECK(mistake("[access.publish]\nrequire = any\n[access.sign]\nsecret = 0123456789abcdef") ==
        "weir.conf:2: access.publish.require: needs access.jwt.keys");
}

TEST_CASE("keys that cannot be had are told with their file", "[access]") {
  const TemporaryFolder folder;
  const std::string file = folder / "keys.json", line = "[access.jwt]\nkeys = " + file;
  const std::string at = "weir.conf:2: access.jwt.keys: " + file + ": ";
  CHECK(mistake(line) == at + "No such file or directory");
  CHECK(
      mistake("[access.jwt]\nkeys = " + folder.path()).starts_with("weir.conf:2: access.jwt.keys"));
  write_file(file, "nonsense");
  CHECK(mistake(line).starts_with(at));
  const auto key = TokenKey::secret(std::string(32, 'k'), "k");
  std::string keys = R"({"keys":[)" + key.jwk() + "]}";
  keys.resize(KeySet::kMaxText, ' ');
  write_file(file, keys);
  CHECK(settings(line).options.rules.keys->size() == 1);
  CHECK(settings(line).key_file == file);
  write_file(file, keys + " ");
  CHECK(mistake(line).starts_with(at));
}

TEST_CASE("URLs of callbacks are http or https, and https needs authorities", "[access]") {
  CHECK(mistake("[access.hook]\non_play = ftp://h/") ==
        "weir.conf:2: access.hook.on_play: 'ftp://h/' is neither http nor https");
  CHECK(mistake("[access.hook]\non_stop = http://a/ h") ==
        "weir.conf:2: access.hook.on_stop: 'h' is not http://HOST:PORT/PATH or https://");
  CHECK(mistake("[access.hook]\ntls_ca = /nowhere/ca.pem")
            .starts_with("weir.conf:2: access.hook.tls_ca: "));
  const auto& plain = settings("[access.hook]\non_play = http://a/").options.hooks;
  CHECK(plain.of(HookEvent::Play)[0].trust == nullptr);
  const auto& over_tls =
      settings("[access.hook]\non_play = https://a/ http://b/\ntls_ca = " + papers().ca.file)
          .options.hooks;
  CHECK(over_tls.of(HookEvent::Play)[0].trust != nullptr);
  CHECK(over_tls.of(HookEvent::Play)[1].trust == nullptr);
}

TEST_CASE("only an edge asks upstream", "[access]") {
  CHECK(settings("role = edge\n[access]\ntraverse = on").options.traverse);
  CHECK_FALSE(settings("role = proxy\n[access]\ntraverse = on").options.traverse);
  CHECK_FALSE(settings("").options.any());
}
