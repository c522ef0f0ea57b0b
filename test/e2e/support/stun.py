"""STUN and SDP as ICE agents write them, and offers by WHIP, for ends without media."""

import hashlib
import hmac
import secrets
import struct
import zlib

from support.node import request

MAGIC = 0x2112A442
REQUEST, SUCCESS = 0x0001, 0x0101
USERNAME, INTEGRITY, XOR_MAPPED, PRIORITY, NOMINATE = 0x0006, 0x0008, 0x0020, 0x0024, 0x0025
FINGERPRINT, CONTROLLING = 0x8028, 0x802A


def attribute(kind, value, size=None):
    """`size`: what it says of itself, if not the truth."""
    return struct.pack(">HH", kind, len(value) if size is None else size) + value + bytes(-len(value) % 4)


def message(body=b"", kind=REQUEST, size=None, transaction=None):
    """`size`: what it says of its body, if not the truth."""
    head = struct.pack(">HHI", kind, len(body) if size is None else size, MAGIC)
    return head + (transaction or secrets.token_bytes(12)) + body


def _longer(packet, size):
    """Says of itself that `size` more bytes belong to it."""
    return packet[:2] + struct.pack(">H", len(packet) - 20 + size) + packet[4:]


def _integrity(packet, password):
    return hmac.new(password.encode(), _longer(packet, 24), hashlib.sha1).digest()


def signed(packet, password, fingerprint=True):
    packet = _longer(packet, 24) + attribute(INTEGRITY, _integrity(packet, password))
    if fingerprint:
        packet = _longer(packet, 8)
        packet += attribute(FINGERPRINT, struct.pack(">I", zlib.crc32(packet) ^ 0x5354554E))
    return packet


class Stun:
    """What a packet says; `kind` is None when it is no STUN."""

    def __init__(self, packet):
        self.kind, self.attributes, self._signed = None, {}, None
        if len(packet) < 20 or packet[0] > 3 or struct.unpack_from(">I", packet, 4)[0] != MAGIC:
            return
        self.kind, self.transaction, at = struct.unpack_from(">H", packet)[0], packet[8:20], 20
        while at + 4 <= len(packet):
            kind, size = struct.unpack_from(">HH", packet, at)
            if kind == INTEGRITY:
                self._signed = packet[:at]
            self.attributes[kind] = packet[at + 4 : at + 4 + size]
            at += 4 + size + -size % 4

    @property
    def username(self):
        return self.attributes.get(USERNAME, b"").decode()

    def signed_with(self, password):
        return self._signed is not None and self.attributes[INTEGRITY] == _integrity(self._signed, password)


def description(ufrag, password, port=None):
    """An offer, or an answer of who can be reached at that port."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"]
    lines += [f"m=audio {port or 9} UDP/TLS/RTP/SAVPF 111", "c=IN IP4 127.0.0.1", f"a=ice-ufrag:{ufrag}"]
    lines += [f"a=ice-pwd:{password}", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass"]
    lines += ["a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2"]
    if port:
        lines.append(f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host")
    return "\r\n".join([*lines, ""])


def credentials(sdp):
    """(ufrag, password) of who wrote it."""
    found = dict(line[2:].split(":", 1) for line in sdp.splitlines() if line.startswith("a=ice-"))
    return found["ice-ufrag"], found["ice-pwd"]


def offer(port, path, ufrag, password):
    """Makes a session by WHIP; (headers, answer)."""
    kind = {"Content-Type": "application/sdp"}
    status, headers, answer = request(port, "POST", path, description(ufrag, password), headers=kind)
    assert status == 201, (status, answer)
    return headers, answer.decode()
