"""An RTMP client without a socket: bytes in through feed(), bytes out in `out`.

Written from the specification, and from nothing of weir, so that both can be wrong only independently.
"""

import os
import struct
from collections import namedtuple

from support import amf0

Message = namedtuple("Message", "type timestamp stream payload")

SET_CHUNK_SIZE, ABORT, ACK, USER_CONTROL, WINDOW_ACK, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20

CHUNK_SIZE_OUT = 4096


def handshake_opening():
    """C0 and C1 of the plain handshake."""
    return b"\x03" + bytes(8) + os.urandom(1528)


def chunk(chunk_stream, message, size=128):
    """A message as chunks: type 0, then type 3."""
    extended = message.timestamp >= 0xFFFFFF
    stamp = struct.pack(">I", message.timestamp) if extended else b""
    out = bytearray([chunk_stream])
    out += struct.pack(">I", min(message.timestamp, 0xFFFFFF))[1:]
    out += struct.pack(">I", len(message.payload))[1:] + bytes([message.type])
    out += struct.pack("<I", message.stream) + stamp + message.payload[:size]
    for at in range(size, len(message.payload), size):
        out += bytes([0xC0 | chunk_stream]) + stamp + message.payload[at : at + size]
    return bytes(out)


class ChunkReader:
    def __init__(self):
        self.size = 128
        self._buffer = bytearray()
        self._streams = {}

    def feed(self, data):
        """Yields whole messages; the chunk size is followed at once."""
        self._buffer += data
        at = 0
        try:
            while True:
                end, message = self._chunk(at)
                if end is None:
                    return
                at = end
                if message:
                    yield message
        finally:
            del self._buffer[:at]

    def _chunk(self, at):
        buffer, size = self._buffer, len(self._buffer)
        if at >= size:
            return None, None
        form, chunk_stream = buffer[at] >> 6, buffer[at] & 0x3F
        extra = {0: 1, 1: 2}.get(chunk_stream, 0)
        if at + 1 + extra + (11, 7, 3, 0)[form] > size:
            return None, None
        if extra:
            chunk_stream = 64 + buffer[at + 1] + (buffer[at + 2] << 8 if extra == 2 else 0)
        at += 1 + extra
        old = self._streams.get(chunk_stream)
        if old is None:
            assert form == 0, f"chunk stream {chunk_stream} begins with type {form}"
            old = dict(field=0, length=0, type=0, stream=0, time=0, got=bytearray())
        new = dict(old)
        if form < 3:
            new["field"] = int.from_bytes(buffer[at : at + 3], "big")
        if form < 2:
            new["length"], new["type"] = int.from_bytes(buffer[at + 3 : at + 6], "big"), buffer[at + 6]
        if form == 0:
            new["stream"] = int.from_bytes(buffer[at + 7 : at + 11], "little")
        at += (11, 7, 3, 0)[form]
        value = new["field"]
        if new["field"] == 0xFFFFFF:
            if at + 4 > size:
                return None, None
            value, at = int.from_bytes(buffer[at : at + 4], "big"), at + 4
        starts = not old["got"]
        assert starts or form == 3, "a new header inside of a message"
        if starts:
            new["time"] = value if form == 0 else (old["time"] + value) & 0xFFFFFFFF
        take = min(self.size, new["length"] - len(old["got"]))
        if at + take > size:
            return None, None
        new["got"] = old["got"] + buffer[at : at + take]
        message = None
        if len(new["got"]) == new["length"]:
            message = Message(new["type"], new["time"], new["stream"], bytes(new["got"]))
            new["got"] = bytearray()
            if message.type == SET_CHUNK_SIZE:
                self.size = struct.unpack(">I", message.payload)[0]
        self._streams[chunk_stream] = new
        return at + take, message


class RtmpClient:
    """Handshake, connect, createStream, then play or publish. `codes` are the status codes in the order in which
    they came, those of _error included."""

    def __init__(self, host_port, app, stream, publish=False, connect=None):
        self.app, self.stream, self.publish = app, stream, publish
        self.connect_object = {
            "app": app,
            "type": "nonprivate",
            "flashVer": "LNX 9,0,124,2",
            "tcUrl": f"rtmp://{host_port}/{app}",
            **(connect or {}),
        }
        self.out = bytearray(handshake_opening())
        self.codes, self.descriptions = [], []
        self.greeted = False
        self.asked = False
        self.stream_id = 0
        self.received = 0
        self._acked, self._window = 0, 2500000
        self._hello = bytearray()
        self._reader = ChunkReader()

    def feed(self, data):
        """Returns the messages that are not dealt with here: media and metadata."""
        self.received += len(data)
        if not self.greeted:
            self._hello += data
            if len(self._hello) < 3073:
                return []
            data = bytes(self._hello[3073:])
            self.out += self._hello[1:1537]
            self.greeted = True
            self._send(2, SET_CHUNK_SIZE, struct.pack(">I", CHUNK_SIZE_OUT), 128)
            self.command("connect", 1, self.connect_object)
        self.acknowledge()
        return [message for message in self._reader.feed(data) if not self._deal_with(message)]

    def acknowledge(self):
        if self.received - self._acked >= self._window // 2:
            self._acked = self.received
            self._send(2, ACK, struct.pack(">I", self.received & 0xFFFFFFFF))

    def command(self, *values, stream=0):
        self._send(3, COMMAND, amf0.encode(*values), stream=stream)

    def media(self, kind, timestamp, payload):
        self.out += chunk(6, Message(kind, timestamp, self.stream_id, payload), CHUNK_SIZE_OUT)

    def _send(self, chunk_stream, kind, payload, size=CHUNK_SIZE_OUT, stream=0):
        self.out += chunk(chunk_stream, Message(kind, 0, stream, payload), size)

    def _deal_with(self, message):
        if message.type == COMMAND:
            self._answer(amf0.decode(message.payload))
        elif message.type == WINDOW_ACK:
            self._window = struct.unpack(">I", message.payload[:4])[0]
        elif message.type == USER_CONTROL and message.payload[:2] == b"\0\x06":
            self._send(2, USER_CONTROL, b"\0\x07" + message.payload[2:6])
        else:
            return message.type not in (AUDIO, VIDEO, DATA)
        return True

    def _answer(self, values):
        name, transaction = values[0], values[1]
        info = next((v for v in values[2:] if isinstance(v, dict) and "code" in v), {})
        if name == "_result" and transaction == 1:
            self.codes.append(info.get("code", ""))
            self.command("releaseStream" if self.publish else "getStreamLength", 2, None, self.stream)
            self.command("createStream", 4, None)
        elif name == "_result" and transaction == 4:
            self.stream_id = int(values[3])
            if self.publish:
                self.command("publish", 5, None, self.stream, "live", stream=self.stream_id)
            else:
                self.command("play", 5, None, self.stream, -2000, stream=self.stream_id)
            self.asked = True
        elif name in ("onStatus", "_error"):
            self.codes.append(info.get("code", name))
            self.descriptions.append(info.get("description", ""))
