#include "common/io/tls_transport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace weir {
namespace {

// RFC 8446 5.1. OpenSSL 3.0 gets a write of several records wrong when the peer wants new keys in
// the middle of it, so it is given one at a time.
constexpr std::size_t kRecord = 16384;

// Warnings that a peer provokes and does not read.
constexpr std::size_t kMostHeld = 4 * kTlsBatch;

// Ciphertext on its way from OpenSSL to the kernel: of one session at a time, and empty between
// calls.
thread_local ByteBuffer t_staged;
// Short pieces, to be one record.
thread_local ByteBuffer t_gathered;

Error failed_send(int error) {
  switch (error) {
    case ETIMEDOUT: return {Errc::Timeout, std::strerror(error)};
    case ECONNRESET:
    case EPIPE: return {Errc::Reset, std::strerror(error)};
    default: return {Errc::System, std::strerror(error)};
  }
}

// RFC 8446 6.2: the alerts with which a peer says that it does not accept our certificate, or us.
bool is_about_certificates(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

// Gives the next record's bytes of `pieces`: as they lie there when they fill a record or are the
// last, else gathered.
class Records {
 public:
  explicit Records(std::span<const iovec> pieces) : pieces_(pieces) {}

  ByteView next() {
    ByteView here = rest_of_piece();
    const bool last = pieces_.size() <= 1;
    if (here.empty() || last || here.size() >= kRecord) return take(std::min(here.size(), kRecord));
    t_gathered.clear();
    while (!here.empty() && t_gathered.size() < kRecord) {
      append(t_gathered, take(std::min(here.size(), kRecord - t_gathered.size())));
      here = rest_of_piece();
    }
    return t_gathered;
  }

 private:
  ByteView rest_of_piece() {
    while (!pieces_.empty() && pieces_.front().iov_len == used_) {
      pieces_ = pieces_.subspan(1);
      used_ = 0;
    }
    if (pieces_.empty()) return {};
    const auto& piece = pieces_.front();
    return ByteView(static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len).subspan(used_);
  }

  ByteView take(std::size_t size) {
    const ByteView taken = rest_of_piece().first(size);
    used_ += size;
    return taken;
  }

  std::span<const iovec> pieces_;
  std::size_t used_ = 0;  // of the first
};

}  // namespace

void TlsTransport::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsTransport::TlsTransport(int fd, const TlsContext& context, Kernel kernel)
    : fd_(fd), ssl_(SSL_new(context.raw().get())) {
  INVARIANT(ssl_);
  BIO* bio = nullptr;
  if (kernel == Kernel::Try) {
    SSL_set_options(ssl_.get(), SSL_OP_ENABLE_KTLS);
    bio = BIO_new_socket(fd, BIO_NOCLOSE);
  } else {
    bio = make_bio();
  }
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsTransport::~TlsTransport() = default;

BIO* TlsTransport::make_bio() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir socket");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(
        method, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH; });
    return method;
  }();
  BIO* bio = BIO_new(kMethod);
  INVARIANT(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

int TlsTransport::bio_read(BIO* bio, char* into, int size) {
  auto& transport = *static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  ssize_t got = 0;
  do {
    got = ::recv(transport.fd_, into, static_cast<std::size_t>(size), 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return static_cast<int>(got);
  if (got < 0 && errno == EAGAIN)
    BIO_set_retry_read(bio);
  else
    transport.io_error_ = got == 0 ? Error{Errc::Closed, "peer closed"} : failed_send(errno);
  return -1;
}

int TlsTransport::bio_write(BIO*, const char* bytes, int size) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes);
  t_staged.insert(t_staged.end(), begin, begin + size);
  return size;
}

Result<void> TlsTransport::shake_hands() {
  if (broken_) return broken();
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  const int reason = SSL_get_error(ssl_.get(), done);
  if (done != 1 && reason != SSL_ERROR_WANT_READ) broken_ = failure(reason);
  auto sent = send_staged();
  if (broken_) return broken();
  if (!sent || done != 1) return sent;
  established_ = true;
  BIO* out = SSL_get_wbio(ssl_.get());
  in_kernel_ = BIO_method_type(out) == BIO_TYPE_SOCKET && BIO_get_ktls_send(out);
  // What the kernel does not do for us is sent in batches.
  if (!in_kernel_ && BIO_method_type(out) == BIO_TYPE_SOCKET) SSL_set0_wbio(ssl_.get(), make_bio());
  return {};
}

TlsAgreement TlsTransport::agreement() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &length);
  return {.version = SSL_get_version(ssl_.get()),
          .application = std::string(reinterpret_cast<const char*>(name), length),
          .resumed = SSL_session_reused(ssl_.get()) == 1,
          .in_kernel = in_kernel_};
}

Result<std::size_t> TlsTransport::read(std::span<std::uint8_t> into) {
  if (!established_) {
    auto shaken = shake_hands();
    if (!shaken) return std::unexpected(shaken.error());
    if (!established_) return 0;
  }
  std::size_t taken = 0;
  while (!broken_ && taken < into.size()) {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_.get(), into.data() + taken, into.size() - taken, &got);
    if (done == 1) {
      taken += got;
      continue;
    }
    const int reason = SSL_get_error(ssl_.get(), done);
    const bool ended = reason == SSL_ERROR_ZERO_RETURN;
    if (!ended && reason != SSL_ERROR_WANT_READ) broken_ = failure(reason);
    // Answers and alerts; of what is wrong with them the writer hears.
    static_cast<void>(send_staged());
    if (ended && taken == 0) return fail(Errc::Closed, "peer closed");
    break;
  }
  if (taken > 0) return taken;
  if (broken_) return broken();
  return 0;
}

Result<std::size_t> TlsTransport::write(std::span<const iovec> pieces) {
  if (writes_ended_) return fail(Errc::Closed, "writes are shut down");
  if (auto flushed = flush(); !flushed) return std::unexpected(flushed.error());
  Records records(pieces);
  std::size_t taken = 0;
  while (!holds()) {
    const ByteView record = records.next();
    if (record.empty()) break;
    if (broken_) return broken();
    ERR_clear_error();
    std::size_t sealed = 0;
    const int done = SSL_write_ex(ssl_.get(), record.data(), record.size(), &sealed);
    if (done != 1) broken_ = failure(SSL_get_error(ssl_.get(), done));
    taken += sealed;
    if (broken_ || t_staged.size() >= kTlsBatch)
      if (auto sent = send_staged(); !sent) return std::unexpected(sent.error());
    if (broken_) return broken();
  }
  if (auto sent = send_staged(); !sent) return std::unexpected(sent.error());
  return taken;
}

// How many bytes the kernel took.
Result<std::size_t> TlsTransport::send_now(ByteView bytes) {
  ssize_t sent = 0;
  do {
    sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN) return 0;
  // A peer that refuses our certificate says so and goes, often before it reads what we send next.
  // So the first loss is kept from the writer: the alert is still there for the reader.
  Error why = failed_send(errno);
  if (why.code == Errc::Reset && !std::exchange(lost_, true)) return bytes.size();
  return std::unexpected(std::move(why));
}

// Leaves nothing staged, whatever comes of it.
Result<void> TlsTransport::send_staged() {
  if (t_staged.empty()) return {};
  Result<std::size_t> sent = 0;
  if (!holds()) sent = send_now(t_staged);
  if (sent)
    held_.insert(held_.end(), t_staged.begin() + static_cast<std::ptrdiff_t>(*sent),
                 t_staged.end());
  t_staged.clear();
  if (!sent) return std::unexpected(sent.error());
  if (held_.size() <= kMostHeld) return {};
  held_.clear();
  broken_ = Error{Errc::Protocol, "peer provokes warnings and does not read them"};
  return broken();
}

Result<void> TlsTransport::flush() {
  while (holds()) {
    auto sent = send_now(ByteView(held_).subspan(sent_));
    if (sent && *sent == 0) return {};
    sent_ += sent.value_or(0);
    if (sent && sent_ < held_.size()) continue;
    held_ = ByteBuffer();
    sent_ = 0;
    if (!sent) return std::unexpected(sent.error());
  }
  if (std::exchange(fin_due_, false)) ::shutdown(fd_, SHUT_WR);
  return {};
}

void TlsTransport::say_goodbye() {
  writes_ended_ = true;
  if (!established_ || broken_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  static_cast<void>(send_staged());
}

void TlsTransport::shut_down_writes() {
  if (writes_ended_) return;
  say_goodbye();
  fin_due_ = true;
  static_cast<void>(flush());
}

void TlsTransport::close() {
  if (!writes_ended_ && !holds()) say_goodbye();
  ::close(std::exchange(fd_, -1));
}

Error TlsTransport::failure(int reason) {
  const bool ended = io_error_ && io_error_->code == Errc::Closed;
  if (ended && !established_)
    return {Errc::Reset, "peer ended the connection during the TLS handshake"};
  if (ended && SSL_is_server(ssl_.get())) return *io_error_;
  if (ended) return {Errc::Reset, "peer ended the connection without close_notify"};
  if (io_error_) return *io_error_;
  if (const long verdict = SSL_get_verify_result(ssl_.get());
      !established_ && verdict != X509_V_OK && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE)
    return {Errc::Denied,
            std::string("certificate verify failed: ") + X509_verify_cert_error_string(verdict)};
  const std::string text = "TLS: " + tls_complaint();
  const int alert = ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET;
  if (reason == SSL_ERROR_SSL && is_about_certificates(alert)) return {Errc::Denied, text};
  // With the descriptor in OpenSSL's own hands.
  if (reason == SSL_ERROR_SYSCALL && errno != 0) return failed_send(errno);
  return {Errc::Protocol, text};
}

}  // namespace weir
