"""Segments of real packagers through an edge, and what viewers get while their origin is away and when it is back."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.node import Weir, request
from support.origin import Origin
from support.scene import SLOWNESS, wait_until

INTERVAL = re.compile(r"#EXT-X-TARGETDURATION:(\d+)|minimumUpdatePeriod=\"PT(\d+(?:\.\d+)?)S\"")
ERRORS = {502, 503, 504}
SLACK = 0.7  # of the machine's, beyond what is promised


class OriginOutage(scene.SceneTest):
    def setUp(self):
        self.origin = Origin(self.scene, segments=True)
        self.edge = Weir(self.scene, "edge", upstreams={"origin": self.origin.as_upstream()})
        self.clip = media.encode_clip(self.scene)

    def package(self, name, *options):
        """ffmpeg writes a live stream to where nginx serves it from, as a packager beside it does."""
        folder = os.path.join(self.origin.directory, "files", name)
        os.mkdir(folder)
        source = ["-re", "-stream_loop", "-1", "-i", self.clip, "-c", "copy"]
        extension = "mpd" if "dash" in options else "m3u8"
        self.scene.start(
            f"packager-{name}", [*media.FFMPEG, *source, *options, os.path.join(folder, f"live.{extension}")]
        )
        return f"/files/{name}/live.{extension}"

    def packaged(self):
        hls = ["-f", "hls", "-hls_time", "2", "-hls_list_size", "5"]
        fmp4 = [*hls, "-hls_segment_type", "fmp4"]
        dash = ["-f", "dash", "-seg_duration", "2", "-window_size", "5"]
        media.KeptPublisher(self.scene, self.clip, self.origin.url("a"))
        return {
            "nginx-rtmp HLS": "/live/a.m3u8",
            "nginx-rtmp DASH": "/live/a.mpd",
            "ffmpeg HLS, TS": self.package("ts", *hls),
            "ffmpeg HLS, fMP4": self.package("fmp4", *fmp4),
            "ffmpeg DASH": self.package("dash", *dash),
        }

    def get(self, path):
        status, _, body = request(self.edge.http, "GET", path)
        return status, body.decode(errors="replace")

    def interval(self, text):
        found = INTERVAL.search(text)
        return float(found[1] or found[2])

    def listed(self, path):
        """The text of a playlist once it lists two segments."""

        def lists():
            status, text = self.get(path)
            count = max(text.count("#EXTINF"), text.count("<S "))
            return status == 200 and count >= 2 and text

        return wait_until(lists, f"{path} lists segments", 30 * SLOWNESS, 0.1)

    def test_what_packagers_make_plays_and_an_outage_lasts_as_long_as_the_origins(self):
        paths = self.packaged()
        texts = {name: self.listed(path) for name, path in paths.items()}
        for name, path in paths.items():
            with self.subTest(name):
                found, log = media.probe(
                    self.scene, f"http://127.0.0.1:{self.edge.http}{path}", 30 * SLOWNESS
                )
                codecs = {kind: stream["codec_name"] for kind, stream in found.items()}
                self.assertEqual({"video": "h264", "audio": "aac"}, codecs, log)

        last = [self.get(path)[1] for path in paths.values()]
        self.origin.process.kill()
        killed, gone, statuses = time.monotonic(), {}, {}

        def all_gone():
            for name, path in paths.items():
                status, _ = self.get(path)
                if status != 200 and name not in gone:
                    gone[name], statuses[name] = time.monotonic() - killed, status
            return len(gone) == len(paths)

        longest = max(self.interval(text) for text in texts.values())
        wait_until(all_gone, lambda: f"errors: {gone}", longest * SLOWNESS + 5, 0.05)
        seen = {name: f"{seconds:.2f} s, then {statuses[name]}" for name, seconds in gone.items()}
        print("#", seen, file=sys.stderr)
        for name, seconds in gone.items():
            with self.subTest(name):
                self.assertIn(statuses[name], ERRORS)
                self.assertLess(seconds, self.interval(texts[name]) * SLOWNESS + SLACK)
        # Served once more while they last: what was cached, not nothing.
        self.assertGreater(self.edge.metric("weir_cache_requests_total", 'result="stale"'), 0)

        self.origin.start()
        back = time.monotonic()
        for name, path in paths.items():
            wait_until(lambda path=path: self.as_at_origin(path), f"{name} is back", 10 * SLOWNESS)
        recovered = time.monotonic() - back
        print(f"# all as at the origin {recovered:.2f} s after it was back", file=sys.stderr)
        self.assertLess(recovered, 1 * SLOWNESS + SLACK)
        for name, path in paths.items():
            wait_until(lambda path=path: self.goes_on(path, last), f"{name} goes on", 10 * SLOWNESS, 0.1)

    def goes_on(self, path, before):
        status, text = self.get(path)
        return status == 200 and text not in before

    def as_at_origin(self, path):
        """It may change between the two looks."""
        _, _, before = request(self.origin.http, "GET", path)
        status, text = self.get(path)
        _, _, after = request(self.origin.http, "GET", path)
        return status == 200 and text in (before.decode(), after.decode())


if __name__ == "__main__":
    scene.main()
