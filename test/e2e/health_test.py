"""Which origins get streams: by their health, their weight and zone, and by what the last run knew."""

import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, RtmpViewer
from support.node import Weir, request
from support.origin import Origin, place_of
from support.scene import SLOWNESS, wait_until
from support.scripted_origin import ScriptedOrigin
from support.session import Session

FOUND_HUNG = 6.0  # three probes of a second each, the pauses between them, and as much again
FOUND_DEAD = 2.5


class Health(scene.SceneTest):
    def origins(self, count):
        return [Origin(self.scene, f"origin{i}") for i in range(count)]

    def proxy(self, origins, options=None, **upstream):
        upstreams = {o.name: {"rtmp": o.rtmp, **upstream.get(o.name, {})} for o in origins}
        proxy = Weir(self.scene, "proxy", upstreams=upstreams, options=options)
        wait_until(
            lambda: all(self.up(proxy, o) == 1 and self.state(proxy, o)["probes"] == "up" for o in origins),
            "the probes find all origins up",
            5 * SLOWNESS,
        )
        return proxy

    @staticmethod
    def up(proxy, origin):
        return proxy.metric("weir_upstream_up", f'upstream="{origin.name}"')

    @staticmethod
    def state(proxy, origin):
        return next(u for u in Health.states(proxy) if u["id"] == origin.name)

    def publish(self, proxy, stream, within=3.0):
        """A publisher that is permitted in time, without media."""
        began = time.monotonic()
        session = Session(self.scene, "127.0.0.1", proxy.rtmp, "live", stream, publish=True)
        session.until(session.permitted, f"{stream} may be published", within * SLOWNESS)
        return time.monotonic() - began

    def place(self, origins, streams):
        return {stream: place_of(origins, stream).name for stream in streams}

    def test_a_hung_origin_is_found_without_a_session_and_comes_back(self):
        origins = self.origins(2)
        proxy = self.proxy(origins)
        hung, live = origins
        hung.process.signal(signal.SIGSTOP)
        wait_until(lambda: self.up(proxy, hung) == 0, "the hung origin is out of use", FOUND_HUNG * SLOWNESS)
        self.assertEqual(1, self.up(proxy, live))
        streams = [f"s{i}" for i in range(6)]
        slowest = max(self.publish(proxy, stream) for stream in streams)
        self.assertLess(slowest, 1.0 * SLOWNESS, "nobody waits for the hung origin")
        self.assertEqual({live.name}, set(self.place([live], streams).values()))

        hung.process.signal(signal.SIGCONT)
        wait_until(lambda: self.up(proxy, hung) == 1, "it is back", 5 * SLOWNESS)
        self.assertEqual({live.name}, set(self.place([live], streams).values()), "streams stay where they are")
        self.assertEqual("up", self.state(proxy, hung)["probes"])

    def test_a_killed_origin_is_found_at_once_and_its_streams_move(self):
        origins = self.origins(2)
        proxy = self.proxy(origins)
        clip = media.encode_clip(self.scene)
        publisher = media.KeptPublisher(self.scene, clip, proxy.rtmp_url("a"))
        home = place_of(origins, "a")
        other = next(o for o in origins if o is not home)
        home.process.kill()
        wait_until(lambda: self.up(proxy, home) == 0, "the dead origin is out of use", FOUND_DEAD * SLOWNESS)
        place_of([other], "a")
        self.assertLessEqual(len(publisher.starts), 3)
        home.start()
        wait_until(lambda: self.up(proxy, home) == 1, "it is back", 5 * SLOWNESS)
        place_of([other], "a")

    def test_an_origin_that_flaps_every_second_does_not_flap_the_streams(self):
        origins = self.origins(3)
        proxy = self.proxy(origins)
        clip = media.encode_clip(self.scene)
        publisher = media.KeptPublisher(self.scene, clip, proxy.rtmp_url("a"))
        flapping = place_of(origins, "a")
        others = [o for o in origins if o is not flapping]
        streams = [f"other{i}" for i in range(4)]
        for stream in streams:
            self.publish(proxy, stream)
        stop = threading.Event()

        def flap():
            while not stop.is_set():
                flapping.process.kill()
                stop.wait(1)
                flapping.start()
                stop.wait(1)

        thread = threading.Thread(target=flap)
        self.scene.at_end(lambda: (stop.set(), thread.join(15)))
        thread.start()
        settled = place_of(others, "a")
        began = time.monotonic()
        starts = len(publisher.starts)
        late = Crowd(self.scene).add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", "a"))
        wait_until(lambda: late.playing(5), late.describe, 5 * SLOWNESS)
        wait_until(lambda: time.monotonic() - began > 10, "ten seconds of flapping", 15)
        stop.set()
        thread.join(15)
        self.assertEqual(starts, len(publisher.starts), "the publisher was not moved again")
        self.assertIn("a", settled.published())
        self.assertIsNone(late.closed, late.describe())
        self.assertLessEqual(self.state(proxy, flapping)["ejections"], 4)

    def test_streams_are_shared_by_weight(self):
        origins = self.origins(2)
        proxy = self.proxy(origins, origin0={"weight": 3})
        streams = [f"s{i}" for i in range(8)]
        for stream in streams:
            self.publish(proxy, stream)
        places = list(self.place(origins, streams).values())
        self.assertEqual((6, 2), (places.count("origin0"), places.count("origin1")))

    def test_the_own_zone_comes_first_while_somebody_is_up_there(self):
        origins = self.origins(2)
        proxy = self.proxy(
            origins, {"node.zone": "east"}, origin0={"zone": "west", "weight": 100}, origin1={"zone": "east"}
        )
        near = [f"near{i}" for i in range(4)]
        for stream in near:
            self.publish(proxy, stream)
        self.assertEqual({"origin1"}, set(self.place(origins, near).values()))
        origins[1].process.kill()
        wait_until(lambda: self.up(proxy, origins[1]) == 0, "the near one is out", FOUND_DEAD * SLOWNESS)
        self.publish(proxy, "far")
        place_of([origins[0]], "far")

    def test_routes_and_origins_survive_a_kill(self):
        origins = self.origins(3)
        folder = self.scene.path("state")
        proxy = Weir(self.scene, "proxy", options={"state.path": folder}, ready=False)
        for origin in origins:
            self.assertEqual(200, proxy.register(origin)[0])
        streams = [f"s{i}" for i in range(6)]
        for stream in streams:
            self.publish(proxy, stream)
        before = self.place(origins, streams)
        self.assertEqual(1, proxy.metric("weir_state_kept"))
        wait_until(
            lambda: self.age_of(os.path.join(folder, "state.mdb")) > 1.5, "all is written", 10 * SLOWNESS
        )
        proxy.process.kill()
        wait_until(lambda: not set(streams) & self.published(origins), "the origins have noticed", 10)

        proxy.start(ready=False)
        known = {u["id"]: u for u in self.states(proxy)}
        self.assertEqual({o.name for o in origins}, set(known))
        self.assertEqual(len(streams), sum(u["routes"] for u in known.values()))
        for stream in streams:
            self.publish(proxy, stream)
        self.assertEqual(before, self.place(origins, streams))

        proxy.process.kill()
        with open(os.path.join(folder, "state.mdb"), "r+b") as file:
            file.truncate(5000)
        proxy.start(ready=False)
        self.assertEqual(200, proxy.register(origins[0])[0])
        self.publish(proxy, "after damage")

    def api_of(self, origin):
        """What an SRS would say of the streams that this nginx has."""

        def answer(request):
            streams = [
                {"name": name, "app": "live", "tcUrl": "rtmp://127.0.0.1/live", "publish": {"active": True}}
                for name in origin.published()
            ]
            request.give(json.dumps({"code": 0, "streams": streams}).encode())

        return ScriptedOrigin(self.scene, answer)

    def test_a_stream_that_was_published_to_an_origin_directly_is_found(self):
        origins = self.origins(3)
        clip = media.encode_clip(self.scene)
        apis = {origin.name: self.api_of(origin) for origin in origins}
        upstreams = {o.name: {"rtmp": o.rtmp, "api": apis[o.name].http} for o in origins}
        proxy = Weir(self.scene, "proxy", upstreams=upstreams)
        edge = Weir(self.scene, "edge", upstreams=upstreams)
        for number, node in enumerate((proxy, edge)):
            for origin in origins:
                stream = f"direct{number}-{origin.name}"
                media.publish(self.scene, clip, origin.url(stream))
                place_of([origin], stream)
                viewer = Crowd(self.scene).add(RtmpViewer("127.0.0.1", node.rtmp, "live", stream))
                wait_until(lambda: viewer.playing(5), viewer.describe, 5 * SLOWNESS)
        self.assertEqual(3, sum(u["routes"] for u in self.states(proxy)))

    @staticmethod
    def states(proxy):
        return json.loads(request(proxy.system, "GET", "/api/v1/upstreams")[2])["upstreams"]

    @staticmethod
    def published(origins):
        return {stream for origin in origins for stream in origin.published()}

    @staticmethod
    def age_of(path):
        return time.time() - os.stat(path).st_mtime


if __name__ == "__main__":
    scene.main()
