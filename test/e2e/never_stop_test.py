"""Reloads and upgrades while thousands connect: nobody is refused, no viewer is cut before its drain ends.

WEIR_NEVER_STOP=full is the whole of it: 50 reloads and 5 upgrades under 5,000 new connections a second, 100,000 in
all. What runs without is a tenth of that."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.knocker import Knocker
from support.origin import Origin
from support.scene import SLOWNESS, wait_until
from support.upgradable import Upgradable

FULL = os.environ.get("WEIR_NEVER_STOP") == "full"
RATE, TOTAL, RELOADS, UPGRADES = (5000, 100_000, 50, 5) if FULL else (1000, 10_000, 10, 2)
KNOCKERS = 2
GRACE = 2.5


class NeverStop(scene.SceneTest):
    def setUp(self):
        os.makedirs(self.scene.path("www"))
        with open(self.scene.path("www/knock.txt"), "w") as file:
            file.write("knock")
        self.origin = Origin(self.scene)
        self.clip = media.encode_clip(self.scene)
        media.publish(self.scene, self.clip, self.origin.url("a"))
        wait_until(lambda: "a" in self.origin.published(), "the stream is there", 10 * SLOWNESS)

    def node(self, role):
        return Upgradable(
            self.scene,
            role,
            upstreams={"o1": self.origin.as_upstream()},
            options={
                "http.root": self.scene.path("www"),
                "upgrade.grace": f"{GRACE}s",
                "log.level": "info",
            },
        )

    def watch(self, node, crowd):
        viewers = [RtmpViewer("127.0.0.1", node.rtmp, "live", "a") for _ in range(2)]
        if node.role == "edge":
            viewers.append(FlvViewer("127.0.0.1", node.http, "/live/a.flv"))
        crowd.add(*viewers)
        wait_until(
            lambda: all(viewer.playing() for viewer in viewers),
            lambda: [viewer.describe() for viewer in viewers],
            10 * SLOWNESS,
        )
        return viewers

    def assert_played_until(self, viewers, end):
        for viewer in viewers:
            last = viewer.closed or viewer.last_byte
            self.assertGreaterEqual(last, end - 0.3, viewer.describe())
            self.assertLess(viewer.gap(until=min(viewer.frames[-1][0], end)), 2.0, viewer.describe())

    def never_stops(self, role):
        node = self.node(role)
        crowd = Crowd(self.scene)
        viewers = self.watch(node, crowd)
        pid = node.pid()
        knockers = [
            Knocker(self.scene, node.http, node.rtmp, "/knock.txt", RATE // KNOCKERS, TOTAL // KNOCKERS)
            for _ in range(KNOCKERS)
        ]
        reloaded = upgraded = 0
        while upgraded < UPGRADES:
            while reloaded < RELOADS * (upgraded + 1) // UPGRADES:
                node.write(limits__per_address=5000 + reloaded, rtmp__request_timeout=f"{reloaded + 5}s")
                status, answer = node.ask_reload()
                self.assertEqual(200, status, answer)
                self.assertEqual({"limits.per_address", "rtmp.request_timeout"}, set(answer["changed"]))
                reloaded += 1
            began = time.monotonic()
            node.upgrade()
            upgraded += 1
            later = self.watch(node, crowd)
            wait_until(lambda: not node.alive(pid), "the old process has ended", 10 * SLOWNESS + GRACE)
            self.assert_played_until(viewers, began + GRACE)
            viewers, pid = later, node.pid()
        still = any(knocker.running() for knocker in knockers)
        for knocker in knockers:
            result = knocker.result(120)
            print(f"{role}: {result}", file=sys.stderr)
            self.assertEqual({}, result["failed"])
            self.assertEqual(TOTAL // KNOCKERS, result["answered"])
        print(f"{role}: {reloaded} reloads, {upgraded} upgrades, knocking still: {still}", file=sys.stderr)
        self.assertFalse(any(viewer.closed for viewer in viewers))

    def test_a_proxy(self):
        self.never_stops("proxy")

    def test_an_edge(self):
        self.never_stops("edge")


if __name__ == "__main__":
    scene.main()
