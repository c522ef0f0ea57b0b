"""WebRTC without media: an origin that answers every offer and echoes every packet, and a client that sends what it
likes."""

import re
import secrets
import socket
import struct
import threading
import time

from support import stun
from support.scripted_origin import ScriptedOrigin

CLIENT = "cLnT"


def check(username, password, more=b"", fingerprint=True):
    """A signed connectivity check."""
    named = stun.message(stun.attribute(stun.USERNAME, username.encode()) + more)
    return stun.signed(named, password, fingerprint)


class Origin:
    """What is sent to a stream whose name contains "unread" is not even read."""

    def __init__(self, scene):
        self.media, self.unread = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.media, self.unread):
            each.bind(("127.0.0.1", 0))

        self.http = ScriptedOrigin(scene, self._signal).http
        threading.Thread(target=self._echo, daemon=True).start()
        scene.at_end(self.close)

    def _signal(self, asked):
        asked.body()
        if asked.command != "POST":  # a health probe
            return asked.give(b"", 404)
        taker = self.unread if "unread" in asked.path else self.media
        answer = stun.description(secrets.token_hex(4), secrets.token_hex(12), taker.getsockname()[1])
        place = f"/session/{secrets.token_hex(6)}"
        asked.give(answer.encode(), 201, Content_Type="application/sdp", Location=place)

    def _echo(self):
        while True:
            try:
                packet, sender = self.media.recvfrom(65536)
                if packet[0] >= 128:
                    self.media.sendto(packet, sender)
            except OSError:
                return

    def close(self):
        for each in (self.media, self.unread):
            each.close()


class Client:
    """One session, made when it is made; no address is known to the proxy until it sends checks."""

    def __init__(self, scene, signalling, path="/live/bare/whip"):
        _, answer = stun.offer(signalling, path, CLIENT, "aClientsPasswordOf22++")
        ufrag, self.password = stun.credentials(answer)
        self.username = f"{ufrag}:{CLIENT}"
        self.port = int(re.search(r" udp \d+ 127\.0\.0\.1 (\d+) ", answer)[1])
        self.socket = self.another_socket(scene)

    def another_socket(self, scene):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.connect(("127.0.0.1", self.port))
        made.settimeout(5)
        scene.at_end(made.close)
        return made

    def check(self, more=b"", **options):
        return check(self.username, self.password, more, **options)


class Probe:
    """A stream of numbered packets to an echoing origin and back, one every PERIOD, none of them repeated."""

    PERIOD, LATE = 0.01, 1.0

    def __init__(self, client):
        self.client = client
        self.sent, self.came = 0, []  # numbers
        self.gap, self._last = 0.0, None
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        client.socket.settimeout(self.LATE)
        client.socket.send(client.check())
        for thread in self._threads:
            thread.start()

    def _send(self):
        while not self._stop.wait(self.PERIOD):
            try:
                if self.sent % 100 == 50:
                    self.client.socket.send(self.client.check())
                self.client.socket.send(b"\x80\x6f" + struct.pack(">I", self.sent) + bytes(200))
            except OSError:  # the test has ended
                return
            self.sent += 1

    def _receive(self):
        while not self._stop.is_set() or len(self.came) < self.sent:
            try:
                packet = self.client.socket.recv(2000)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            except OSError:
                return
            self.came.append(struct.unpack_from(">I", packet, 2)[0])
            now = time.monotonic()
            self.gap = max(self.gap, now - (self._last or now))
            self._last = now

    def stop(self):
        """Numbers of packets that did not come back."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return sorted(set(range(self.sent)) - set(self.came))
