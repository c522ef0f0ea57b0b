"""However many watch an edge, its upstream is asked once."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, established
from support.origin import Origin
from support.scene import SLOWNESS, wait_until

VIEWERS = 500


class Sharing(scene.SceneTest):
    def crowd_of(self, edge, stream, count):
        """Half RTMP, half HTTP-FLV, all at once on a cold stream."""
        crowd = Crowd(self.scene)
        for i in range(count // 2):
            crowd.add(RtmpViewer("127.0.0.1", edge.rtmp, "live", stream, light=i > 3))
            crowd.add(FlvViewer("127.0.0.1", edge.http, f"/live/{stream}.flv", light=i > 3))
        return crowd

    def all_play(self, crowd):
        wait_until(
            lambda: all(v.keyframes >= 2 for v in crowd.viewers),
            lambda: [v.describe() for v in crowd.viewers if v.keyframes < 2][:5],
            40 * SLOWNESS,
        )
        for viewer in crowd.viewers:
            self.assertTrue(viewer.frames[0][2], viewer.describe())
            self.assertEqual([], viewer.ran_back, viewer.describe())
            self.assertIsNone(viewer.closed, viewer.describe())

    def test_500_viewers_are_one_connection_at_the_origin(self):
        origin = Origin(self.scene)
        clip = media.encode_clip(self.scene, audio=False, bitrate="200k")
        media.publish(self.scene, clip, origin.url("a"))
        wait_until(lambda: "a" in origin.published(), "the stream is published")
        edge = Weir(
            self.scene,
            "edge",
            upstreams={"origin": {"rtmp": origin.rtmp}},
            options={"edge.linger": "3s", "health.check": "off"},  # connections are counted
        )
        before = origin.accepted()
        crowd = self.crowd_of(edge, "a", VIEWERS)
        self.all_play(crowd)
        self.assertEqual((1, 1), origin.streams()["a"])
        self.assertEqual(1, origin.accepted() - before)

        # Whoever comes within the linger joins; after it the pull ends.
        crowd.drop(*crowd.viewers)
        wait_until(lambda: established(edge.rtmp) + established(edge.http) == 0, "the viewers are gone")
        late = crowd.add(FlvViewer("127.0.0.1", edge.http, "/live/a.flv"))
        wait_until(lambda: late.playing(5), late.describe)
        self.assertEqual(1, origin.accepted() - before)
        crowd.drop(late)
        wait_until(lambda: origin.players("a") == 0, "the pull ends when nobody watches", 3 + 3 * SLOWNESS)
        self.assertIn("a", origin.published())

    def test_500_viewers_are_one_connection_at_a_weir_origin_pulled_by_flv(self):
        origin = Weir(self.scene, "edge", name="origin")
        clip = media.encode_clip(self.scene, audio=False, bitrate="200k")
        media.publish(self.scene, clip, origin.rtmp_url("a"))
        first = Crowd(self.scene).add(FlvViewer("127.0.0.1", origin.http, "/live/a.flv"))
        wait_until(lambda: first.playing(5), first.describe, 20 * SLOWNESS)
        edge = Weir(
            self.scene, "edge", upstreams={"origin": origin.as_upstream()}, options={"edge.pull": "flv"}
        )
        self.all_play(self.crowd_of(edge, "a", VIEWERS))
        self.assertEqual(2, established(origin.http), "the edge, and our own first viewer")
        self.assertEqual(1, established(origin.rtmp), "the publisher")


if __name__ == "__main__":
    scene.main()
