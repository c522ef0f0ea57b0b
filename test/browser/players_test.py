"""What people watch with: hls.js, dash.js and mpegts.js in Chromium, behind edge, proxy and two origins."""

import collections
import mimetypes
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
from support import media, npm, scene
from support.ll_hls import LlHlsOrigin
from support.node import Weir, request
from support.origin import Origin
from support.scene import SLOWNESS, wait_until
from support.scripted_origin import ScriptedOrigin
from page import Page

SECONDS = 6  # of media


class Players(scene.SceneTest):
    def setUp(self):
        scripts = os.path.dirname(npm.package("hls.js"))

        def give(asked):
            """The page, or a file of a package."""
            name = asked.path.lstrip("/")
            folder = HERE if "/" not in name else scripts
            with open(os.path.join(folder, name), "rb") as file:
                asked.give(file.read(), Content_Type=mimetypes.guess_type(name)[0])

        server = ScriptedOrigin(self.scene, give)
        self.page = Page(self.scene, f"http://localhost:{server.http}/players.html")

    def chain(self, origins, name=""):
        """An edge, behind it a proxy, behind that the origins."""
        upstreams = {origin.name: origin.as_upstream() for origin in origins}
        quiet = {"health.check": "off"}  # requests are counted
        proxy = Weir(self.scene, "proxy", f"proxy{name}", upstreams=upstreams, options=quiet)
        edge = Weir(self.scene, "edge", f"edge{name}", upstreams={"proxy": proxy.as_upstream()}, options=quiet)
        return proxy, edge

    def lists(self, edge, path, mark, count):
        """Waits until a playlist or manifest tells of so many segments."""

        def told():
            status, _, body = request(edge.http, "GET", path)
            return status == 200 and body.count(mark) >= count

        wait_until(told, f"{path} lists {count} segments", 30 * SLOWNESS, 0.2)

    def watch(self, players):
        """All of them play for a while; every picture moves, and nobody complains."""
        for name, (kind, url) in players.items():
            self.page.call("start", name, kind, url)

        def moved(before, seconds):
            samples = self.page.call("samples")
            far = all(
                sample["frames"] > 0 and sample["time"] > before[name]["time"] + seconds
                for name, sample in samples.items()
            )
            return far and samples

        def seen():
            return f"all play on: {self.page.call('samples')} {self.page.console()}"

        started = self.page.call("samples")
        before = wait_until(lambda: moved(started, 0), seen, 30 * SLOWNESS, 0.2)
        after = wait_until(lambda: moved(before, SECONDS), seen, 1.5 * SECONDS * SLOWNESS, 0.2)
        for name, sample in after.items():
            with self.subTest(name):
                self.assertGreater(sample["frames"] - before[name]["frames"], SECONDS * 15)
                self.assertGreater(sample["width"], 0)
                self.assertGreater(sample["sound"], 0)
                self.assertEqual([], sample["errors"])
        severe = [text for level, text in self.page.console() if level == "error"]
        self.assertEqual([], severe)
        return after

    def test_live_pipes_and_segments_of_two_origins_play(self):
        origins = [Origin(self.scene, f"o{i}", segments=True) for i in range(2)]
        proxy, edge = self.chain(origins)
        clip = media.encode_clip(self.scene)
        for stream in ("a", "b"):
            media.publish(self.scene, clip, proxy.rtmp_url(stream), name=f"publisher-{stream}")
            self.lists(edge, f"/live/{stream}.m3u8", b"#EXTINF", 4)
            self.lists(edge, f"/live/{stream}.mpd", b"<S ", 4)
        self.assertEqual([{"a"}, {"b"}], sorted((origin.published() for origin in origins), key=sorted))
        web, socket = f"http://127.0.0.1:{edge.http}/live", f"ws://127.0.0.1:{edge.http}/live"
        self.watch(
            {
                "hls-a": ("hls", f"{web}/a.m3u8"),
                "hls-b": ("hls", f"{web}/b.m3u8"),
                "dash-a": ("dash", f"{web}/a.mpd"),
                "dash-b": ("dash", f"{web}/b.mpd"),
                "flv-a": ("flv", f"{web}/a.flv"),
                "ts-b": ("ts", f"{web}/b.ts"),
                "ws-flv-b": ("flv", f"{socket}/b.flv"),
                "ws-ts-a": ("ts", f"{socket}/a.ts"),
            }
        )
        # However many watch, a stream is pulled once.
        self.assertEqual(2, edge.metric("weir_pulls_total"))

    def test_low_latency_hls_of_two_origins_plays_close_behind_them(self):
        origins = [LlHlsOrigin(self.scene, f"o{i}") for i in range(2)]
        _, edge = self.chain(origins)
        web = f"http://127.0.0.1:{edge.http}/live"
        for stream in ("a", "b"):
            self.lists(edge, f"/live/{stream}.m3u8", b"#EXT-X-PART:", 4)
        players = {"a": f"{web}/a.m3u8", "a-again": f"{web}/a.m3u8", "master": f"{web}/b/master.m3u8"}
        after = self.watch({name: ("llhls", url) for name, url in players.items()})
        for name, sample in after.items():
            self.assertLess(sample["latency"], 3, name)
        # Two players of one stream: each position of the playlist, and each part, was asked for once.
        asked = collections.Counter(path for origin in origins for path in origin.asked)
        waited = {path: count for path, count in asked.items() if "_HLS_msn" in path or "_HLS_part" in path}
        self.assertGreater(len(waited), 2 * SECONDS)
        twice = {path: count for path, count in asked.items() if count > 1 and "m3u8" not in path}
        self.assertEqual({}, twice)
        self.assertEqual({}, {path: count for path, count in waited.items() if count > 1})


if __name__ == "__main__":
    scene.main()
