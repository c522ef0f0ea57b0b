// common/io/tls_server.h
// The certificates that this node shows, by the names that clients ask for.
//
//     "site.crt:site.key, /etc/weir/certificates"      a pair, and a folder of pairs
//
// A certificate is for the names in its subjectAltName, `*.` standing for one label; who asks for
// another name, or for none, gets the first. They can be read again while the node runs: handshakes
// that begin once they are shown see the new ones. Tickets stay good.
//
// Threading: any. Bounds: kMostCertificates.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/io/tls.h"
#include "common/io/tls_tickets.h"

namespace weir {

class TlsServer {
 public:
  static constexpr std::size_t kMostCertificates = 1000;

  // What one reading of the files gave.
  struct Shelf;

  // Shows nothing yet.
  TlsServer() = default;
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  // `certificates` as in the option tls.certificates. Errors: System, with the file's name.
  Result<std::shared_ptr<const Shelf>> read(const std::string& certificates);
  // In place of what it has shown. REQUIRES: read by this one.
  void show(std::shared_ptr<const Shelf> shelf);

  // Of the handshakes that begin at this time. REQUIRES: show() has been called.
  TlsContext context() const;
  // Makes the sessions of somebody else's context show what these do. `other` must not outlive this.
  void lend_to(ssl_ctx_st* other);

 private:
  std::shared_ptr<const Shelf> shelf() const;

  TicketKeys tickets_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Shelf> shelf_;
};

// Where the chain and the key of one certificate are.
struct CertificateFiles {
  std::string chain;
  std::string key;
};
// Errors: System when a folder cannot be read or holds no pair, Protocol when the text names none.
Result<std::vector<CertificateFiles>> find_certificates(std::string_view text);

}  // namespace weir
