// common/io/tls_transport.h
// The Transport that common/io/tls.h puts below a Socket: one OpenSSL session over one descriptor.
//
// OpenSSL writes into memory of the loop's thread and reads straight from the descriptor, so it
// never waits to send: that is done here, a batch of records at a time. With kTLS it has the
// descriptor itself, for only then can it hand its keys to the kernel.
//
// Threading and bounds: those of common/io/tls.h.
#pragma once

#include <memory>
#include <optional>

#include "common/bytes.h"
#include "common/io/tls.h"

struct bio_st;

namespace weir {

class TlsTransport final : public Transport {
 public:
  enum class Kernel { No, Try };

  // Takes over the connected descriptor, once it watches it: until then it is the socket's.
  TlsTransport(int fd, const TlsContext& context, Kernel kernel);
  ~TlsTransport() override;

  ssl_st* session() const { return ssl_.get(); }

  // The handshake is over. Until then read() is a step of it, with the errors of connect_tls().
  bool established() const { return established_; }
  TlsAgreement agreement() const;

  Result<std::size_t> read(std::span<std::uint8_t> into) override;
  Result<std::size_t> write(std::span<const iovec> pieces) override;
  bool holds() const override { return !held_.empty(); }
  Result<void> flush() override;
  bool writes_plainly() const override { return in_kernel_; }
  void shut_down_writes() override;
  void watch(Loop& loop, Watcher& watcher) override { loop.add(fd_, kTransportEvents, watcher); }
  void unwatch(Loop& loop, Watcher& watcher) override { loop.remove(fd_, watcher); }
  void close() override;

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  static int bio_read(bio_st* bio, char* into, int size);
  static int bio_write(bio_st* bio, const char* bytes, int size);
  bio_st* make_bio();

  Result<void> shake_hands();
  Result<std::size_t> send_now(ByteView bytes);
  Result<void> send_staged();
  void say_goodbye();
  Error failure(int reason);
  std::unexpected<Error> broken() const { return std::unexpected(*broken_); }

  int fd_;
  std::unique_ptr<ssl_st, Free> ssl_;
  bool established_ = false;
  bool in_kernel_ = false;
  bool writes_ended_ = false;
  bool fin_due_ = false;           // behind what is held
  bool lost_ = false;              // what was sent last
  ByteBuffer held_;                // ciphertext that the kernel did not take
  std::size_t sent_ = 0;           // of it
  std::optional<Error> io_error_;  // what the descriptor said, if not well
  std::optional<Error> broken_;    // OpenSSL must not be asked again
};

}  // namespace weir
