"""Redis killed, hung, failed over, emptied and cut in two, under proxies that share it."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.balancer import Balancer
from support.crowd import Crowd, RtmpViewer
from support.node import Weir
from support.origin import Origin
from support.redis import Redis, Sentinel
from support.scene import SLOWNESS, wait_until

# How long the cluster goes without Redis, and how many streams it carries meanwhile.
AWAY_SECONDS = float(os.environ.get("WEIR_REDIS_AWAY", "10"))
STREAMS = int(os.environ.get("WEIR_REDIS_STREAMS", "20"))


class RedisFaults(scene.SceneTest):
    def start(self, options, count=2, origins=2):
        """Proxies of one Redis with every origin registered at the first of them."""
        self.origins = [Origin(self.scene, f"origin{i}") for i in range(origins)]
        self.proxies = [self.proxy(f"proxy{i}", options) for i in range(count)]
        for origin in self.origins:
            self.assertEqual(200, self.proxies[0].register(origin)[0])
        for proxy in self.proxies:
            wait_until(lambda: self.known_to(proxy) == origins, f"{proxy.name} knows every origin")
            wait_until(lambda: self.has_redis(proxy), f"{proxy.name} has Redis")
        self.clip = media.encode_clip(self.scene, size="160x90")
        self.crowd = Crowd(self.scene)

    def proxy(self, name, options):
        return Weir(
            self.scene,
            "proxy",
            name=name,
            options={"state.backend": "redis", "origin.lifetime": "5m", **options},
        )

    def known_to(self, proxy):
        return proxy.metric("weir_upstreams", 'state="live"')

    def has_redis(self, proxy):
        return proxy.metric("weir_redis_up") == 1

    def all_have_redis(self):
        return all(self.has_redis(proxy) for proxy in self.proxies)

    def publish(self, at, names):
        url = "rtmp://127.0.0.1:{}/live/{}".format
        return [
            media.publish(self.scene, self.clip, url(at.rtmp, name), name=f"publisher-{name}") for name in names
        ]

    def watch(self, at, names):
        return [self.crowd.add(RtmpViewer("127.0.0.1", at.rtmp, "live", name)) for name in names]

    def all_play(self, viewers, seconds=20):
        wait_until(
            lambda: all(viewer.playing(10) for viewer in viewers),
            lambda: [viewer.describe() for viewer in viewers if not viewer.playing(10)],
            seconds * SLOWNESS,
        )

    def homes(self):
        """{stream: [origins]} of what is published."""
        at = {}
        for origin in self.origins:
            for name in origin.published():
                at.setdefault(name, []).append(origin.name)
        return at

    def published(self, names):
        wait_until(lambda: set(names) <= set(self.homes()), lambda: self.homes(), 20 * SLOWNESS, 0.1)
        split = {name: where for name, where in self.homes().items() if len(where) != 1}
        self.assertEqual({}, split, "a stream is at two origins")

    def sentinels(self, master):
        sentinels = [Sentinel(self.scene, master, f"sentinel{i}") for i in range(3)]
        wait_until(lambda: all(s.knows() == (2, 2) for s in sentinels), "the sentinels know everybody", 20)
        return sentinels, {
            "redis.sentinels": ", ".join(f"127.0.0.1:{s.port}" for s in sentinels),
            "redis.master_name": "weir",
        }

    def test_f9_a_redis_that_hangs_holds_up_nobody(self):
        redis = Redis(self.scene)
        self.start(redis.options_for_weir())
        redis.process.signal(19)
        # The first of them waits for its deadline; from then on it is known that nobody answers.
        began = time.monotonic()
        viewers = [self.crowd.add(RtmpViewer("127.0.0.1", self.proxies[0].rtmp, "live", f"h{i}")) for i in range(20)]
        wait_until(
            lambda: sum(len(origin.streams()) for origin in self.origins) == len(viewers),
            "every request came to an origin",
            3 * SLOWNESS,
        )
        self.assertLess(time.monotonic() - began, 1.0 * SLOWNESS)
        self.assertGreaterEqual(self.proxies[0].metric("weir_redis_failures_total"), 1)
        redis.process.signal(18)
        wait_until(self.all_have_redis, "the proxies have Redis again", 5 * SLOWNESS)

    def test_f10_a_new_master_is_used_within_two_seconds(self):
        servers = [Redis(self.scene, "redis0")]
        servers += [Redis(self.scene, f"redis{i}", replica_of=servers[0]) for i in (1, 2)]
        sentinels, options = self.sentinels(servers[0])
        self.start(options)
        names = ["a", "b", "c"]
        publishers = self.publish(self.proxies[0], names)
        self.published(names)
        viewers = self.watch(self.proxies[1], names)
        self.all_play(viewers)

        servers[0].kill()
        wait_until(
            lambda: sentinels[0].master() not in (None, servers[0].port),
            "a new master is promoted",
            20 * SLOWNESS,
        )
        wait_until(self.all_have_redis, "the proxies use it", 2 * SLOWNESS)
        master = next(server for server in servers if server.port == sentinels[0].master())
        wait_until(lambda: len(master.ask("KEYS", "weir:route:*")) >= 3, "it has the routes", 5 * SLOWNESS)
        self.all_play(self.watch(self.proxies[0], names))
        for viewer in viewers:
            self.assertIsNone(viewer.closed)
        for publisher in publishers:
            self.assertTrue(publisher.running())

    def test_f12_a_proxy_that_sees_the_old_master_splits_no_stream(self):
        old = Redis(self.scene, "old")
        new = Redis(self.scene, "new", replica_of=old)
        old.ask("CONFIG", "SET", "min-replicas-to-write", "1")
        old.ask("CONFIG", "SET", "min-replicas-max-lag", "10")
        self.start(old.options_for_weir(), count=1)
        names = ["a", "b", "c", "d"]
        self.publish(self.proxies[0], names)
        self.published(names)
        wait_until(lambda: len(new.ask("KEYS", "weir:*")) >= 6, "the replica has everything")
        # Cut in two: one proxy is left with the old master, which has lost its replica, one has the new.
        new.ask("REPLICAOF", "NO", "ONE")
        self.proxies.append(self.proxy("far", new.options_for_weir()))
        far = self.proxies[1]
        wait_until(lambda: self.known_to(far) == 2, "the far proxy knows the origins")
        self.all_play(self.watch(far, names))
        self.published(names)
        # The old master takes no claims, so that what it says cannot differ from what the new one says.
        viewers = self.watch(self.proxies[0], ["late"])
        wait_until(
            lambda: self.proxies[0].metric("weir_redis_failures_total") >= 1, "the old master refuses claims"
        )
        self.assertEqual([], [key for key in old.ask("KEYS", "weir:route:*") if not new.ask("EXISTS", key)])
        self.assertIsNone(viewers[0].closed)

    def test_f8_f11_a_cluster_behind_a_balancer_outlives_its_redis(self):
        servers = [Redis(self.scene, "redis0")]
        servers += [Redis(self.scene, f"redis{i}", replica_of=servers[0]) for i in (1, 2)]
        sentinels, options = self.sentinels(servers[0])
        self.start(options)
        balancer = Balancer(self.scene, self.proxies)
        names = [f"s{i:02}" for i in range(STREAMS)]
        publishers = self.publish(balancer, names)
        self.published(names)
        viewers = self.watch(balancer, names)
        self.all_play(viewers)
        tried, waiting = [], []

        def new_sessions(seconds):
            """Ten a second, of known streams; each ends when it has played."""
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                waiting.extend(self.watch(balancer, [names[len(tried) % len(names)]]))
                tried.append(waiting[-1])
                for viewer in [each for each in waiting if each.playing(5)]:
                    self.crowd.drop(viewer)
                    waiting.remove(viewer)
                time.sleep(0.1)

        def unharmed(what):
            closed = [viewer.describe() for viewer in viewers if viewer.closed]
            self.assertEqual([], closed, what)
            ended = [process.name for process in publishers if not process.running()]
            self.assertEqual([], ended, what)
            self.assertLess(max(viewer.gap() for viewer in viewers), 3.0 * SLOWNESS, what)
            self.published(names)

        for server in servers:
            server.kill()
        fresh = [f"n{i}" for i in range(4)]
        new_sessions(AWAY_SECONDS / 2)
        publishers += self.publish(self.proxies[0], fresh)
        self.published(fresh)
        self.all_play(self.watch(self.proxies[1], fresh))
        new_sessions(AWAY_SECONDS / 2)
        unharmed("Redis was away")

        for server in servers:
            server.start()
        wait_until(self.all_have_redis, "Redis is back", 20 * SLOWNESS)
        wait_until(
            lambda: len(self.master_of(servers, sentinels).ask("KEYS", "weir:route:*")) >= len(names + fresh),
            "every route is in Redis again",
            5 * SLOWNESS,
        )
        new_sessions(2)
        self.master_of(servers, sentinels).ask("FLUSHALL")
        new_sessions(5)
        self.assertGreaterEqual(
            len(self.master_of(servers, sentinels).ask("KEYS", "weir:route:*")), len(names + fresh)
        )
        unharmed("Redis was emptied")

        master = self.master_of(servers, sentinels)
        wait_until(lambda: all(s.knows()[0] == 2 for s in sentinels), "the sentinels know the replicas", 20)
        master.kill()
        new_sessions(4)
        wait_until(lambda: self.master_of(servers, sentinels) not in (None, master), "a new master", 20)
        wait_until(self.all_have_redis, "the proxies use it", 3 * SLOWNESS)
        new_sessions(2)
        unharmed("Redis was failed over")

        wait_until(
            lambda: all(v.playing(5) for v in waiting),
            lambda: f"of {len(tried)} new sessions these do not play: {[v.describe() for v in waiting]}",
            10 * SLOWNESS,
        )

    def master_of(self, servers, sentinels):
        port = sentinels[0].master()
        return next((server for server in servers if server.port == port), None)


if __name__ == "__main__":
    scene.main()
