"""Thirty streams through one proxy onto three origins, and back through proxy and edge."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir
from support.origin import Origin
from support.scene import SLOWNESS, wait_until


class Cluster(scene.SceneTest):
    def origins(self):
        # `meta copy`: nginx passes on the publisher's own metadata, by which a viewer tells streams apart.
        return [Origin(self.scene, f"origin{i}", live="meta copy;") for i in range(3)]

    def publish_all(self, proxy, names):
        clip = media.encode_clip(self.scene)
        return [
            media.publish(self.scene, clip, proxy.rtmp_url(name), name=f"publisher-{name}", title=name)
            for name in names
        ]

    def spread(self, origins, names):
        """The streams of each origin, once each stream is at exactly one."""

        def placed():
            at = [origin.published() for origin in origins]
            return at if sum(map(len, at)) == len(names) and set().union(*at) == set(names) else None

        return wait_until(
            placed,
            lambda: f"every stream at one origin: {[o.published() for o in origins]}",
            20 * SLOWNESS,
            0.1,
        )

    def watch_all(self, proxy, edge, names):
        crowd = Crowd(self.scene)
        viewers = []
        for name in names:
            for viewer in (
                RtmpViewer("127.0.0.1", proxy.rtmp, "live", name),
                RtmpViewer("127.0.0.1", edge.rtmp, "live", name),
                FlvViewer("127.0.0.1", edge.http, f"/live/{name}.flv"),
            ):
                viewer.stream = name
                viewers.append(crowd.add(viewer))
        wait_until(
            lambda: all(v.playing(25) for v in viewers),
            lambda: [v.stream + " " + v.describe() for v in viewers if not v.playing(25)],
            30 * SLOWNESS,
        )
        for viewer in viewers:
            with self.subTest(viewer.describe()):
                titles = {data["title"] for data in viewer.metadata if "title" in data}
                self.assertEqual({viewer.stream}, titles, "got the media of another stream")
                self.assertEqual([], viewer.ran_back)
                self.assertTrue(viewer.frames[0][2], "the first frame is no keyframe")
                self.assertGreaterEqual(viewer.video_headers, 1)
                self.assertGreaterEqual(viewer.audio_headers, 1)
                self.assertIsNone(viewer.closed)
        return viewers

    def test_thirty_streams_spread_over_registered_origins_and_play_everywhere(self):
        origins = self.origins()
        proxy = Weir(self.scene, "proxy", ready=False)
        for origin in origins:
            status, answer = proxy.register(origin)
            self.assertEqual((200, 0), (status, answer["code"]))
            self.assertIn("pid", answer)
        proxy.wait_for("/readyz")
        edge = Weir(self.scene, "edge", upstreams={"proxy": proxy.as_upstream()})
        names = [f"s{i:02}" for i in range(30)]
        self.publish_all(proxy, names)
        at = self.spread(origins, names)
        self.assertTrue(all(at), f"an origin got no stream: {at}")
        self.assertLessEqual(max(map(len, at)), 15, "one origin has more than half of all")

        self.watch_all(proxy, edge, names)
        # Each edge pull and each viewer of the proxy came to where the stream is, and nowhere else.
        for origin, mine in zip(origins, at):
            self.assertEqual({name: (1, 2) for name in mine}, origin.streams())

        for url in (proxy.rtmp_url("s00"), edge.rtmp_url("s11"), edge.flv_url("s22")):
            with self.subTest(url):
                streams, log = media.probe(self.scene, url, 20 * SLOWNESS)
                codecs = {kind: stream["codec_name"] for kind, stream in streams.items()}
                self.assertEqual({"video": "h264", "audio": "aac"}, codecs, log)

    def test_streams_spread_over_configured_origins(self):
        origins = self.origins()
        proxy = Weir(
            self.scene,
            "proxy",
            upstreams={f"o{i}": {"rtmp": origin.rtmp} for i, origin in enumerate(origins)},
        )
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        names = [f"s{i:02}" for i in range(9)]
        self.publish_all(proxy, names)
        self.assertTrue(all(self.spread(origins, names)))
        self.watch_all(proxy, edge, names)


if __name__ == "__main__":
    scene.main()
