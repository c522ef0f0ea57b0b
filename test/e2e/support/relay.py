"""A bad road between a node and an origin, for TCP: slow, narrow, mute, or gone.

Everything is passed on in order and nothing is invented. `delay` and `rate` hold for each direction of each
connection, in seconds and bytes a second.
"""

import collections
import selectors
import socket
import struct
import threading
import time

PIECE = 16 * 1024
HELD = 256 * 1024  # in each direction; then the sender is held back


class _Way:
    """One direction of one connection."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.held, self.size = collections.deque(), 0
        self.ended = self.done = False
        self.paid = 0.0  # until when the rate is used up


class Relay:
    def __init__(self, scene, port, host="127.0.0.1", listen=0):
        self.target, self.host = ("127.0.0.1", port), host
        self.delay, self.rate = 0.0, 0.0
        self.accepted = 0
        self._mute = self._stop = False
        self._ways, self._fillers = [], []
        self._lock = threading.RLock()
        self._listener = self._listening(listen)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()
        scene.at_end(self.close)

    def impair(self, delay=0.0, rate=0.0):
        self.delay, self.rate = delay, rate

    def black_hole(self):
        """What is sent here is lost without a word: no connection is reset, none is made."""
        with self._lock:
            self._mute = True
            # The kernel drops what asks for a connection while the queue of those not accepted is full.
            self._listener.listen(0)
            while True:
                filler = socket.socket()
                self._fillers.append(filler)
                filler.settimeout(0.05)
                try:
                    filler.connect((self.host, self.port))
                except TimeoutError:
                    return

    def refuse(self):
        """Every connection is reset, and so is whoever comes."""
        with self._lock:
            self._listener.close()
            self._reset_all()

    def restore(self):
        """As after the constructor, but for the connections that are gone."""
        with self._lock:
            self._reset_all()
            if self._listener.fileno() < 0:
                self._listener = self._listening(self.port)
            self._listener.listen(128)
            self._close_fillers()
            self._mute = False

    def close(self):
        self._stop = True
        self._thread.join(5)
        self._listener.close()
        self._reset_all()
        self._close_fillers()

    def _close_fillers(self):
        for filler in self._fillers:
            filler.close()
        self._fillers = []

    def _listening(self, port):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.host, port))
        made.listen(128)
        made.setblocking(False)
        return made

    def _reset_all(self):
        for way in self._ways:
            if way.source.fileno() >= 0:
                way.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                way.source.close()
        self._ways = []

    def _run(self):
        while not self._stop:
            with self._lock:
                busy = not self._mute and self._turn()
            if not busy:
                self._wait()

    def _wait(self):
        """Until somebody has something to say, or 5 ms: what is held back becomes due, or the test has changed
        its mind."""
        with selectors.DefaultSelector() as selector, self._lock:
            if self._mute:
                sources = []
            else:
                sources = [way.source for way in self._ways if not way.ended and way.size < HELD]
                sources += [self._listener] if self._listener.fileno() >= 0 else []
            for source in sources:
                selector.register(source, selectors.EVENT_READ)
            waiting = any(way.held for way in self._ways)
            if sources and not waiting:
                selector.select(0.005)
                return
        time.sleep(0.005)

    def _turn(self):
        """True when something moved."""
        moved = self._accept()
        for way in list(self._ways):
            moved |= self._take(way) | self._give(way)
        self._ways = [way for way in self._ways if not way.done]
        return moved

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except OSError:
            return False
        self.accepted += 1
        try:
            origin = socket.create_connection(self.target, 1)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return True
        for each in (client, origin):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ways += [_Way(client, origin), _Way(origin, client)]
        return True

    def _take(self, way):
        if way.ended or way.size >= HELD:
            return False
        try:
            data = way.source.recv(PIECE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        way.ended = not data
        way.held.append((time.monotonic() + self.delay, data))
        way.size += len(data)
        return True

    def _give(self, way):
        now = time.monotonic()
        if not way.held or way.held[0][0] > now or way.paid > now:
            return False
        due, data = way.held.popleft()
        if not data:
            self._finish(way)
            return True
        try:
            sent = way.sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._finish(way)
            return True
        way.size -= sent
        if sent < len(data):
            way.held.appendleft((due, data[sent:]))
        if self.rate:
            way.paid = max(now, way.paid) + sent / self.rate
        return sent > 0

    def _finish(self, way):
        """The end of one direction ends both, as it does with the servers behind."""
        for each in self._ways:
            if each.source in (way.source, way.sink):
                each.done = True
        way.source.close()
        way.sink.close()
