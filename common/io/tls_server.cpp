#include "common/io/tls_server.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>

namespace weir {
namespace {

namespace files = std::filesystem;

// Forward secrecy and authenticated encryption alone; those of TLS 1.3 are all that.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto begin = std::min(text.find_first_not_of(" \t"), text.size());
  const auto end = text.find_last_not_of(" \t");
  return end == text.npos ? std::string_view{} : text.substr(begin, end + 1 - begin);
}

bool is_file(const files::path& path) {
  std::error_code error;
  return files::is_regular_file(path, error);
}

// The pairs of a folder, by name.
Result<std::vector<CertificateFiles>> pairs_in(const files::path& folder) {
  std::vector<CertificateFiles> found;
  std::error_code error;
  const auto look = [&](const files::path& chain, const files::path& key) {
    if (is_file(chain) && is_file(key)) found.push_back({chain.string(), key.string()});
  };
  look(folder / "fullchain.pem", folder / "privkey.pem");
  for (auto entry = files::directory_iterator(folder, error);
       !error && entry != files::directory_iterator(); entry.increment(error)) {
    const files::path path = entry->path();
    const auto extension = path.extension();
    files::path key = path;
    key.replace_extension(".key");
    if (extension == ".crt" || extension == ".pem") look(path, key);
    look(path / "fullchain.pem", path / "privkey.pem");
  }
  if (error) return fail(Errc::System, folder.string() + ": " + error.message());
  if (found.empty()) return fail(Errc::System, folder.string() + ": no certificate with its key");
  std::ranges::sort(found, {}, &CertificateFiles::chain);
  return found;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* alternatives = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* each = sk_GENERAL_NAME_value(alternatives, i);
    if (each->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(each->d.dNSName));
    names.push_back(lower({text, static_cast<std::size_t>(ASN1_STRING_length(each->d.dNSName))}));
  }
  GENERAL_NAMES_free(alternatives);
  return names;
}

// RFC 7301 3.2, with our order of preference.
int choose_application(SSL* session, const unsigned char** chosen, unsigned char* length,
                       const unsigned char* offered, unsigned size, void*) {
  const std::string& ours = tls_applications(session);
  unsigned char* found = nullptr;
  const int outcome =
      SSL_select_next_proto(&found, length, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

struct TlsServer::Shelf {
  std::vector<TlsContext> contexts;           // the first is for whom nothing else fits
  std::map<std::string, std::size_t> places;  // by name; patterns with their star

  SSL_CTX* of(std::string_view asked) const {
    const std::string name = lower(asked);
    auto found = places.find(name);
    const auto dot = name.find('.');
    if (found == places.end() && dot != name.npos) found = places.find("*" + name.substr(dot));
    return contexts[found == places.end() ? 0 : found->second].raw().get();
  }

  static int choose(SSL* session, int*, void* shelf) {
    const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    SSL_CTX* chosen = static_cast<const Shelf*>(shelf)->of(name != nullptr ? name : "");
    if (chosen != SSL_get_SSL_CTX(session)) SSL_set_SSL_CTX(session, chosen);
    return SSL_TLSEXT_ERR_OK;
  }

  static int lend(SSL* session, int*, void* server) {
    const auto shelf = static_cast<const TlsServer*>(server)->shelf();
    const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    SSL_set_SSL_CTX(session, shelf->of(name != nullptr ? name : ""));
    return SSL_TLSEXT_ERR_OK;
  }
};

Result<std::vector<CertificateFiles>> find_certificates(std::string_view text) {
  std::vector<CertificateFiles> found;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view word = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (word.empty()) continue;
    const auto colon = word.rfind(':');
    if (colon != word.npos) {
      found.push_back({std::string(word.substr(0, colon)), std::string(word.substr(colon + 1))});
      continue;
    }
    auto pairs = pairs_in(word);
    if (!pairs) return pairs;
    std::ranges::move(*pairs, std::back_inserter(found));
  }
  if (found.empty()) return fail(Errc::Protocol, "names no certificate");
  if (found.size() > TlsServer::kMostCertificates)
    return fail(Errc::Limit,
                "more than " + std::to_string(TlsServer::kMostCertificates) + " certificates");
  return found;
}

Result<std::shared_ptr<const TlsServer::Shelf>> TlsServer::read(const std::string& certificates) {
  auto found = find_certificates(certificates);
  if (!found) return std::unexpected(found.error());
  auto shelf = std::make_shared<Shelf>();
  for (const auto& [chain, key] : *found) {
    auto context = TlsContext::server(chain, key, "");
    if (!context) return std::unexpected(context.error());
    SSL_CTX* raw = context->raw().get();
    SSL_CTX_set_cipher_list(raw, kCiphers);
    SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_alpn_select_cb(raw, choose_application, nullptr);
    tickets_.serve(raw);
    for (const auto& name : names_of(SSL_CTX_get0_certificate(raw)))
      shelf->places.try_emplace(name, shelf->contexts.size());
    shelf->contexts.push_back(std::move(*context));
  }
  SSL_CTX* first = shelf->contexts.front().raw().get();
  SSL_CTX_set_tlsext_servername_callback(first, Shelf::choose);
  SSL_CTX_set_tlsext_servername_arg(first, shelf.get());
  return shelf;
}

void TlsServer::show(std::shared_ptr<const Shelf> shelf) {
  const std::lock_guard lock(mutex_);
  shelf_.swap(shelf);
}

std::shared_ptr<const TlsServer::Shelf> TlsServer::shelf() const {
  const std::lock_guard lock(mutex_);
  return shelf_;
}

TlsContext TlsServer::context() const {
  auto held = shelf();
  SSL_CTX* first = held->contexts.front().raw().get();
  // The whole shelf lives as long as a handshake that may choose from it.
  return TlsContext(std::shared_ptr<SSL_CTX>(std::move(held), first));
}

void TlsServer::lend_to(ssl_ctx_st* other) {
  SSL_CTX_set_min_proto_version(other, TLS1_2_VERSION);
  SSL_CTX_set_tlsext_servername_callback(other, Shelf::lend);
  SSL_CTX_set_tlsext_servername_arg(other, this);
  tickets_.serve(other);
}

}  // namespace weir
