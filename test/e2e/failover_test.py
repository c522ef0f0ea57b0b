"""An origin dies or hangs during play: viewers of an edge stay connected and go on."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir
from support.origin import Origin, place_of
from support.scene import SLOWNESS, wait_until

DEAD_SECONDS = 5.0  # the promise
HUNG_SECONDS = 8.0  # and what silence takes to be noticed, on top


class Failover(scene.SceneTest):
    def begin(self):
        self.origins = [Origin(self.scene, f"origin{i}") for i in range(3)]
        self.proxy = Weir(self.scene, "proxy", upstreams={o.name: {"rtmp": o.rtmp} for o in self.origins})
        self.edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": self.proxy.rtmp}})
        self.clip = media.encode_clip(self.scene)
        self.publisher = media.KeptPublisher(self.scene, self.clip, self.proxy.rtmp_url("a"))
        self.origin = place_of(self.origins, "a")
        self.crowd = Crowd(self.scene)
        self.viewers = [
            self.crowd.add(make())
            for _ in range(10)
            for make in (
                lambda: RtmpViewer("127.0.0.1", self.edge.rtmp, "live", "a"),
                lambda: FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv"),
            )
        ]
        wait_until(
            lambda: all(v.playing(25) for v in self.viewers),
            lambda: [v.describe() for v in self.viewers if not v.playing(25)],
            15,
        )

    def resumes(self, since, within):
        """Every viewer goes on in time, from a keyframe, without a step back and on its old connection."""
        wait_until(
            lambda: all(self.resumption(v, since) for v in self.viewers),
            lambda: "every viewer resumes: " + str([v.describe() for v in self.viewers]),
            within + 10,
        )
        came = {viewer: self.resumption(viewer, since) for viewer in self.viewers}
        for viewer, (_, _, keyframe) in came.items():
            self.assertIsNone(viewer.closed, viewer.describe())
            self.assertEqual([], viewer.ran_back, viewer.describe())
            self.assertTrue(keyframe, f"goes on with something else than a keyframe: {viewer.describe()}")
        self.assertLessEqual(
            max(arrival for arrival, _, _ in came.values()) - since, within, "the last viewer resumed"
        )

    @staticmethod
    def resumption(viewer, since):
        """The frame after the interruption, once a second of media has followed it."""
        frames = [frame for frame in viewer.frames[-1000:] if frame[0] > since - 0.5]
        gaps = [b[0] - a[0] for a, b in zip(frames, frames[1:])]
        if not gaps or max(gaps) < 0.2 or time.monotonic() - frames[-1][0] > 0.2:
            return None
        first = gaps.index(max(gaps)) + 1
        return frames[first] if len(frames) - first >= 25 and frames[first][0] > since else None

    def test_a_killed_origin_is_replaced_within_five_seconds(self):
        self.begin()
        killed = time.monotonic()
        self.origin.process.kill()
        self.resumes(killed, DEAD_SECONDS)
        self.assertIsNot(self.origin, place_of([o for o in self.origins if o is not self.origin], "a"))
        self.assertGreaterEqual(len(self.publisher.starts), 2)

        # New viewers of edge and proxy find it where it is now, at once.
        late = [
            self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", "a"))
            for node in (self.edge, self.proxy)
        ]
        wait_until(
            lambda: all(v.playing(5) for v in late), lambda: [v.describe() for v in late], 4 * SLOWNESS
        )

    def test_a_hung_origin_is_replaced(self):
        self.begin()
        stopped = time.monotonic()
        self.origin.process.signal(signal.SIGSTOP)
        self.resumes(stopped, HUNG_SECONDS)

    def test_a_publisher_that_comes_back_is_one_discontinuity(self):
        self.begin()
        gone = time.monotonic()
        self.publisher.process.kill()
        self.resumes(gone, DEAD_SECONDS + 1)

    def test_a_restarted_origin_takes_its_old_entry(self):
        origin = Origin(self.scene, "origin0")
        proxy = Weir(self.scene, "proxy", ready=False)
        self.assertEqual(200, proxy.register(origin)[0])
        clip = media.encode_clip(self.scene)
        media.KeptPublisher(self.scene, clip, proxy.rtmp_url("a"))
        place_of([origin], "a")
        origin.process.kill()
        origin.start()
        self.assertEqual(200, proxy.register(origin)[0])
        began = time.monotonic()
        place_of([origin], "a")
        self.assertLess(time.monotonic() - began, 3 * SLOWNESS)


if __name__ == "__main__":
    scene.main()
