#include "common/io/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

#include "common/check.h"

namespace weir {
namespace {

int keys_index() {
  static const int kIndex = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 go on, 2 and make a new ticket, 0 no ticket, -1 error.
int choose_key(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac, int seals) {
  auto* keys =
      static_cast<TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), keys_index()));
  if (keys == nullptr) return -1;
  TicketKeys::Key key;
  bool renew = false;
  if (seals != 0) {
    key = keys->newest();
    std::ranges::copy(key.name, name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  } else if (!keys->find(name, key, renew)) {
    return 0;
  }
  char digest[] = "sha256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.sign.data(), key.sign.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  const bool set =
      EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.seal.data(), iv, seals) == 1 &&
      EVP_MAC_CTX_set_params(mac, parameters) == 1;
  if (!set) return -1;
  return renew ? 2 : 1;
}

}  // namespace

TicketKeys::Key TicketKeys::newest() {
  const std::lock_guard lock(mutex_);
  rotate();
  return keys_.front();
}

bool TicketKeys::find(const unsigned char* name, Key& key, bool& renew) {
  const std::lock_guard lock(mutex_);
  rotate();
  const auto found = std::ranges::find_if(keys_, [name](const Key& each) {
    return std::memcmp(each.name.data(), name, each.name.size()) == 0;
  });
  if (found == keys_.end()) return false;
  key = *found;
  renew = found != keys_.begin();
  return true;
}

void TicketKeys::rotate() {
  const auto now = now_();
  while (!keys_.empty() && now - keys_.back().born > kPeriod * (kKept + 1)) keys_.pop_back();
  if (!keys_.empty() && now - keys_.front().born < kPeriod) return;
  Key key;
  const bool random = RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
                      RAND_bytes(key.seal.data(), static_cast<int>(key.seal.size())) == 1 &&
                      RAND_bytes(key.sign.data(), static_cast<int>(key.sign.size())) == 1;
  INVARIANT(random);
  key.born = now;
  keys_.push_front(key);
  while (keys_.size() > kKept + 1) keys_.pop_back();
}

void TicketKeys::serve(ssl_ctx_st* context) {
  SSL_CTX_set_ex_data(context, keys_index(), this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, choose_key);
}

}  // namespace weir
