"""The client's side of RFC 6455 without a socket, written from the specification and from nothing of weir."""

import base64
import hashlib
import os

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def new_key():
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def upgrade_headers(key):
    return [
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]


def frame(opcode, payload=b""):
    """One message of up to 125 bytes, masked as a client's must be."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


class FrameReader:
    """A server's frames out of pieces of any size."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        """Yields (opcode, payload)."""
        self._buffer += data
        while len(self._buffer) >= 2:
            first, size, header = self._buffer[0], self._buffer[1], 2
            assert first & 0x70 == 0, f"reserved bits: {first:#x}"
            assert first & 0x80 and first & 0x0F, "weir sends messages whole"
            assert size < 128, "a server must not mask"
            if size > 125:
                header = 4 if size == 126 else 10
                if len(self._buffer) < header:
                    return
                size = int.from_bytes(self._buffer[2:header], "big")
            if len(self._buffer) < header + size:
                return
            payload = bytes(self._buffer[header : header + size])
            del self._buffer[: header + size]
            yield first & 0x0F, payload
