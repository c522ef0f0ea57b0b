"""What an edge viewer gets is what was published, bit for bit."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer
from support.node import Weir
from support.origin import Origin
from support.scene import wait_until

SECONDS = 12


class Fidelity(scene.SceneTest):
    def setUp(self):
        self.clip = media.encode_clip(self.scene, seconds=SECONDS, b_frames=2)
        self.video = media.frame_sums(self.scene, self.clip)
        self.audio = media.frame_sums(self.scene, self.clip, "a", copy=True)
        self.assertEqual(SECONDS * 25, len(self.video))
        self.assertEqual(len(self.video), len(set(self.video)), "two frames of the source are equal")

    def check(self, recorded, what):
        """It begins somewhere in the source, at a keyframe, and misses nothing from there on."""
        # Where a recording is cut, a frame may have gone without those that were to be shown before it.
        video = media.frame_sums(self.scene, recorded)[:-4]
        self.assertGreater(len(video), 100, f"{what}: too little arrived")
        first = self.video.index(video[0])
        self.assertEqual(0, first % 25, f"{what}: the first frame is number {first}, no keyframe")
        self.assertEqual(
            self.video[first : first + len(video)], video, f"{what}: frames differ after number {first}"
        )
        audio = media.frame_sums(self.scene, recorded, "a", copy=True)
        self.assertGreater(len(audio), 100)
        first = self.audio.index(audio[0])
        self.assertEqual(self.audio[first : first + len(audio)], audio, f"{what}: sound differs")

    def test_rtmp_and_flv_viewers_get_the_frames_of_the_source(self):
        origin = Origin(self.scene)
        proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": origin.rtmp}})
        edge = Weir(
            self.scene,
            "edge",
            upstreams={"proxy": {"rtmp": proxy.rtmp}},
            options={"edge.gone_timeout": "2s", "edge.source_timeout": "2s"},
        )
        publisher = media.publish(self.scene, self.clip, proxy.rtmp_url("a"), loop=False)
        wait_until(lambda: "a" in origin.published(), "the stream is published")

        copy = ["-y", "-c", "copy", "-t", str(SECONDS - 4), "-f", "flv"]
        players = [
            self.scene.start(
                "player-rtmp", [*media.FFMPEG, "-i", edge.rtmp_url("a"), *copy, self.scene.path("rtmp.flv")]
            ),
            self.scene.start(
                "player-flv", [*media.FFMPEG, "-i", edge.flv_url("a"), *copy, self.scene.path("http.flv")]
            ),
        ]
        crowd = Crowd(self.scene)
        with open(self.scene.path("raw.flv"), "wb") as record:
            raw = crowd.add(FlvViewer("127.0.0.1", edge.http, "/live/a.flv", record=record))
            wait_until(lambda: not publisher.running(), "the publisher comes to its end", SECONDS + 10)
            for player in players:
                player.wait(20)
            wait_until(lambda: raw.closed, "a stream that is over ends for its viewers", 20)
        self.check(self.scene.path("rtmp.flv"), "ffmpeg over RTMP")
        self.check(self.scene.path("http.flv"), "ffmpeg over HTTP-FLV")
        self.check(self.scene.path("raw.flv"), "the bytes of HTTP-FLV")
        self.assertGreater(len(raw.frames), (SECONDS - 4) * 25)


if __name__ == "__main__":
    scene.main()
