"""A viewer that stops reading harms nobody but itself."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir
from support.scene import SANITIZED, SLOWNESS, wait_until

STALL = 4.0
STALLED = 30
MIB = 1 << 20


class SlowViewer(scene.SceneTest):
    def begin(self, stall=STALL, bitrate="4M"):
        self.edge = Weir(
            self.scene,
            "edge",
            options={
                "viewer.stall_timeout": f"{stall:g}s",
                "edge.log_window": "2s",
                "viewer.send_buffer": "64KiB",
                "log.level": "info",
            },
        )
        clip = media.encode_clip(self.scene, bitrate=bitrate, size="640x360")
        media.publish(self.scene, clip, self.edge.rtmp_url("a"))
        wait_until(lambda: media.probe(self.scene, self.edge.flv_url("a"))[0], "the stream plays", 20, 0.2)
        self.crowd = Crowd(self.scene)

    def add(self, i, **options):
        if i % 2:
            return self.crowd.add(RtmpViewer("127.0.0.1", self.edge.rtmp, "live", "a", **options))
        return self.crowd.add(FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv", **options))

    def test_stalled_viewers_are_closed_and_the_others_do_not_notice(self):
        self.begin()
        good = [self.add(i) for i in range(4)]
        bad = [self.add(i, receive_buffer=16384) for i in range(STALLED)]
        wait_until(
            lambda: all(v.playing(10) for v in good + bad),
            lambda: [v.describe() for v in good + bad if not v.playing(10)],
            20 * SLOWNESS,
        )
        memory = self.edge.process.rss_bytes()
        stalled = time.monotonic()
        for viewer in bad:
            self.crowd.pause(viewer)
        closed_before = self.edge.metric("weir_viewers")
        peak = 0

        def all_closed():
            nonlocal peak
            peak = max(peak, self.edge.process.rss_bytes())
            return self.edge.metric("weir_viewers") <= closed_before - STALLED

        wait_until(
            all_closed,
            lambda: f"stalled viewers are closed: {self.edge.metric('weir_viewers')} left",
            STALL * 3 + 10,
            0.2,
        )
        took = time.monotonic() - stalled
        self.assertGreater(took, STALL * 0.8)
        if not SANITIZED:
            # What they could not take was 4 Mb/s x 30 viewers x the time; none of it was kept for them.
            self.assertLess(peak - memory, 16 * MIB)
        for viewer in good:
            self.assertIsNone(viewer.closed, viewer.describe())
            self.assertLess(viewer.gap(stalled), 0.5 * SLOWNESS, viewer.describe())
            self.assertEqual([], viewer.ran_back)

    def test_a_viewer_that_falls_behind_goes_on_at_a_keyframe(self):
        self.begin(stall=60)
        slow = [self.add(i, receive_buffer=16384) for i in range(2)]
        wait_until(
            lambda: all(v.playing(10) for v in slow), lambda: [v.describe() for v in slow], 10 * SLOWNESS
        )
        for viewer in slow:
            self.crowd.pause(viewer)
        wait_until(lambda: all(time.monotonic() - v.last_byte > 6 for v in slow), "six seconds pass", 20)
        for viewer in slow:
            self.crowd.resume(viewer)
        frames = [len(v.frames) for v in slow]
        wait_until(
            lambda: all(len(v.frames) > n + 50 for v, n in zip(slow, frames)),
            lambda: [v.describe() for v in slow],
            10 * SLOWNESS,
        )
        wait_until(lambda: self.edge.metric("weir_jumps_total") >= 2, "the jumps are counted", 5)
        for viewer in slow:
            self.assertIsNone(viewer.closed, viewer.describe())
            self.assertEqual([], viewer.ran_back)
            steps = [(b[1] - a[1], b[2]) for a, b in zip(viewer.frames, viewer.frames[1:])]
            jumps = [keyframe for step, keyframe in steps if step > 500]
            self.assertTrue(jumps, f"{viewer.describe()}: nothing was skipped")
            self.assertTrue(all(jumps), "a jump ended at something else than a keyframe")


if __name__ == "__main__":
    scene.main()
