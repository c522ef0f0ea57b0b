// common/access/key_set.h
// The keys that tokens may be signed with: a JSON Web Key Set (RFC 7517), as files and identity
// providers have it.
//
//     {"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"..."},
//              {"kty":"RSA","kid":"b","n":"...","e":"AQAB"},
//              {"kty":"EC","kid":"c","crv":"P-256","x":"...","y":"..."}]}
//
// A key knows the one algorithm it is for, by its kind and not by what a token says: so nobody can
// pass the bytes of a public key off as a secret. Keys of other kinds, and those for encryption
// ("use"), are left out; a secret of less than 32 bytes or an RSA key of less than 2048 bits is a
// mistake.
//
// Threading: immutable, shared by all loops. Bounds: kMaxKeys keys of kMaxText bytes in all.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"

struct evp_pkey_st;

namespace weir {

class KeySet {
 public:
  static constexpr std::size_t kMaxKeys = 64;
  static constexpr std::size_t kMaxText = 256 * 1024;

  enum class Algorithm : std::uint8_t { Hs256, Rs256, Es256 };

  // Errors: Protocol, Limit; also when no key is left.
  static Result<KeySet> parse(std::string_view text);

  std::size_t size() const { return keys_.size(); }

  // Whether one of the keys that may have made it has made this signature. Without a kid all keys of
  // that algorithm may; with one, those of that kid, and none when there are none.
  bool verifies(Algorithm algorithm, std::string_view kid, std::string_view signed_text,
                ByteView signature) const;

 private:
  struct Key {
    Algorithm algorithm;
    std::string kid;
    ByteBuffer secret;                  // of Hs256
    std::shared_ptr<evp_pkey_st> pkey;  // of the others
  };
  friend struct KeyReader;

  std::vector<Key> keys_;
};

// RFC 4648 section 5, without padding; nothing for text that is none, or that has bits to spare.
Result<ByteBuffer> base64url_decode(std::string_view text);
std::string base64url_encode(ByteView bytes);

}  // namespace weir
