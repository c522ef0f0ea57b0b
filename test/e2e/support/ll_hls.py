"""A Low-Latency HLS origin: ffmpeg encodes fragmented MP4, which is cut into parts and segments here and served
with blocking reloads, preload hints and delta updates, as RFC 8216bis (section 6.2.5) describes them.

Every stream name under /live is there and shows the same: NAME.m3u8, NAME/master.m3u8 and what they lead to.
"""

import subprocess
import threading
import urllib.parse

from support.media import FFMPEG
from support.scripted_origin import ScriptedOrigin

RATE = 25
FRAMES_OF_PART, FRAMES_OF_SEGMENT = 5, 25
PART, SEGMENT = FRAMES_OF_PART / RATE, FRAMES_OF_SEGMENT / RATE
SHOWN, SHOWN_WITH_PARTS = 8, 3
HOLD = 10
PLAYLIST, MP4 = "application/vnd.apple.mpegurl", "video/mp4"


def boxes(data, at=0, end=None):
    """(type, body's begin, end) of each box of ISO/IEC 14496-12."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, at + size
        at += size


def frames_of(moof):
    """Of the first track, which is the video."""
    for kind, begin, end in boxes(moof, 8):
        if kind == b"traf":
            return sum(
                int.from_bytes(moof[run + 4 : run + 8], "big")
                for kind, run, _ in boxes(moof, begin, end)
                if kind == b"trun"
            )
    return 0


class LlHlsOrigin:
    def __init__(self, scene, name):
        self.name = name
        self._changed = threading.Condition()
        self._init, self._segments = b"", []  # of each segment [(bytes, frames)]
        self._server = ScriptedOrigin(scene, self._answer)
        self.http, self.asked = self._server.http, self._server.asked
        # Every part begins with a keyframe, so that a player may begin at any.
        gop = ["-g", FRAMES_OF_PART, "-keyint_min", FRAMES_OF_PART, "-sc_threshold", "0", "-bf", "0"]
        sources = [f"testsrc2=size=320x180:rate={RATE}", "sine=frequency=440:sample_rate=48000"]
        self._encoder = scene.start(
            f"encoder-{name}",
            [
                *FFMPEG,
                *(word for source in sources for word in ("-re", "-f", "lavfi", "-i", source)),
                *["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"],
                *["-threads", "1", *gop, "-c:a", "aac", "-b:a", "64k"],
                *["-f", "mp4", "-movflags", "+empty_moov+default_base_moof+frag_keyframe"],
                *["-frag_duration", int(PART * 1e6), "-flush_packets", "1", "pipe:1"],
            ],
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def as_upstream(self):
        return {"http": self.http}

    def _read(self):
        pipe, moof = self._encoder.popen.stdout, b""
        while len(head := pipe.read(8)) == 8:
            box = head + pipe.read(int.from_bytes(head[:4], "big") - 8)
            kind = head[4:]
            if kind in (b"ftyp", b"moov"):
                self._init += box
            elif kind == b"moof":
                moof = box
            elif kind == b"mdat":
                with self._changed:
                    self._add(moof + box, frames_of(moof))
                    self._changed.notify_all()
        pipe.close()

    def _add(self, part, frames):
        if not self._segments or self._is_done(len(self._segments) - 1):
            self._segments.append([])
        self._segments[-1].append((part, frames))

    def _is_done(self, number):
        return sum(frames for _, frames in self._segments[number]) >= FRAMES_OF_SEGMENT

    def _has(self, number, part=None):
        newest = len(self._segments) - 1
        if number > newest:
            return False
        return number < newest or (self._is_done(number) if part is None else part < len(self._segments[number]))

    def _answer(self, asked):
        url = urllib.parse.urlsplit(asked.path)
        arguments = dict(urllib.parse.parse_qsl(url.query))
        stream, _, name = url.path.removeprefix("/live/").partition("/")
        if name == "master.m3u8":
            variant = f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=320x180\n../{stream}.m3u8\n'
            asked.give(variant.encode(), Content_Type=PLAYLIST)
        elif not name and stream.endswith(".m3u8"):
            self._give_playlist(asked, stream.removesuffix(".m3u8"), arguments)
        elif name == "init.mp4":
            asked.give(self._init, Content_Type=MP4)
        else:
            self._give_media(asked, name)

    def _wait(self, ready):
        with self._changed:
            return self._changed.wait_for(ready, HOLD)

    def _give_playlist(self, asked, stream, arguments):
        number, part = (arguments.get(f"_HLS_{key}") for key in ("msn", "part"))
        wanted = (1, None) if number is None else (int(number), None if part is None else int(part))
        if not self._wait(lambda: self._has(*wanted)):
            asked.give(b"", 503)
            return
        with self._changed:
            text = self._playlist(stream, "_HLS_skip" in arguments)
        asked.give(text.encode(), Content_Type=PLAYLIST)

    def _playlist(self, stream, skip):
        newest = len(self._segments) - 1
        first = max(0, newest - SHOWN)
        control = f"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={3 * PART:.2f},CAN-SKIP-UNTIL={6 * SEGMENT:.1f}"
        lines = ["#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-TARGETDURATION:{SEGMENT:.0f}"]
        lines += [f"#EXT-X-SERVER-CONTROL:{control}", f"#EXT-X-PART-INF:PART-TARGET={PART:.3f}"]
        lines += [f"#EXT-X-MEDIA-SEQUENCE:{first}", f'#EXT-X-MAP:URI="{stream}/init.mp4"']
        if skip and newest - first > 6:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={newest - first - 6}")
            first = newest - 6
        for number in range(first, newest + 1):
            if number > newest - SHOWN_WITH_PARTS:
                for part, (_, frames) in enumerate(self._segments[number]):
                    uri = f'URI="{stream}/{number}.{part}.m4s",INDEPENDENT=YES'
                    lines.append(f"#EXT-X-PART:DURATION={frames / RATE:.3f},{uri}")
            if self._is_done(number):
                frames = sum(frames for _, frames in self._segments[number])
                lines += [f"#EXTINF:{frames / RATE:.3f},", f"{stream}/{number}.m4s"]
        after = (newest + 1, 0) if self._is_done(newest) else (newest, len(self._segments[newest]))
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{stream}/{after[0]}.{after[1]}.m4s"')
        return "\n".join([*lines, ""])

    def _give_media(self, asked, name):
        numbers = [int(word) for word in name.removesuffix(".m4s").split(".") if word.isdigit()]
        number, part = numbers[0], numbers[1] if len(numbers) > 1 else None
        if not self._wait(lambda: self._has(number, part)):
            asked.give(b"", 404)
            return
        parts = [data for data, _ in self._segments[number]]
        asked.give(b"".join(parts) if part is None else parts[part], Content_Type=MP4)
