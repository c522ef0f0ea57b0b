"""Edges behind edges, edges that point at each other, and what is published to an edge."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir
from support.origin import Origin
from support.scene import SLOWNESS, free_port, wait_until


class Tiers(scene.SceneTest):
    def viewers(self, node, stream="a"):
        return [
            self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", stream)),
            self.crowd.add(FlvViewer("127.0.0.1", node.http, f"/live/{stream}.flv")),
        ]

    def all_play(self, viewers, seconds=15):
        wait_until(
            lambda: all(v.playing(25) for v in viewers),
            lambda: [v.describe() for v in viewers if not v.playing(25)],
            seconds * SLOWNESS,
        )
        for viewer in viewers:
            self.assertEqual([], viewer.ran_back, viewer.describe())
            self.assertTrue(viewer.frames[0][2], viewer.describe())

    def setUp(self):
        self.crowd = Crowd(self.scene)
        self.clip = media.encode_clip(self.scene)

    def test_edge_to_edge_to_proxy_to_origin_plays(self):
        origin = Origin(self.scene)
        proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": origin.rtmp}})
        middle = Weir(self.scene, "edge", "middle", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        edges = [
            Weir(
                self.scene,
                "edge",
                f"edge-{pull}",
                upstreams={"middle": middle.as_upstream()},
                options={"edge.pull": pull},
            )
            for pull in ("rtmp", "flv")
        ]
        media.publish(self.scene, self.clip, proxy.rtmp_url("a"))
        wait_until(lambda: "a" in origin.published(), "the stream is published")
        self.all_play([viewer for edge in edges for viewer in self.viewers(edge)])
        self.assertEqual(1, origin.players("a"))

    def test_http_flv_through_a_proxy_in_front_of_an_edge(self):
        origin = Weir(self.scene, "edge", "origin")
        proxy = Weir(self.scene, "proxy", upstreams={"origin": origin.as_upstream()})
        edge = Weir(
            self.scene, "edge", upstreams={"proxy": proxy.as_upstream()}, options={"edge.pull": "flv"}
        )
        media.publish(self.scene, self.clip, proxy.rtmp_url("a"))
        wait_until(
            lambda: media.probe(self.scene, origin.flv_url("a"))[0], "the stream is published", 20, 0.2
        )
        self.all_play(self.viewers(proxy) + self.viewers(edge))

    def test_two_edges_that_point_at_each_other_refuse(self):
        for pull in ("rtmp", "flv"):
            with self.subTest(pull):
                ports = {"rtmp": free_port(), "http": free_port()}
                first = Weir(
                    self.scene,
                    "edge",
                    f"first-{pull}",
                    upstreams={"other": ports},
                    options={"edge.pull": pull},
                )
                second = Weir(
                    self.scene,
                    "edge",
                    f"second-{pull}",
                    upstreams={"other": first.as_upstream()},
                    options={
                        "edge.pull": pull,
                        "listen.rtmp": f"127.0.0.1:{ports['rtmp']}",
                        "listen.http": f"127.0.0.1:{ports['http']}",
                    },
                )
                asked = time.monotonic()
                viewers = self.viewers(first)
                wait_until(
                    lambda: all(v.refused() for v in viewers),
                    lambda: [v.describe() for v in viewers],
                    5 * SLOWNESS,
                )
                self.assertEqual(508, viewers[1].http_status)
                log = first.log() + second.log()
                self.assertTrue(
                    [line for line in log.splitlines() if "loop" in line.lower()], "no line says loop"
                )
                self.assertLess(time.monotonic() - asked, 5 * SLOWNESS)

    def test_publish_to_an_edge_is_forwarded_and_plays_at_both_ends(self):
        origin = Origin(self.scene)
        proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": origin.rtmp}})
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        media.publish(self.scene, self.clip, edge.rtmp_url("a"))
        wait_until(lambda: "a" in origin.published(), "the edge forwards the stream", 15 * SLOWNESS)
        at_origin = self.crowd.add(RtmpViewer("127.0.0.1", origin.rtmp, "live", "a"))
        self.all_play([at_origin, *self.viewers(edge)])
        # Local viewers are served from the publisher: the only player at the origin is ours.
        self.assertEqual((1, 1), origin.streams()["a"])

    def test_a_forwarded_stream_survives_the_death_of_its_origin(self):
        origins = [Origin(self.scene, f"origin{i}") for i in range(2)]
        proxy = Weir(self.scene, "proxy", upstreams={o.name: {"rtmp": o.rtmp} for o in origins})
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        publisher = media.publish(self.scene, self.clip, edge.rtmp_url("a"))
        holder = wait_until(
            lambda: next((o for o in origins if "a" in o.published()), None),
            "the stream is forwarded",
            15 * SLOWNESS,
        )
        viewers = self.viewers(edge)
        self.all_play(viewers)
        other = origins[1 - origins.index(holder)]
        holder.process.kill()
        wait_until(
            lambda: "a" in other.published(), "the stream is forwarded to the other origin", 10 * SLOWNESS
        )
        self.assertTrue(publisher.running(), "the publisher noticed")
        for viewer in viewers:
            self.assertIsNone(viewer.closed)
            self.assertLess(viewer.gap(), 0.5 * SLOWNESS, "local viewers noticed")
        late = self.crowd.add(RtmpViewer("127.0.0.1", other.rtmp, "live", "a"))
        self.all_play([late])

    def test_an_edge_without_upstream_is_an_origin(self):
        edge = Weir(self.scene, "edge")
        publisher = media.KeptPublisher(self.scene, self.clip, edge.rtmp_url("a"))
        wait_until(lambda: media.probe(self.scene, edge.rtmp_url("a"))[0], "the stream plays", 20, 0.2)
        viewers = self.viewers(edge)
        self.all_play(viewers)
        # Its publisher comes back: the viewers go on.
        publisher.process.kill()
        came = wait_until(
            lambda: len(publisher.starts) > 1 and publisher.starts[-1], "the publisher comes back", 5
        )
        wait_until(
            lambda: all(v.frames[-1][0] > came + 1 for v in viewers),
            lambda: [v.describe() for v in viewers],
            8 * SLOWNESS,
        )
        for viewer in viewers:
            self.assertEqual([], viewer.ran_back, viewer.describe())
            self.assertIsNone(viewer.closed, viewer.describe())


if __name__ == "__main__":
    scene.main()
