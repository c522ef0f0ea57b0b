"""AMF0, as much of it as commands and metadata need."""

import struct

UNDEFINED = object()


def encode(*values):
    return b"".join(map(_encode, values))


def _key(text):
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _encode(value):
    if value is None:
        return b"\x05"
    if value is UNDEFINED:
        return b"\x06"
    if isinstance(value, bool):
        return b"\x01" + bytes([value])
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x02" + _key(value)
    if isinstance(value, dict):
        return b"\x03" + b"".join(_key(k) + _encode(v) for k, v in value.items()) + b"\0\0\x09"
    raise TypeError(type(value))


def decode(data):
    values, at = [], 0
    while at < len(data):
        value, at = _decode(data, at)
        values.append(value)
    return values


def _text(data, at):
    size = struct.unpack_from(">H", data, at)[0]
    return bytes(data[at + 2 : at + 2 + size]).decode(errors="replace"), at + 2 + size


def _pairs(data, at):
    pairs = {}
    while True:
        key, at = _text(data, at)
        if data[at] == 9:
            return pairs, at + 1
        pairs[key], at = _decode(data, at)


def _decode(data, at):
    marker = data[at]
    at += 1
    if marker == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if marker == 1:
        return data[at] != 0, at + 1
    if marker == 2:
        return _text(data, at)
    if marker == 3:
        return _pairs(data, at)
    if marker == 5:
        return None, at
    if marker == 6:
        return UNDEFINED, at
    if marker == 8:
        return _pairs(data, at + 4)
    if marker == 10:
        count, items = struct.unpack_from(">I", data, at)[0], []
        at += 4
        for _ in range(count):
            item, at = _decode(data, at)
            items.append(item)
        return items, at
    if marker == 11:
        return struct.unpack_from(">d", data, at)[0], at + 10
    if marker == 12:
        size = struct.unpack_from(">I", data, at)[0]
        return bytes(data[at + 4 : at + 4 + size]).decode(errors="replace"), at + 4 + size
    raise ValueError(f"AMF0 marker {marker}")
