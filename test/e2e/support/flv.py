"""FLV from a stream of bytes: tags out of pieces of any size."""


class FlvReader:
    def __init__(self):
        self._buffer = bytearray()
        self._header = False

    def feed(self, data):
        """Yields (type, timestamp, body)."""
        self._buffer += data
        if not self._header:
            if len(self._buffer) < 13:
                return
            assert self._buffer[:4] == b"FLV\x01", f"not FLV: {bytes(self._buffer[:16])!r}"
            del self._buffer[:13]
            self._header = True
        at = 0
        try:
            while len(self._buffer) - at >= 11:
                size = int.from_bytes(self._buffer[at + 1 : at + 4], "big")
                if len(self._buffer) - at < size + 15:
                    return
                stamp = int.from_bytes(self._buffer[at + 4 : at + 7], "big") | self._buffer[at + 7] << 24
                before = int.from_bytes(self._buffer[at + 11 + size : at + 15 + size], "big")
                assert before == size + 11, f"tag of {size} bytes followed by size {before}"
                kind, body = self._buffer[at], bytes(self._buffer[at + 11 : at + 11 + size])
                at += size + 15
                yield kind, stamp, body
        finally:
            del self._buffer[:at]


def tags(path):
    reader = FlvReader()
    with open(path, "rb") as file:
        return list(reader.feed(file.read()))


def is_keyframe(body):
    """Of a video body; sequence headers are none."""
    return len(body) > 1 and body[0] >> 4 == 1 and not is_video_header(body)


def is_video_header(body):
    return len(body) > 1 and body[0] & 0x0F == 7 and body[1] == 0
