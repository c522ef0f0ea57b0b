"""An authority of a test's own, and who it vouches for: PEM files in the scene's directory, made by openssl."""

import ssl
import subprocess


class Certificates:
    """`server` and `client` are (certificate, key); the server's is for 127.0.0.1 and `localhost`."""

    def __init__(self, scene):
        self.scene = scene
        self.ca, self._ca_key = self._make("ca")
        self.server = self._make("server", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", *self._signed())
        self.client = self._make("client", *self._signed())

    def _signed(self):
        return ("-CA", self.ca, "-CAkey", self._ca_key)

    def _make(self, name, *more):
        files = self.scene.path(f"{name}.pem"), self.scene.path(f"{name}.key")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-days", "2", "-subj", f"/CN={name}", "-out", files[0], "-keyout", files[1], *more),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
        return files

    def site(self, name):
        """(certificate, key) for one name alone."""
        return self._make(name, "-addext", f"subjectAltName=DNS:{name}", *self._signed())

    def context(self):
        """Of a client that trusts the authority."""
        return ssl.create_default_context(cafile=self.ca)

    def client_context(self):
        context = self.context()
        context.load_cert_chain(*self.client)
        return context
