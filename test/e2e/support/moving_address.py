"""One UDP address in front of several nodes, as an anycast address or a virtual IP has it: it leads to one of them at a
time, and moves in an instant.

Each client has a socket of its own towards the nodes, so they tell clients apart and no node sees a client change
its address when the address moves. rebind() is the other case: the client's NAT forgets it, and the node sees it at a
new address.
"""

import selectors
import socket
import threading

from support.scene import free_port

PACKET = 2048
BUFFER = 1024 * 1024


class MovingAddress:
    def __init__(self, scene):
        self.port = free_port()
        self.node = None  # the port that it leads to
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._outer = self._open(self.port, None)
        self._inner = {}  # client's address -> socket towards the nodes
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="moving address", daemon=True)
        scene.at_end(self.close)
        self._thread.start()

    def lead_to(self, port):
        self.node = port

    def rebind(self):
        with self._lock:
            for inner in self._inner.values():
                self._selector.unregister(inner)
                inner.close()
            self._inner.clear()

    def close(self):
        self._stop = True
        self._thread.join(5)
        self.rebind()
        self._outer.close()
        self._selector.close()

    def _open(self, port, client):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        made.bind(("127.0.0.1", port))
        made.setblocking(False)
        self._selector.register(made, selectors.EVENT_READ, client)
        return made

    def _run(self):
        while not self._stop:
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    self._drain(key.fileobj, key.data)

    def _drain(self, source, client):
        while source.fileno() >= 0:
            try:
                packet, sender = source.recvfrom(PACKET)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if client:
                if sender[1] == self.node:  # what a node sends that the address has left is lost
                    self._outer.sendto(packet, client)
                continue
            if sender not in self._inner:
                self._inner[sender] = self._open(0, sender)
            try:
                self._inner[sender].sendto(packet, ("127.0.0.1", self.node))
            except OSError:
                pass  # nobody there
