"""Tags of Enhanced RTMP, which the ffmpeg of Debian 12 cannot write: HEVC and Opus from its other files."""

import struct

from support import rtmp
from support.media import FFMPEG

VPS, SPS, PPS, AUD = 32, 33, 34, 35


def encode_hevc(scene, seconds):
    """Annex B, 25 pictures a second, each after an access unit delimiter, one keyframe a second."""
    path = scene.path("clip.hevc")
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", seconds, "-pix_fmt", "yuv420p"]
    keys = "aud=1:keyint=25:min-keyint=25:scenecut=0:open-gop=0:repeat-headers=1:pools=1:log-level=error"
    codec = ["-c:v", "libx265", "-preset", "ultrafast", "-bf", "0", "-x265-params", keys]
    status, text = scene.run("encode", [*FFMPEG, "-y", *source, *codec, path], 60)
    assert status == 0, text
    return path


def encode_opus(scene, seconds):
    """Ogg, packets of 20 ms."""
    path = scene.path("clip.opus")
    source = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", seconds]
    status, text = scene.run("encode", [*FFMPEG, "-y", *source, "-ac", "2", "-c:a", "libopus", path], 60)
    assert status == 0, text
    return path


def _units(path):
    """The NAL units of an annex B file."""
    with open(path, "rb") as file:
        data = file.read()
    at = data.find(b"\0\0\1")
    while at >= 0:
        end = data.find(b"\0\0\1", at + 3)
        yield data[at + 3 : end if end >= 0 else len(data)].rstrip(b"\0")
        at = end


def _record(sets):
    """HEVCDecoderConfigurationRecord with what a reader of parameter sets needs."""
    out = bytes([1]) + bytes(20) + bytes([0x0F, len(sets)])
    for kind, unit in sets.items():
        out += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
    return out


def hevc_tags(path):
    sets, pictures = {}, []
    for unit in _units(path):
        kind = unit[0] >> 1 & 0x3F
        if kind == AUD:
            pictures.append([False, b""])
        elif kind in (VPS, SPS, PPS):
            sets[kind] = unit
        else:
            pictures[-1][0] |= 16 <= kind <= 21
            pictures[-1][1] += struct.pack(">I", len(unit)) + unit
    yield rtmp.VIDEO, 0, b"\x90hvc1" + _record(sets)
    for number, (key, picture) in enumerate(pictures):
        yield rtmp.VIDEO, number * 40, (b"\x93" if key else b"\xa3") + b"hvc1" + picture


def opus_tags(path):
    """An Ogg page is a header of 27 bytes, its segments' sizes, and the segments; a packet ends with one below 255."""
    with open(path, "rb") as file:
        data = file.read()
    packets, packet, at = [], b"", 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        sizes = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(sizes)
        for size in sizes:
            packet += data[at : at + size]
            at += size
            if size < 255:
                packets.append(packet)
                packet = b""
    yield rtmp.AUDIO, 0, b"\x90Opus" + packets[0]
    for number, packet in enumerate(packets[2:]):
        yield rtmp.AUDIO, number * 20, b"\x91Opus" + packet


def merged(*tracks):
    """In order of time, headers first."""
    return sorted((tag for track in tracks for tag in track), key=lambda tag: tag[1])
