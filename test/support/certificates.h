// test/support/certificates.h
// Authorities and certificates of a test's own, as PEM files in a folder that goes with the test.
//
//     CertificateFolder folder;
//     const auto ca = folder.authority("ca");
//     const auto server = folder.certificate("server", ca, {.names = "DNS:redis.test,IP:127.0.0.1"});
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>

#include "test/support/temporary_folder.h"

namespace weir::test {

struct Certificate {
  std::string file;      // the certificate
  std::string key_file;  // its key
  std::shared_ptr<X509> x509;
  std::shared_ptr<EVP_PKEY> key;
};

struct CertificateWishes {
  std::string names = "DNS:localhost,IP:127.0.0.1";  // as OpenSSL writes a subjectAltName
  long valid_from = -3600;                           // seconds from the present
  long valid_until = 3600;
};

class CertificateFolder {
 public:
  // Signs itself.
  Certificate authority(const std::string& name) {
    Certificate made = blank(name, {});
    extend(made, NID_basic_constraints, "critical,CA:TRUE");
    X509_set_issuer_name(made.x509.get(), X509_get_subject_name(made.x509.get()));
    return finish(std::move(made), name, nullptr);
  }

  Certificate certificate(const std::string& name, const Certificate& issuer,
                          const CertificateWishes& wishes = {}) {
    Certificate made = blank(name, wishes);
    extend(made, NID_subject_alt_name, wishes.names);
    X509_set_issuer_name(made.x509.get(), X509_get_subject_name(issuer.x509.get()));
    return finish(std::move(made), name, issuer.key.get());
  }

  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  Certificate blank(const std::string& name, const CertificateWishes& wishes) {
    Certificate made;
    made.x509 = {X509_new(), X509_free};
    made.key = {EVP_EC_gen("P-256"), EVP_PKEY_free};
    X509* x509 = made.x509.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(x509), wishes.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(x509), wishes.valid_until);
    X509_set_pubkey(x509, made.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    return made;
  }

  static void extend(Certificate& made, int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    INVARIANT(extension != nullptr, value);
    X509_add_ext(made.x509.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  Certificate finish(Certificate made, const std::string& name, EVP_PKEY* signing_key) {
    INVARIANT(X509_sign(made.x509.get(), signing_key != nullptr ? signing_key : made.key.get(),
                        EVP_sha256()) > 0);
    made.file = folder_ / (name + ".pem");
    made.key_file = folder_ / (name + ".key");
    const auto open = [](const std::string& path) {
      return std::unique_ptr<std::FILE, int (*)(std::FILE*)>(std::fopen(path.c_str(), "w"),
                                                             std::fclose);
    };
    INVARIANT(PEM_write_X509(open(made.file).get(), made.x509.get()) == 1);
    INVARIANT(PEM_write_PrivateKey(open(made.key_file).get(), made.key.get(), nullptr, nullptr, 0,
                                   nullptr, nullptr) == 1);
    return made;
  }

  TemporaryFolder folder_;
  long serial_ = 0;
};

}  // namespace weir::test
