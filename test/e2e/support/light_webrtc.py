"""WebRTC ends that do ICE for real and send packets shaped like RTP, without DTLS and codecs: light enough for
hundreds of them in one thread each.

LightOrigin   answers WHIP like an ICE-lite server: signed checks are answered, a check that nominates moves the
              session to where it came from, media is echoed there and nowhere else.
LightClients  each signals by WHIP, checks like a full agent, answers checks, and sends media ten times a second.
"""

import hashlib
import hmac
import http.server
import os
import random
import secrets
import selectors
import socket
import struct
import threading
import time
import zlib

from support.node import request

MAGIC = 0x2112A442
REQUEST, SUCCESS = 0x0001, 0x0101
USERNAME, INTEGRITY, PRIORITY, XOR_MAPPED, NOMINATE = 0x0006, 0x0008, 0x0024, 0x0020, 0x0025
FINGERPRINT, CONTROLLED, CONTROLLING = 0x8028, 0x8029, 0x802A
RTP = 0x80
PERIOD = 0.1
BUFFER = 1024 * 1024


def _integrity(message, password):
    covered = message[:2] + struct.pack("!H", len(message) - 20 + 24) + message[4:]
    return hmac.new(password.encode(), covered, hashlib.sha1).digest()


def stun(kind, password, transaction=None, attributes=()):
    """A signed message with a FINGERPRINT. `attributes`: (type, value)..."""

    def put(kind, value):
        nonlocal body
        body += struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)

    def message(size):
        return struct.pack("!HHI", kind, size, MAGIC) + transaction + body

    transaction, body = transaction or os.urandom(12), b""
    for attribute in attributes:
        put(*attribute)
    put(INTEGRITY, _integrity(message(0), password))
    put(FINGERPRINT, struct.pack("!I", zlib.crc32(message(len(body) + 8)) ^ 0x5354554E))
    return message(len(body))


class Stun:
    """What a packet says; `kind` is None when it is no STUN."""

    def __init__(self, packet):
        self.packet, self.kind, self.attributes, self._signed = packet, None, {}, None
        if len(packet) < 20 or packet[0] > 3 or struct.unpack_from("!I", packet, 4)[0] != MAGIC:
            return
        self.kind, self.transaction, at = struct.unpack_from("!H", packet)[0], packet[8:20], 20
        while at + 4 <= len(packet):
            kind, size = struct.unpack_from("!HH", packet, at)
            if kind == INTEGRITY:
                self._signed = packet[:at]
            self.attributes[kind] = packet[at + 4 : at + 4 + size]
            at += 4 + size + -size % 4

    @property
    def username(self):
        return self.attributes.get(USERNAME, b"").decode()

    def signed_with(self, password):
        return self._signed is not None and self.attributes[INTEGRITY] == _integrity(self._signed, password)


def description(ufrag, password, direction, port=9):
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"]
    lines += [f"m=audio {port} UDP/TLS/RTP/SAVPF 111", "c=IN IP4 127.0.0.1", f"a=ice-ufrag:{ufrag}"]
    lines += [f"a=ice-pwd:{password}", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass"]
    lines += ["a=mid:0", f"a={direction}", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2"]
    if port != 9:
        lines.append(f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host")
    return "\r\n".join([*lines, ""])


def credentials(sdp):
    found = dict(line[2:].split(":", 1) for line in sdp.splitlines() if line.startswith("a=ice-"))
    return found["ice-ufrag"], found["ice-pwd"]


class _Loop(threading.Thread):
    """Calls `took(sock, packet, sender)` and, when it is due, `tick()`."""

    def __init__(self, scene, name):
        super().__init__(name=name, daemon=True)
        self.selector, self.stopping = selectors.DefaultSelector(), False
        scene.at_end(self.end)

    def open(self):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        return made

    def run(self):
        while not self.stopping:
            self.tick()
            for key, _ in self.selector.select(0.01):
                try:
                    self.took(key.data, *key.fileobj.recvfrom(2048))
                except (BlockingIOError, ConnectionRefusedError):
                    pass

    def tick(self):
        pass

    def end(self):
        self.stopping = True
        if self.is_alive():
            self.join(5)


class LightOrigin(_Loop):
    def __init__(self, scene):
        super().__init__(scene, "light origin")
        self.sessions = {}  # by our ufrag: {"password", "client", "at", "moves", "path"}
        self.owners = {}  # address -> session, of those that have shown a password
        self.silent = False  # takes sessions and answers none of their checks
        self.socket = self.open()
        self.media = self.socket.getsockname()[1]
        self.selector.register(self.socket, selectors.EVENT_READ, self.socket)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
                ufrag, password = secrets.token_hex(4), secrets.token_hex(12)
                session = {"password": password, "client": credentials(offer), "at": None, "moves": 0}
                owner.sessions[ufrag] = {**session, "path": self.path}
                answer = description(ufrag, password, "sendrecv", owner.media).encode()
                self.send_response(201)
                self.send_header("Content-Type", "application/sdp")
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("Location", f"/session/{ufrag}")
                self.end_headers()
                self.wfile.write(answer)

            def do_DELETE(self):
                known = owner.sessions.pop(self.path.partition("?")[0].rpartition("/")[2], None)
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.start()

    def took(self, sock, packet, sender):
        message = Stun(packet)
        if message.kind is None:
            session = self.owners.get(sender)
            if session and session["at"]:
                sock.sendto(packet, session["at"])
            return
        session = self.sessions.get(message.username.partition(":")[0])
        if self.silent or message.kind != REQUEST or not session:
            return
        if not message.signed_with(session["password"]):
            return
        self.owners[sender] = session
        if NOMINATE in message.attributes and session["at"] != sender:
            session["moves"] += session["at"] is not None
            session["at"] = sender
        mapped = struct.pack(
            "!BBHI", 0, 1, sender[1] ^ MAGIC >> 16, struct.unpack("!I", socket.inet_aton(sender[0]))[0] ^ MAGIC
        )
        sock.sendto(stun(SUCCESS, session["password"], message.transaction, [(XOR_MAPPED, mapped)]), sender)

    def end(self):
        super().end()
        self.server.shutdown()
        self.server.server_close()
        self.socket.close()


class LightClient:
    """`checks`: seconds between its checks once it is connected."""

    def __init__(self, sock, at, checks):
        self.socket, self.at, self.checks = sock, at, checks
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(12)
        self.origin = self.location = None
        self.sent = self.received = self.challenged = 0
        self.arrivals = []  # times of echoes
        self.next_check = self.next_media = 0.0

    def signal(self, port, path):
        offer = description(self.ufrag, self.password, "sendrecv")
        status, headers, answer = request(port, "POST", path, offer, headers={"Content-Type": "application/sdp"})
        assert status == 201, (status, answer)
        self.location, self.origin = headers["Location"], credentials(answer.decode())
        return answer.decode()

    def check(self, password=None):
        attributes = [(USERNAME, f"{self.origin[0]}:{self.ufrag}".encode()), (PRIORITY, struct.pack("!I", 1))]
        attributes += [(CONTROLLING, bytes(8)), (NOMINATE, b"")]
        return stun(REQUEST, password or self.origin[1], attributes=attributes)

    def turn(self, now):
        if now >= self.next_check:
            # Often until something comes, then at its own pace.
            self.next_check = now + (self.checks * random.uniform(0.9, 1.1) if self.received else 0.05)
            self._send(self.check())
        if now >= self.next_media:
            self.next_media = now + PERIOD
            self.sent += 1
            self._send(struct.pack("!BBHII", RTP, 111, self.sent & 0xFFFF, self.sent, 7) + bytes(148))

    def took(self, packet):
        message = Stun(packet)
        if message.kind is None:
            self.received += 1
            self.arrivals.append(time.monotonic())
        elif message.kind == REQUEST and message.signed_with(self.password):
            assert message.username == f"{self.ufrag}:{self.origin[0]}", message.username
            self.challenged += 1
            self._send(stun(SUCCESS, self.password, message.transaction))

    def longest_gap(self, begin, end):
        """Seconds without an echo between two times."""
        times = [begin, *(t for t in self.arrivals if begin < t < end), end]
        return max(b - a for a, b in zip(times, times[1:]))

    def _send(self, packet):
        try:
            self.socket.sendto(packet, ("127.0.0.1", self.at))
        except OSError:
            pass


class LightClients(_Loop):
    def __init__(self, scene):
        super().__init__(scene, "light clients")
        self.clients = []

    def add(self, at, checks):
        client = LightClient(self.open(), at, checks)
        self.clients.append(client)
        return client

    def begin(self):
        for client in self.clients:
            self.selector.register(client.socket, selectors.EVENT_READ, client)
        self.start()

    def tick(self):
        now = time.monotonic()
        for client in self.clients:
            client.turn(now)

    def took(self, client, packet, _):
        client.took(packet)

    def end(self):
        super().end()
        for client in self.clients:
            client.socket.close()
