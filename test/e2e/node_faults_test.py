"""A proxy dies or goes away, and names change their addresses, while streams run."""

import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import name_server, media, scene
from support.balancer import Balancer
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir
from support.origin import Origin, place_of
from support.redis import Redis
from support.relay import Relay
from support.scene import SLOWNESS, accepts, free_port, wait_until

GOP = 5  # frames, 25 a second: how long a player waits for its keyframe is nothing a fault takes
NAME = "origin.weir.test"


class NodeFaults(scene.SceneTest):
    def setUp(self):
        self.clip = media.encode_clip(self.scene, gop=GOP)
        self.crowd = Crowd(self.scene)

    def watch(self, node, *streams):
        return [self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", stream)) for stream in streams]

    def all_play(self, viewers, seconds=10.0):
        wait_until(
            lambda: all(viewer.playing(5) for viewer in viewers),
            lambda: [viewer.describe() for viewer in viewers if not viewer.playing(5)],
            seconds * SLOWNESS,
        )

    def goes_on(self, viewers, frames=10, seconds=5.0):
        counts = [len(viewer.frames) for viewer in viewers]
        wait_until(
            lambda: all(len(v.frames) >= count + frames for v, count in zip(viewers, counts)),
            lambda: [viewer.describe() for viewer in viewers],
            seconds * SLOWNESS,
        )


class Cluster(NodeFaults):
    def cluster(self, proxies=2, options=None):
        """Two origins, and proxies that share one Redis."""
        self.redis = Redis(self.scene)
        self.origins = [Origin(self.scene, f"origin{i}") for i in range(2)]
        self.proxies = [
            Weir(
                self.scene,
                "proxy",
                name=f"proxy{i}",
                upstreams={o.name: {"rtmp": o.rtmp} for o in self.origins},
                options={"state.backend": "redis", **self.redis.options_for_weir(), **(options or {})},
            )
            for i in range(proxies)
        ]
        for proxy in self.proxies:
            wait_until(lambda: proxy.metric("weir_redis_up") == 1, f"{proxy.name} has Redis")

    def members(self):
        return self.redis.ask("KEYS", "weir:proxy:*")

    def test_f13_clients_of_a_killed_proxy_reconnect_through_the_other_to_the_same_origin(self):
        self.cluster()
        balancer = Balancer(self.scene, self.proxies)
        names = [f"s{i}" for i in range(6)]
        publishers = {
            name: media.KeptPublisher(
                self.scene, self.clip, f"rtmp://127.0.0.1:{balancer.rtmp}/live/{name}", name, pause=0.02
            )
            for name in names
        }
        homes = {name: place_of(self.origins, name) for name in names}
        self.assertEqual(2, len({home.name for home in homes.values()}), "both origins have streams")
        viewers = dict(zip(names, self.watch(balancer, *names)))
        self.all_play(viewers.values())

        self.proxies[0].process.kill()
        killed = time.monotonic()
        cut = set()
        back = {}
        while len(back) < len(cut) or time.monotonic() < killed + 0.3:
            self.assertLess(time.monotonic() - killed, 10, f"{cut} were cut, back are {back}")
            for name, viewer in list(viewers.items()):
                if viewer.closed:
                    cut.add(name)
                    (viewers[name],) = self.watch(balancer, name)
                elif name in cut and name not in back and viewer.frames:
                    back[name] = time.monotonic() - killed
            time.sleep(0.01)
        print(f"# back after {sorted(round(t, 2) for t in back.values())} s", file=sys.stderr)
        self.assertGreaterEqual(len(cut), 2)
        self.assertLess(max(back.values()), 1.0 * SLOWNESS)
        self.all_play(viewers.values())
        for name, home in homes.items():
            self.assertLessEqual(len(publishers[name].starts), 3, name)
            self.assertIs(home, place_of(self.origins, name), name)

    def test_f25_a_proxy_told_to_end_lets_its_sessions_go_on_for_the_grace(self):
        grace, slack = 3.0, 1.5
        self.cluster(options={"shutdown.grace": f"{grace:g}s"})
        leaving, staying = self.proxies
        names = [f"s{i}" for i in range(8)]
        for name in names:
            media.publish(self.scene, self.clip, leaving.rtmp_url(name), name=f"publisher-{name}")
        for name in names:
            place_of(self.origins, name)
        viewers = self.watch(leaving, *names) + self.watch(staying, *names)
        self.all_play(viewers)
        wait_until(lambda: len(self.members()) == 2, "both proxies stand in Redis")

        leaving.process.signal(signal.SIGTERM)
        told = time.monotonic()
        wait_until(lambda: not accepts(leaving.rtmp), "nobody new is let in", 0.5 * SLOWNESS)
        self.assertFalse(accepts(leaving.http))
        wait_until(lambda: len(self.members()) == 1, "it is withdrawn from Redis", 1.0 * SLOWNESS)
        self.assertEqual(0, leaving.process.wait(grace + slack * SLOWNESS))
        self.assertGreaterEqual(time.monotonic() - told, grace)
        for viewer in viewers:
            self.assertGreaterEqual((viewer.closed or time.monotonic()) - told, grace - 0.1, viewer.describe())
            self.assertLess(viewer.gap(told, told + grace - 0.1), 0.5 * SLOWNESS, viewer.describe())

    def test_f25_an_edge_told_to_end_serves_its_viewers_for_the_grace(self):
        grace, slack = 2.0, 1.5
        edge = Weir(self.scene, "edge", options={"shutdown.grace": f"{grace:g}s"})
        media.publish(self.scene, self.clip, edge.rtmp_url("a"))
        viewers = wait_until(lambda: self.played(edge), "the stream plays", 10 * SLOWNESS)
        for _ in range(100):
            viewers += self.watch(edge, "a")
            viewers.append(self.crowd.add(FlvViewer("127.0.0.1", edge.http, "/live/a.flv")))
        self.all_play(viewers)
        edge.process.signal(signal.SIGTERM)
        told = time.monotonic()
        wait_until(lambda: not accepts(edge.rtmp), "nobody new is let in", 0.5 * SLOWNESS)
        self.assertFalse(accepts(edge.http))
        self.assertEqual(0, edge.process.wait(grace + slack * SLOWNESS))
        for viewer in viewers:
            self.assertLess(viewer.gap(told, told + grace - 0.1), 0.5 * SLOWNESS, viewer.describe())

    def played(self, edge):
        (viewer,) = self.watch(edge, "a")
        try:
            wait_until(lambda: viewer.playing(5) or viewer.refused() or viewer.closed, "an answer", 5 * SLOWNESS)
        except AssertionError:
            return None
        return [viewer] if viewer.playing(5) else None


@unittest.skipUnless(name_server.possible(), "needs a mount namespace and port 53")
class Names(NodeFaults):
    def start(self, lifetime, role="edge"):
        """A way to each of two origins, at two addresses with one port; the node knows a name."""
        self.origins = [Origin(self.scene, f"origin{i}") for i in range(2)]
        for number, origin in enumerate(self.origins):
            for stream in ("a", "b", "c", "d"):
                media.publish(self.scene, self.clip, origin.url(stream), name=f"publisher{number}-{stream}")
        for origin in self.origins:
            wait_until(lambda: len(origin.published()) == 4, "the streams are published")
        port = free_port()
        self.ways = [
            Relay(self.scene, origin.rtmp, host=f"127.0.0.{i + 1}", listen=port)
            for i, origin in enumerate(self.origins)
        ]
        self.names = name_server.NameServer(self.scene, {NAME: ("127.0.0.1", lifetime)})
        self.node = Weir(
            self.scene,
            role,
            upstreams={"origin": {"host": NAME, "rtmp": port}},
            wrap=self.names.wrap(),
            options={"workers": "1"},  # each has a resolver of its own
        )

    def play(self, stream, within):
        began = time.monotonic()
        viewers = self.watch(self.node, stream)
        self.all_play(viewers, within)
        print(f"# {stream} plays after {time.monotonic() - began:.2f} s", file=sys.stderr)
        return viewers

    def outlive(self, lifetime):
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > lifetime + 0.1, "an answer is too old", lifetime + 2)

    def places(self, stream):
        return [origin.players(stream) for origin in self.origins]

    def test_f33_a_name_that_changes_is_followed_when_its_lifetime_is_over(self):
        self.start(lifetime=1)
        first = self.play("a", 3)
        self.assertEqual([1, 0], self.places("a"))
        self.names.names[NAME] = ("127.0.0.2", 1)
        asked = self.names.count(NAME)
        self.outlive(1)
        second = self.play("b", 2)
        self.assertEqual([0, 1], self.places("b"))
        self.assertGreater(self.names.count(NAME), asked)
        self.goes_on(first + second)
        self.assertEqual([1, 0], self.places("a"), "what runs stays where it is")
        self.assertLess(first[0].gap(), 0.5 * SLOWNESS)

    def test_f33_an_address_that_fails_is_asked_for_again(self):
        self.start(lifetime=300)
        viewers = self.play("a", 3)
        self.names.names[NAME] = ("127.0.0.2", 300)
        self.ways[0].refuse()
        gone = time.monotonic()
        wait_until(lambda: self.places("a")[1] == 1, "pulled from the new address", 1.0 * SLOWNESS)
        self.goes_on(viewers)
        self.assertLess(viewers[0].gap(gone), 1.5 * SLOWNESS)
        self.assertIsNone(viewers[0].closed)
        self.play("b", 2)

    def test_f33_no_viewer_of_a_proxy_is_refused_because_a_name_has_changed(self):
        self.start(lifetime=300, role="proxy")
        self.play("a", 3)
        self.names.names[NAME] = ("127.0.0.2", 300)
        self.ways[0].refuse()
        viewers = self.play("b", 1)
        self.assertEqual([0, 1], self.places("b"))
        self.goes_on(viewers)

    def test_f33_the_old_address_is_used_while_the_name_server_is_silent_or_denies_the_name(self):
        self.start(lifetime=1)
        viewers = self.play("a", 3)
        probed = lambda: self.node.metric("weir_health_probes_total", 'result="good"')
        wait_until(probed, "probes know the address, too", 5 * SLOWNESS)
        self.names.silent = True
        self.outlive(1)
        viewers += self.play("b", 1)
        viewers += self.play("c", 1)
        self.names.silent = False
        self.names.names.clear()
        self.outlive(1)
        viewers += self.play("d", 1)
        self.names.names[NAME] = ("127.0.0.2", 1)
        self.goes_on(viewers)
        for viewer in viewers:
            self.assertLess(viewer.gap(), 0.5 * SLOWNESS, viewer.describe())
        self.assertEqual(0, self.node.metric("weir_upstream_ejections_total"))


if __name__ == "__main__":
    scene.main()
