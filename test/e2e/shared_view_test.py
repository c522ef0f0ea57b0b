"""Several proxies that share one Redis act as one, also while it is away."""

import concurrent.futures
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.certificates import Certificates
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import BINARY, Weir
from support.origin import Origin
from support.redis import Redis
from support.scene import SLOWNESS, wait_until


class SharedView(scene.SceneTest):
    def cluster(self, proxies=2, origins=2, options=None, redis=None):
        """Proxies of one Redis; every origin is registered at the first of them only."""
        self.redis = redis or Redis(self.scene)
        self.origins = [Origin(self.scene, f"origin{i}") for i in range(origins)]
        self.proxies = [
            Weir(
                self.scene,
                "proxy",
                name=f"proxy{i}",
                options={"state.backend": "redis", **self.redis.options_for_weir(), **(options or {})},
            )
            for i in range(proxies)
        ]
        self.clip = media.encode_clip(self.scene)
        self.register_all()
        for proxy in self.proxies:
            wait_until(lambda: self.known_to(proxy) == origins, f"{proxy.name} knows every origin")
            wait_until(lambda: proxy.metric("weir_redis_up") == 1, f"{proxy.name} has Redis")

    def register_all(self, proxy=0):
        for origin in self.origins:
            self.assertEqual(200, self.proxies[proxy].register(origin)[0])

    def known_to(self, proxy):
        return proxy.metric("weir_upstreams", 'state="live"')

    def publish(self, proxy, names):
        return [
            media.publish(self.scene, self.clip, proxy.rtmp_url(name), name=f"publisher-{name}")
            for name in names
        ]

    def placed(self, names):
        """Waits until each stream is at exactly one origin; {stream: origin}."""
        at = {}

        def settled():
            at.clear()
            for origin in self.origins:
                for name in origin.published():
                    at.setdefault(name, []).append(origin.name)
            return set(names) <= set(at)

        wait_until(settled, lambda: f"all of {names} published: {at}", 20 * SLOWNESS, 0.1)
        split = {name: where for name, where in at.items() if len(where) > 1}
        self.assertEqual({}, split, "a stream is at two origins")
        return {name: where[0] for name, where in at.items()}

    def watch(self, proxy, names):
        crowd = Crowd(self.scene)
        viewers = [crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", name)) for name in names]
        wait_until(
            lambda: all(viewer.playing(10) for viewer in viewers),
            lambda: [viewer.describe() for viewer in viewers if not viewer.playing(10)],
            20 * SLOWNESS,
        )
        return viewers

    def routes(self):
        """{stream: origin} as Redis has it."""
        found = {}
        for key in self.redis.ask("KEYS", "weir:route:*"):
            value = json.loads(self.redis.ask("GET", key))
            found[value["stream"].rsplit("/", 1)[1]] = value["upstream"]
        return found

    def test_streams_published_through_one_proxy_play_through_the_other(self):
        self.cluster()
        first, second = self.proxies
        names = [f"s{i}" for i in range(10)]
        self.publish(first, names[:5])
        self.publish(second, names[5:])
        at = self.placed(names)
        self.assertEqual(2, len(set(at.values())), "least_streams spreads over what both proxies know")
        self.watch(second, names[:5])
        self.watch(first, names[5:])
        self.assertEqual(at, {name: origin for name, origin in self.routes().items() if name in at})

    def test_requests_that_meet_agree_on_one_origin(self):
        self.cluster(proxies=3, origins=3)
        names = [f"race{i}" for i in range(30)]

        def ask(proxy, name):
            return RtmpViewer("127.0.0.1", proxy.rtmp, "live", name)

        crowd = Crowd(self.scene)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            # Each stream is asked for at every proxy at the same moment.
            for name in names:
                for viewer in pool.map(ask, self.proxies, [name] * 3):
                    crowd.add(viewer)
        expected = len(names)

        def settled():
            streams = [set(origin.streams()) for origin in self.origins]
            return sum(map(len, streams)) == expected == len(set().union(*streams))

        wait_until(
            settled,
            lambda: f"each stream at one origin: {[sorted(o.streams()) for o in self.origins]}",
            15 * SLOWNESS,
        )
        self.assertEqual(set(names), set(self.routes()))

    def test_nothing_stops_while_redis_is_away(self):
        self.cluster()
        first, second = self.proxies
        names = ["a", "b", "c"]
        publishers = self.publish(first, names)
        at = self.placed(names)
        viewers = self.watch(second, names)

        self.redis.kill()
        for proxy in self.proxies:
            wait_until(lambda: proxy.metric("weir_redis_up") == 0, "Redis is seen to be away")
        # Known streams are found, new ones are put where both proxies put them.
        self.watch(second, names)
        news = [f"n{i}" for i in range(6)]
        publishers += self.publish(first, news)
        began = time.monotonic()
        self.watch(second, news)
        self.assertLess(time.monotonic() - began, 10 * SLOWNESS)
        at.update(self.placed(news))
        for proxy in self.proxies:
            proxy.wait_for("/readyz")

        self.redis.start()
        wait_until(
            lambda: {name: self.routes().get(name) for name in at} == at,
            lambda: f"the routes are in Redis again: {self.routes()}, not {at}",
            5 * SLOWNESS,
        )
        self.redis.ask("FLUSHALL")
        wait_until(
            lambda: {name: self.routes().get(name) for name in at} == at,
            lambda: f"the routes are in Redis again after FLUSHALL: {self.routes()}",
            5 * SLOWNESS,
        )
        for process in publishers:
            self.assertTrue(process.running(), process.name)
        for viewer in viewers:
            self.assertIsNone(viewer.closed)
        self.assertEqual(at, self.placed(list(at)))

    def test_edges_find_the_proxies_that_share_redis(self):
        self.cluster()
        edge = Weir(
            self.scene,
            "edge",
            options={"upstream.discover": "redis", **self.redis.options_for_weir()},
        )
        wait_until(lambda: self.known_to(edge) == 2, "the edge knows both proxies")
        names = [f"s{i}" for i in range(6)]
        self.publish(self.proxies[0], names)
        self.placed(names)
        crowd = Crowd(self.scene)
        viewers = [crowd.add(FlvViewer("127.0.0.1", edge.http, f"/live/{name}.flv")) for name in names]
        wait_until(lambda: all(viewer.playing(25) for viewer in viewers), "every stream plays")

        # One that leaves says so.
        self.proxies[1].process.signal(15)
        wait_until(lambda: self.known_to(edge) == 1, "the edge knows that one has left", 5 * SLOWNESS)
        counts = [len(viewer.frames) for viewer in viewers]
        wait_until(
            lambda: all(len(viewer.frames) > count + 50 for viewer, count in zip(viewers, counts)),
            "every stream goes on",
            15 * SLOWNESS,
        )

    def test_the_view_is_shared_over_tls_by_a_user_who_may_no_more_than_the_manual_says(self):
        certificates = Certificates(self.scene)
        redis = Redis(self.scene, certificates=certificates)
        with open(os.path.join(scene.REPOSITORY, "docs/operations.md")) as manual:
            (rights,) = [line for line in manual if line.startswith("ACL SETUSER weir ")]
        redis.ask(*rights.split())
        user = {"redis.user": "weir", "redis.password": "PASSWORD"}
        self.cluster(redis=redis, options=user)
        edge = Weir(
            self.scene,
            "edge",
            options={"upstream.discover": "redis", **redis.options_for_weir(), **user},
        )
        wait_until(lambda: self.known_to(edge) == 2, "the edge knows both proxies")
        names = ["a", "b", "c", "d"]
        self.publish(self.proxies[0], names)
        at = self.placed(names)
        self.watch(self.proxies[1], names)
        self.assertEqual(at, {name: origin for name, origin in self.routes().items() if name in at})
        self.assertEqual([], redis.ask("ACL", "LOG"), "nothing was refused")
        clients = redis.ask("CLIENT", "LIST", "TYPE", "NORMAL")
        self.assertGreaterEqual(clients.count(" user=weir "), 3, clients)

    def test_an_unknown_authority_keeps_the_node_from_starting_a_wrong_one_from_redis(self):
        certificates = Certificates(self.scene)
        redis = Redis(self.scene, certificates=certificates)
        options = {"state.backend": "redis", **redis.options_for_weir()}
        missing = self.scene.path("missing.pem")
        sets = [f"--set={key}={value}" for key, value in {**options, "redis.tls_ca": missing}.items()]
        status, text = self.scene.run("weir-unknown", [BINARY, "--role=proxy", *sets], 10 * SLOWNESS)
        self.assertEqual(1, status, text)
        self.assertIn(f"redis.tls_ca: certificates in {missing}: No such file or directory", text)

        proxy = Weir(self.scene, "proxy", options={**options, "redis.tls_ca": certificates.client[0]})
        wait_until(lambda: "certificate verify failed" in proxy.log(), "it says why Redis is away")
        self.assertEqual(0, proxy.metric("weir_redis_up"))

    def test_bad_values_in_redis_are_misses(self):
        self.cluster()
        first, second = self.proxies
        self.publish(first, ["s"])
        at = self.placed(["s"])
        (key,) = self.redis.ask("KEYS", "weir:route:*")
        for spoil in (("SET", key, "{"), ("SET", key, "x" * 100_000), ("DEL", key), ("SADD", key, "a")):
            self.redis.ask("DEL", key)
            self.redis.ask(*spoil)
            self.watch(second, ["s"])
            wait_until(lambda: self.answer_of_route(key) == at["s"], f"{spoil[0]} is written over", 5 * SLOWNESS)
        self.assertGreater(first.metric("weir_redis_bad_values_total"), 0)

    def answer_of_route(self, key):
        try:
            return json.loads(self.redis.ask("GET", key) or "{}").get("upstream")
        except (OSError, ValueError):
            return None


if __name__ == "__main__":
    scene.main()
