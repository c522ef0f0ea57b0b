"""A name server of a test's own, and a node that asks it and nobody else.

A resolver finds its server in /etc/resolv.conf and asks it at port 53. So the server has an address of its own
within 127.0.0.0/8, and the node a mount namespace in which that file is another: both need root.
"""

import errno
import random
import socket
import struct
import subprocess
import threading

A, IN, NAME_ERROR = 1, 1, 3


def possible():
    """Whether this machine lets us."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.53.0.1", 53))
    except OSError:
        return False
    command = ["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]
    try:
        return subprocess.run(command, capture_output=True, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class NameServer:
    """`names`: {name: (IPv4 address, seconds to live)}, changed at will; while `silent` it answers nobody."""

    def __init__(self, scene, names):
        self.names, self.silent = dict(names), False
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        self._resolv_conf = scene.path("resolv.conf")
        with open(self._resolv_conf, "w") as file:
            file.write(f"nameserver {self.address}\n")
        self._thread = threading.Thread(target=self._serve, name="dns", daemon=True)
        self._thread.start()
        scene.at_end(self.close)

    def _bind(self):
        while True:
            address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
            try:
                self._socket.bind((address, 53))
                return address
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise

    def wrap(self):
        """What goes before the command of a process that shall ask this server."""
        script = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, self._resolv_conf]

    def count(self, name):
        return self.asked.count(name)

    def close(self):
        self._socket.close()

    def _serve(self):
        self._socket.settimeout(0.2)
        while self._socket.fileno() >= 0:
            try:
                question, sender = self._socket.recvfrom(512)
                name, kind, end = self._parse(question)
                self.asked.append(name)
                if not self.silent:
                    self._socket.sendto(self._answer(question[:2], question[12:end], name, kind), sender)
            except TimeoutError:
                pass
            except OSError:
                return

    @staticmethod
    def _parse(packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        (kind,) = struct.unpack_from(">H", packet, at + 1)
        return ".".join(labels), kind, at + 5

    def _answer(self, number, question, name, kind):
        known = self.names.get(name)
        records = b""
        if known and kind == A:
            address, lifetime = known
            records = b"\xc0\x0c" + struct.pack(">HHIH", A, IN, lifetime, 4) + socket.inet_aton(address)
        flags = 0x8580 | (0 if known else NAME_ERROR)
        return number + struct.pack(">HHHHH", flags, 1, bool(records), 0, 0) + question + records
