"""A live pipe over HTTP or WebSocket, read with a blocking socket into memory."""

import socket
import time

from support import websocket


class LivePipe:
    """Asks at once; `status` and `headers` are there when the constructor returns. `body` is what the pipe has
    carried so far: of a WebSocket, what its binary messages have. `tls`: an SSLContext to ask over TLS with."""

    def __init__(self, scene, port, path, upgrade=False, headers=(), tls=None):
        self.key = websocket.new_key() if upgrade else None
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers]
        lines += websocket.upgrade_headers(self.key) if upgrade else []
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        scene.at_end(self.socket.close)
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.ended, self.body, self.control, self.messages = False, bytearray(), [], 0
        self._frames = websocket.FrameReader()
        head = bytearray()
        self.socket.settimeout(15)
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(65536)
            assert data, f"closed after {bytes(head)!r}"
            head += data
        head, _, rest = bytes(head).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        self._take(rest)

    def _take(self, data):
        if self.status != 101:
            self.body += data
            return
        for opcode, payload in self._frames.feed(data):
            if opcode == websocket.BINARY:
                self.body += payload
                self.messages += 1
            else:
                self.control.append((opcode, payload))

    def say(self, opcode, payload=b""):
        self.socket.sendall(websocket.frame(opcode, payload))

    def read(self, condition=lambda: False, seconds=10.0):
        """Until the condition holds or the pipe ends; false when neither came in time."""
        deadline = time.monotonic() + seconds
        while not condition() and not self.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(262144)
            except TimeoutError:
                return False
            except OSError:
                data = b""
            self.ended = not data
            self._take(data)
        return True
