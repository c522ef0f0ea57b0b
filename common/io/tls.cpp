#include "common/io/tls.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/io/tls_transport.h"

namespace weir {
namespace {

std::unexpected<Error> bad_file(const char* what, const std::string& file) {
  auto failed = fail(Errc::System, std::string(what) + " " + file + ": " + tls_complaint());
  ERR_clear_error();
  return failed;
}

// A key with a passphrase must fail: OpenSSL would ask for it at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

bool is_address(const std::string& host) { return Address::parse(host, 0).has_value(); }

// Whom to ask for, and who must answer. False: nobody can have such a name.
bool expect(ssl_st* ssl, const std::string& host) {
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (host.empty()) return false;
  // RFC 6066 3: addresses are not names to ask for.
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1;
  return X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), 0) == 1 &&
         SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

Task<Result<TlsAgreement>> shake_hands(Socket& socket, std::unique_ptr<TlsTransport> transport,
                                       Deadline deadline) {
  TlsTransport& tls = *transport;
  socket.wrap(std::move(transport));
  while (true) {
    auto got = socket.try_read({});
    if (!got) co_return std::unexpected(got.error());
    if (tls.established()) break;
    auto ready = co_await socket.readable(deadline);
    if (!ready) co_return std::unexpected(ready.error());
  }
  socket.try_again();
  co_return tls.agreement();
}

std::unique_ptr<TlsTransport> transport_over(const Socket& socket, const TlsContext& context) {
  using enum TlsTransport::Kernel;
  return std::make_unique<TlsTransport>(socket.fd(), context, kernel_has_tls() ? Try : No);
}

}  // namespace

std::string tls_complaint() {
  const unsigned long code = ERR_peek_error();
  if (code == 0) return "unknown error";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* text = ERR_reason_error_string(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

TlsContext::TlsContext(ssl_ctx_st* context) : context_(context, SSL_CTX_free) {
  INVARIANT(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);  // a header and its record with one recv
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

Result<TlsContext> TlsContext::client(const std::string& ca_file, Verify verify) {
  TlsContext made(SSL_CTX_new(TLS_client_method()));
  if (verify == Verify::Nobody) return made;
  if (auto trusted = made.trust(ca_file); !trusted) return std::unexpected(trusted.error());
  SSL_CTX_set_verify(made.context_.get(), SSL_VERIFY_PEER, nullptr);
  return made;
}

Result<TlsContext> TlsContext::server(const std::string& certificate_file,
                                      const std::string& key_file,
                                      const std::string& client_ca_file) {
  TlsContext made(SSL_CTX_new(TLS_server_method()));
  if (auto shown = made.identify(certificate_file, key_file); !shown)
    return std::unexpected(shown.error());
  constexpr unsigned char kSessions[] = "weir";
  SSL_CTX_set_session_id_context(made.context_.get(), kSessions, sizeof(kSessions));
  if (client_ca_file.empty()) return made;
  if (auto trusted = made.trust(client_ca_file); !trusted) return std::unexpected(trusted.error());
  SSL_CTX_set_verify(made.context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  return made;
}

Result<void> TlsContext::trust(const std::string& ca_file) {
  ERR_clear_error();
  if (ca_file.empty() && SSL_CTX_set_default_verify_paths(context_.get()) != 1)
    return bad_file("certificates of", "the system's store");
  if (!ca_file.empty() && SSL_CTX_load_verify_file(context_.get(), ca_file.c_str()) != 1)
    return bad_file("certificates in", ca_file);
  return {};
}

Result<void> TlsContext::identify(const std::string& certificate_file,
                                  const std::string& key_file) {
  ERR_clear_error();
  SSL_CTX* context = context_.get();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1)
    return bad_file("certificate in", certificate_file);
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return bad_file("key in", key_file);
  return {};
}

Task<Result<TlsAgreement>> connect_tls(Socket& socket, TlsContext context, std::string host,
                                       Deadline deadline) {
  if (!socket.is_open()) co_return fail(Errc::Cancelled, "socket closed");
  auto transport = transport_over(socket, context);
  if (!expect(transport->session(), host))
    co_return fail(Errc::Protocol, "not a name for a certificate: " + host);
  SSL_set_connect_state(transport->session());
  auto agreed = co_await shake_hands(socket, std::move(transport), deadline);
  co_return agreed;
}

Task<Result<TlsAgreement>> accept_tls(Socket& socket, TlsContext context, Deadline deadline,
                                      std::string applications) {
  if (!socket.is_open()) co_return fail(Errc::Cancelled, "socket closed");
  auto transport = transport_over(socket, context);
  SSL_set_accept_state(transport->session());
  SSL_set_app_data(transport->session(), &applications);
  auto agreed = co_await shake_hands(socket, std::move(transport), deadline);
  co_return agreed;
}

const std::string& tls_applications(const ssl_st* session) {
  static const std::string kNone;
  const auto* given = static_cast<const std::string*>(SSL_get_app_data(session));
  return given != nullptr ? *given : kNone;
}

bool kernel_has_tls() {
  static const bool kHas = [] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    // Only a connected socket gets it; where it does not exist at all, that is said first.
    const bool absent =
        setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) != 0 && errno != ENOTCONN;
    ::close(fd);
    return !absent;
  }();
  return kHas;
}

}  // namespace weir
