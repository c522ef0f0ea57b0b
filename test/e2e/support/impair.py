"""A bad network between UDP clients and a server: loses, doubles, swaps and corrupts packets, the same ones for the
same seed.

Each client gets a socket of its own towards the server, so that the server tells clients apart. Shares are of
all packets, in each direction.
"""

import random
import selectors
import socket
import threading


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
        self.up = []  # sizes of the packets that went to the server, and their first 16 bytes
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="impair", daemon=True)
        self._thread.start()
        scene.at_end(self.close)

    def _socket(self):
        made = socket.socket(self._family, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        made.setblocking(False)
        return made

    def close(self):
        self._stop = True
        self._thread.join(5)
        for each in [self._front, *self._back.values()]:
            each.close()

    def _run(self):
        while not self._stop:
            for key, _ in self._selector.select(0.1):
                for _ in range(64):
                    try:
                        packet, sender = key.fileobj.recvfrom(65536)
                    except OSError:
                        break
                    if key.data is None:
                        self._pass(packet, self._toward(sender), self.server, True)
                    else:
                        self._pass(packet, self._front, key.data, False)

    def _toward(self, client):
        if client not in self._back:
            self._back[client] = self._socket()
            self._selector.register(self._back[client], selectors.EVENT_READ, client)
        return self._back[client]

    def _pass(self, packet, out, to, up):
        chance = self._random.random
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
        if up:
            self.up.append((len(packet), packet[:16]))
