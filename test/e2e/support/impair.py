"""A bad network between UDP clients and a server: loses, doubles, swaps and corrupts packets, the same ones for the
same seed.

Each client gets a socket of its own towards the server, so that the server tells clients apart. Shares are of
all packets, in each direction. With nothing impaired it is an address that can move to another server, as an anycast
address or a virtual IP does.
"""

import http.client
import random
import re
import selectors
import socket
import threading

from support.scripted_origin import ScriptedOrigin

BAD = {"loss": 0.05, "double": 0.05, "swap": 0.05}
# Nothing of SRT that is to arrive is corrupted: libsrt itself ends a connection over a corrupted loss report.
WORST = {"loss": 0.2, "double": 0.1, "swap": 0.25}


class Impaired:
    def __init__(self, scene, port, host="127.0.0.1", loss=0.0, double=0.0, swap=0.0, corrupt=0.0, seed=1):
        self.server = (host, port)
        self.loss, self.double, self.swap, self.corrupt = loss, double, swap, corrupt
        self._random = random.Random(seed)
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._front = self._socket()
        self._front.bind((host, 0))
        self.port = self._front.getsockname()[1]
        self._back, self._held = {}, {}  # by client; by (socket, address)
        self.lost = self.doubled = self.swapped = self.corrupted = 0
        # Of each packet its size and its first 16 bytes: towards the server and from it, before and behind this.
        self.came_up, self.went_up, self.came_down, self.went_down = [], [], [], []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._stop, self._lock = False, threading.Lock()
        self._thread = threading.Thread(target=self._run, name="impair", daemon=True)
        self._thread.start()
        scene.at_end(self.close)

    def _socket(self):
        made = socket.socket(self._family, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        made.setblocking(False)
        return made

    def move(self, port):
        """From here on the server is the one on that port; what the one before still sends is lost."""
        self.server = (self.server[0], port)

    def rebind(self):
        """A NAT forgets its clients: the server sees each at a new address."""
        with self._lock:
            for back in self._back.values():
                self._selector.unregister(back)
                back.close()
            self._back.clear()
            self._held.clear()

    def close(self):
        self._stop = True
        self._thread.join(5)
        for each in [self._front, *self._back.values()]:
            each.close()

    def _run(self):
        while not self._stop:
            for key, _ in self._selector.select(0.1):
                with self._lock:
                    self._drain(key.fileobj, key.data)

    def _drain(self, source, client):
        for _ in range(64):
            try:
                packet, sender = source.recvfrom(65536)
            except OSError:
                return
            if client is None:
                self._pass(packet, self._toward(sender), self.server, True)
            elif sender[:2] == self.server:
                self._pass(packet, self._front, client, False)

    def _toward(self, client):
        if client not in self._back:
            self._back[client] = self._socket()
            self._selector.register(self._back[client], selectors.EVENT_READ, client)
        return self._back[client]

    def _pass(self, packet, out, to, up):
        chance = self._random.random
        (self.came_up if up else self.came_down).append((len(packet), packet[:16]))
        if chance() < self.loss:
            self.lost += 1
            return
        if chance() < self.corrupt:
            self.corrupted += 1
            at = self._random.randrange(len(packet))
            packet = packet[:at] + bytes([packet[at] ^ (1 << self._random.randrange(8))]) + packet[at + 1 :]
        if chance() < self.swap and (out, to) not in self._held:
            self.swapped += 1
            self._held[out, to] = packet
            return
        self._send(packet, out, to, up)
        if chance() < self.double:
            self.doubled += 1
            self._send(packet, out, to, up)
        held = self._held.pop((out, to), None)
        if held is not None:
            self._send(held, out, to, up)

    def _send(self, packet, out, to, up):
        try:
            out.sendto(packet, to)
        except OSError:
            return
        (self.went_up if up else self.went_down).append((len(packet), packet[:16]))


class ImpairedSignalling:
    """WHIP and WHEP of the server on `port`, in whose answers every UDP address is that of an Impaired in front of
    it, one for each port; TCP is not offered."""

    _CANDIDATE = re.compile(r"(a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 )(\d+)( .*)", re.IGNORECASE)

    def __init__(self, scene, port, **network):
        self.networks = {}

        def through(match):
            to = int(match[2])
            if to not in self.networks:
                self.networks[to] = Impaired(scene, to, **network)
            return f"{match[1]}{self.networks[to].port}{match[3]}"

        def relay(asked):
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            server.request(asked.command, asked.path, asked.body(), dict(asked.headers))
            answer = server.getresponse()
            text = answer.read()
            if answer.headers.get_content_type() == "application/sdp":
                lines = [self._CANDIDATE.sub(through, line) for line in text.decode().split("\r\n")]
                text = "\r\n".join(line for line in lines if " tcptype " not in line).encode()
            server.close()
            own = ("content-length", "connection", "server", "date")
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in own}
            asked.give(text, answer.status, **headers)

        self.http = ScriptedOrigin(scene, relay).http

    def count(self, way):
        """Packets at one of the four places of all its networks, such as "went_up"."""
        return sum(len(getattr(network, way)) for network in self.networks.values())
