"""WebRTC ends that do ICE for real and send packets shaped like RTP, without DTLS and codecs: light enough for
hundreds of them in one thread each.

LightOrigin   answers WHIP like an ICE-lite server: signed checks are answered, a check that nominates moves the
              session to where it came from, media is echoed there and nowhere else.
LightClients  each signals by WHIP, checks like a full agent, answers checks, and sends media ten times a second.
"""

import random
import secrets
import selectors
import socket
import struct
import threading
import time

from support import stun
from support.scripted_origin import ScriptedOrigin
from support.stun import Stun, attribute, message, signed

RTP = 0x80
PERIOD = 0.1
BUFFER = 1024 * 1024


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
        self.sessions = {}  # by our ufrag: {"password", "at", "moves"}
        self.owners = {}  # address -> session, of those that have shown a password
        self.socket = self.open()
        self.media = self.socket.getsockname()[1]
        self.selector.register(self.socket, selectors.EVENT_READ, self.socket)
        self.port = ScriptedOrigin(scene, self._signal).http
        self.start()

    def _signal(self, asked):
        asked.body()
        if asked.command == "POST":
            ufrag, password = secrets.token_hex(4), secrets.token_hex(12)
            self.sessions[ufrag] = {"password": password, "at": None, "moves": 0}
            answer = stun.description(ufrag, password, self.media)
            place = f"/session/{ufrag}"
            return asked.give(answer.encode(), 201, Content_Type="application/sdp", Location=place)
        name = asked.path.partition("?")[0].rpartition("/")[2]
        ended = asked.command == "DELETE" and self.sessions.pop(name, None)
        asked.give(b"", 200 if ended else 404)

    def took(self, sock, packet, sender):
        said = Stun(packet)
        if said.kind is None:
            session = self.owners.get(sender)
            if session and session["at"]:
                sock.sendto(packet, session["at"])
            return
        session = self.sessions.get(said.username.partition(":")[0])
        if said.kind != stun.REQUEST or not session:
            return
        if not said.signed_with(session["password"]):
            return
        self.owners[sender] = session
        if stun.NOMINATE in said.attributes and session["at"] != sender:
            session["moves"] += session["at"] is not None
            session["at"] = sender
        (host,) = struct.unpack(">I", socket.inet_aton(sender[0]))
        mapped = struct.pack(">BBHI", 0, 1, sender[1] ^ stun.MAGIC >> 16, host ^ stun.MAGIC)
        answer = message(attribute(stun.XOR_MAPPED, mapped), stun.SUCCESS, transaction=said.transaction)
        sock.sendto(signed(answer, session["password"]), sender)

    def end(self):
        super().end()
        self.socket.close()


class LightClient:
    """`checks`: seconds between its checks once it is connected."""

    def __init__(self, sock, at, checks):
        self.socket, self.at, self.checks = sock, at, checks
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(12)
        self.origin = self.location = None
        self.sent = self.received = 0
        self.arrivals = []  # times of echoes
        self.next_check = self.next_media = 0.0

    def signal(self, port, path):
        headers, answer = stun.offer(port, path, self.ufrag, self.password)
        self.location, self.origin = headers["Location"], stun.credentials(answer)
        return answer

    def check(self, password=None):
        body = attribute(stun.USERNAME, f"{self.origin[0]}:{self.ufrag}".encode())
        body += attribute(stun.PRIORITY, struct.pack(">I", 1))
        body += attribute(stun.CONTROLLING, bytes(8)) + attribute(stun.NOMINATE, b"")
        return signed(message(body), password or self.origin[1])

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
        said = Stun(packet)
        if said.kind is None:
            self.received += 1
            self.arrivals.append(time.monotonic())
        elif said.kind == stun.REQUEST and said.signed_with(self.password):
            assert said.username == f"{self.ufrag}:{self.origin[0]}", said.username
            self._send(signed(message(kind=stun.SUCCESS, transaction=said.transaction), self.password))

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
