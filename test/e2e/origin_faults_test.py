"""Origins are killed, hang, vanish, crawl, restart, flap and send garbage: who watches something else does not
notice, who watches there is served from elsewhere."""

import http.client
import json
import os
import random
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, rtmp, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin, place_of
from support.redis import Redis
from support.relay import Relay
from support.scene import SLOWNESS, wait_until
from support.scripted_origin import ScriptedOrigin
from support.session import Session

GOP = 5  # frames, 25 a second: how long a player waits for its keyframe is nothing a fault takes
DEAD_GAP = 1.0
HUNG_GAP = 3.5
OTHERS_GAP = 0.25  # between two frames of a stream that the fault does not concern; they are 0.04 s apart
NOTICED_SECONDS = 5.0  # how long a proxy may take to give up publishers at an origin that hangs
FLAPS = 30


class Babbler:
    """Listens where an RTMP server is expected, and says to each that comes another of its openings, and goes."""

    HELLO = b"\x03" + bytes(3072)
    OPENINGS = (
        b"",
        b"\x03",
        HELLO[:1537],
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        None,  # noise
        HELLO,
        HELLO + b"\xff" * 5000,
        HELLO + b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\x7f\xff\xff\xff",  # chunks of two GiB
        HELLO + b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0" + b"\x03" * 100_000,
        HELLO + rtmp.chunk(3, rtmp.Message(rtmp.COMMAND, 0, 0, b"\x02\0\x07_result\0\x3f\xf0")),
        HELLO + rtmp.chunk(3, rtmp.Message(rtmp.COMMAND, 0, 0, b"\x0a\xff\xff\xff\xff" * 50)),
    )

    def __init__(self, scene, chance):
        self.talks, self._chance = 0, chance
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()
        scene.at_end(self._socket.close)

    def _run(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            opening = self.OPENINGS[self.talks % len(self.OPENINGS)]
            self.talks += 1
            with client:
                client.settimeout(2)
                try:
                    client.recv(4096)
                    client.sendall(self._chance.randbytes(20_000) if opening is None else opening)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
                except OSError:
                    pass


class OriginFaults(scene.SceneTest):
    def setUp(self):
        self.clip = media.encode_clip(self.scene, gop=GOP)
        self.crowd = Crowd(self.scene)
        self.origins = [Origin(self.scene, f"origin{i}") for i in range(2)]

    def node(self, role, ways=None, **options):
        """Over the origins, or over the ways to them."""
        ports = [way.port for way in ways] if ways else [origin.rtmp for origin in self.origins]
        return Weir(
            self.scene,
            role,
            upstreams={origin.name: {"rtmp": port} for origin, port in zip(self.origins, ports)},
            options={key.replace("__", "."): value for key, value in options.items()},
        )

    def ways(self):
        return [Relay(self.scene, origin.rtmp) for origin in self.origins]

    def publish_everywhere(self, *streams):
        """As an encoder does that sends to a first and a second origin."""
        for origin in self.origins:
            for stream in streams:
                media.publish(self.scene, self.clip, origin.url(stream), f"publisher-{stream}-{origin.name}")
        for origin in self.origins:
            wait_until(lambda: origin.published() >= set(streams), f"{streams} at {origin.name}")

    def watch(self, node, *streams):
        """A viewer of each kind for each stream, once they play."""
        viewers = []
        for stream in streams:
            viewers.append(self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", stream)))
            viewers.append(self.crowd.add(FlvViewer("127.0.0.1", node.http, f"/live/{stream}.flv")))
        self.all_play(viewers)
        return viewers

    def all_play(self, viewers, seconds=10.0):
        wait_until(
            lambda: all(viewer.playing(5) for viewer in viewers),
            lambda: [viewer.describe() for viewer in viewers if not viewer.playing(5)],
            seconds * SLOWNESS,
        )

    def home_of(self, stream):
        """Where it is played, and the other one."""
        used = wait_until(
            lambda: next((o for o in self.origins if o.players(stream)), None), f"{stream} is pulled"
        )
        return used, next(origin for origin in self.origins if origin is not used)

    def permitted(self, proxy, stream, within):
        began = time.monotonic()
        session = Session(self.scene, "127.0.0.1", proxy.rtmp, "live", stream, publish=True)
        session.until(session.permitted, f"{stream} may be published", within)
        return time.monotonic() - began

    def resume(self, viewers, since, gap, longest=15.0):
        """Every viewer goes on, on its old connection, and nobody was without media for longer than `gap` from
        `since` on."""
        wait_until(
            lambda: all(self.after_gap(viewer, since) for viewer in viewers),
            lambda: "all go on: " + str([v.describe() for v in viewers if not self.after_gap(v, since)]),
            longest,
        )
        waited = {viewer: self.after_gap(viewer, since)[0] - since for viewer in viewers}
        print(f"# {self._testMethodName}: resumed after {max(waited.values()):.2f} s", file=sys.stderr)
        for viewer, seconds in waited.items():
            self.assertIsNone(viewer.closed, viewer.describe())
            self.assertEqual([], viewer.ran_back, viewer.describe())
            self.assertTrue(self.after_gap(viewer, since)[2], f"no keyframe: {viewer.describe()}")
            self.assertLessEqual(seconds, gap, viewer.describe())

    @staticmethod
    def after_gap(viewer, since):
        """The frame behind the longest gap that ended after `since`, once 25 others have followed it."""
        frames = [frame for frame in viewer.frames[-1000:] if frame[0] > since - 0.5]
        gaps = [b[0] - a[0] for a, b in zip(frames, frames[1:])]
        if not gaps or max(gaps) < 0.15 or time.monotonic() - frames[-1][0] > 0.2:
            return None
        first = gaps.index(max(gaps)) + 1
        return frames[first] if len(frames) - first >= 25 and frames[first][0] > since else None

    def undisturbed(self, viewers, since):
        for viewer in viewers:
            self.assertIsNone(viewer.closed, viewer.describe())
            self.assertLess(viewer.gap(since), OTHERS_GAP * SLOWNESS, viewer.describe())

    # ------------------------------------------------------------------------- F1: killed

    def test_f1_viewers_of_an_edge_go_on_from_another_origin(self):
        self.publish_everywhere("a", "b", "c", "d")
        edge = self.node("edge")
        viewers = {stream: self.watch(edge, stream) for stream in "abcd"}
        used, _ = self.home_of("a")
        there = [v for stream in viewers if used.players(stream) for v in viewers[stream]]
        elsewhere = [v for stream in viewers if not used.players(stream) for v in viewers[stream]]
        used.process.kill()
        killed = time.monotonic()
        self.resume(there, killed, DEAD_GAP * SLOWNESS)
        self.undisturbed(elsewhere, killed)

    def test_f1_clients_of_a_proxy_are_at_a_living_origin_at_once(self):
        proxy = self.node("proxy")
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        publisher = media.KeptPublisher(self.scene, self.clip, proxy.rtmp_url("a"))
        used = place_of(self.origins, "a")
        (other,) = [origin for origin in self.origins if origin is not used]
        viewers = self.watch(edge, "a")
        used.process.kill()
        killed = time.monotonic()
        self.assertLess(max(self.permitted(proxy, f"n{i}", 5 * SLOWNESS) for i in range(6)), 1.0 * SLOWNESS)
        wait_until(lambda: "a" in other.published(), "the publisher is back", 5 * SLOWNESS)
        back = time.monotonic()
        self.resume(viewers, killed, back - killed + DEAD_GAP * SLOWNESS)
        self.assertEqual(2, len(publisher.starts))
        late = [
            self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", "a")) for node in (proxy, edge)
        ]
        self.all_play(late, 1.0)

    # ------------------------------------------------------------- F2, F3: hung and black-holed

    def test_f2_viewers_of_an_edge_go_on_when_their_origin_hangs(self):
        self.publish_everywhere("a", "b", "c", "d")
        edge = self.node("edge")
        self.give_up_one(edge, lambda used: used.process.signal(signal.SIGSTOP))

    def test_f3_viewers_of_an_edge_go_on_when_their_origin_vanishes(self):
        self.publish_everywhere("a", "b", "c", "d")
        ways = self.ways()
        edge = self.node("edge", ways)
        self.give_up_one(edge, lambda used: ways[self.origins.index(used)].black_hole())

    def give_up_one(self, edge, harm):
        viewers = {stream: self.watch(edge, stream) for stream in "abcd"}
        used, _ = self.home_of("a")
        there = [v for stream in viewers if used.players(stream) for v in viewers[stream]]
        elsewhere = [v for stream in viewers if not used.players(stream) for v in viewers[stream]]
        harm(used)
        harmed = time.monotonic()
        self.resume(there, harmed, HUNG_GAP * SLOWNESS)
        self.undisturbed(elsewhere, harmed)

    def test_f2_clients_of_a_proxy_move_when_their_origin_hangs(self):
        self.move_from(self.node("proxy"), lambda used: used.process.signal(signal.SIGSTOP), HUNG_GAP)

    def test_f3_clients_of_a_proxy_move_when_their_origin_vanishes(self):
        ways = self.ways()
        proxy = self.node("proxy", ways)
        self.move_from(proxy, lambda used: ways[self.origins.index(used)].black_hole(), 1.5)

    def move_from(self, proxy, harm, first):
        """`first`: how long the first new client may be tried with the harmed origin."""
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        publishers = {}
        for stream in "abcd":
            url = proxy.rtmp_url(stream)
            publishers[stream] = media.KeptPublisher(self.scene, self.clip, url, f"publisher-{stream}")
        homes = {stream: place_of(self.origins, stream) for stream in publishers}
        used = homes["a"]
        (other,) = [origin for origin in self.origins if origin is not used]
        viewers = {stream: self.watch(edge, stream) for stream in publishers}
        there = [v for stream, home in homes.items() if home is used for v in viewers[stream]]
        elsewhere = [v for stream, home in homes.items() if home is other for v in viewers[stream]]
        harm(used)
        harmed = time.monotonic()
        waits = [self.permitted(proxy, f"n{i}", 10 * SLOWNESS) for i in range(6)]
        print(f"# {self._testMethodName}: permitted after {[round(w, 2) for w in waits]} s", file=sys.stderr)
        self.assertLess(max(waits), first * SLOWNESS)
        self.assertLess(sorted(waits)[-2], 0.5 * SLOWNESS, "only the first has to wait")
        wait_until(
            lambda: other.published() >= set(publishers), "the publishers are back", NOTICED_SECONDS * SLOWNESS
        )
        back = time.monotonic()
        self.resume(there, harmed, back - harmed + HUNG_GAP * SLOWNESS)
        self.undisturbed(elsewhere, harmed)

    # --------------------------------------------------------------------------- F4: slow

    def test_f4_a_slow_origin_slows_its_own_streams_alone(self):
        ways = self.ways()
        proxy = self.node("proxy", ways)
        streams = [f"s{i}" for i in range(6)]
        for stream in streams:
            media.publish(self.scene, self.clip, proxy.rtmp_url(stream), f"publisher-{stream}")
        homes = {stream: place_of(self.origins, stream) for stream in streams}
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}}, options={"workers": "1"})
        slow = homes["s0"]
        viewers = {stream: self.watch(edge, stream) for stream in streams}
        fast = [v for stream, home in homes.items() if home is not slow for v in viewers[stream]]
        self.assertTrue(fast)
        ways[self.origins.index(slow)].impair(delay=2.0, rate=5000)
        slowed = time.monotonic()
        waits = [self.permitted(proxy, f"n{i}", 10 * SLOWNESS) for i in range(8)]
        print(f"# {self._testMethodName}: permitted after {[round(w, 2) for w in waits]} s", file=sys.stderr)
        self.assertLess(max(waits), 3.5 * SLOWNESS, "the deadline of the first answer")
        self.assertLess(sorted(waits)[-2], 0.5 * SLOWNESS, "only the first has to wait")
        self.undisturbed(fast, slowed)

    # ------------------------------------------------------------------------- F5: restarted

    def test_f5_a_restarted_origin_takes_its_old_entry_everywhere_at_once(self):
        redis = Redis(self.scene)
        proxies = [
            Weir(
                self.scene,
                "proxy",
                name=f"proxy{i}",
                options={"state.backend": "redis", **redis.options_for_weir()},
                ready=False,
            )
            for i in range(2)
        ]
        origin = self.origins[0]
        for each in self.origins:
            self.assertEqual(200, proxies[0].register(each)[0])

        def known(proxy):
            _, _, text = request(proxy.system, "GET", "/api/v1/upstreams")
            return {upstream["id"]: upstream for upstream in json.loads(text)["upstreams"]}

        wait_until(lambda: all(len(known(proxy)) == 2 for proxy in proxies), "both proxies know both origins")
        streams = [f"s{i}" for i in range(6)]
        publishers = [
            media.KeptPublisher(self.scene, self.clip, proxies[i % 2].rtmp_url(stream), f"publisher-{stream}")
            for i, stream in enumerate(streams)
        ]
        homes = {stream: place_of(self.origins, stream) for stream in streams}
        self.assertIn(origin, homes.values())

        origin.process.kill()
        origin.start()
        restarted = time.monotonic()
        self.assertEqual(200, proxies[0].register(origin)[0])
        for proxy in proxies:
            wait_until(
                lambda: known(proxy)[origin.name]["service"] == f"s{origin.service}"
                and not known(proxy)[origin.name]["ejected"],
                lambda: f"the new life is in use at {proxy.name}: {known(proxy)}",
                1.0 * SLOWNESS,
            )
            self.assertEqual({o.name for o in self.origins}, set(known(proxy)))
        for stream in streams:
            place_of(self.origins, stream)
        self.assertLess(time.monotonic() - restarted, 3 * SLOWNESS)
        for proxy in proxies:
            self.all_play([self.crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", s)) for s in streams])
        for stream, home in homes.items():
            if home is not origin:
                self.assertIs(home, place_of(self.origins, stream), "it had nothing to do with the restart")

    # --------------------------------------------------------------------------- F6: flaps

    def test_f6_an_origin_that_flaps_is_left_alone_and_the_only_one_never(self):
        ways = self.ways()
        proxy = self.node("proxy", ways)
        publisher = media.KeptPublisher(self.scene, self.clip, proxy.rtmp_url("a"))
        flapping = ways[self.origins.index(place_of(self.origins, "a"))]
        (steady,) = [way for way in ways if way is not flapping]
        other = self.origins[ways.index(steady)]
        for _ in range(FLAPS):
            flapping.refuse()
            self.permitted(proxy, f"n{random.random()}", 2 * SLOWNESS)
            flapping.restore()
        place_of([other], "a")
        self.assertLessEqual(len(publisher.starts), 3, "the stream was moved once")

        # From here on the other one is gone, and the one that flapped the only one left.
        steady.refuse()
        place_of([o for o in self.origins if o is not other], "a")
        self.assertLess(self.permitted(proxy, "last", 5 * SLOWNESS), 1.0 * SLOWNESS)

    # -------------------------------------------------------------------------- F7: garbage

    def test_f7_garbage_ends_the_pull_with_a_reason_and_is_not_kept(self):
        with open(self.clip, "rb") as file:
            good = file.read()
        chance = random.Random(7)
        bodies = self.garbage(good, chance)
        healed = set()
        playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n"

        def answer(request):
            name = request.path.strip("/").split("/")[-1]
            if name.endswith(".flv"):
                number = int(name[1:-4])
                request.begin(200, Content_Type="video/x-flv", Connection="close")
                request.close_connection = True
                if number in healed:
                    self.trickle(request, good)
                else:
                    request.wfile.write(bodies[number])
            elif name in healed:
                request.give(playlist + b"good.ts\n", Cache_Control="max-age=60")
            else:
                request.begin(200, Content_Length=5000, Cache_Control="max-age=60")
                request.wfile.write(playlist + b"bad")
                request.close_connection = True

        origin = ScriptedOrigin(self.scene, answer)
        edge = Weir(
            self.scene,
            "edge",
            upstreams={"origin": origin.as_upstream()},
            options={"edge.pull": "flv", "edge.start_timeout": "2s", "edge.negative_ttl": "0"},
        )
        for number in range(len(bodies)):
            self.crowd.add(FlvViewer("127.0.0.1", edge.http, f"/live/s{number}.flv"))
        wait_until(
            lambda: all(origin.count(f"/live/s{n}.flv") >= 2 for n in range(len(bodies))),
            "every stream was tried again",
            10 * SLOWNESS,
        )
        healed.update(range(len(bodies)))
        wait_until(lambda: edge.metric("weir_pull_failures_total") >= len(bodies), "pulls failed", 5)
        ended = [line for line in edge.log().splitlines() if "pull ended" in line]
        for number in range(len(bodies)):
            mine = [line for line in ended if f"/live/s{number} " in line]
            self.assertTrue(mine and all("reason=" in line and "error=" in line for line in mine), number)
        # Who is still there gets the stream once it is one, and who comes too.
        late = [
            self.crowd.add(FlvViewer("127.0.0.1", edge.http, f"/live/s{number}.flv"))
            for number in range(0, len(bodies), 4)
        ]
        self.all_play(late, 15)

        for name in ("cut.m3u8", "cut.ts"):
            for _ in range(3):
                try:
                    status, _, body = request(edge.http, "GET", f"/live/{name}")
                    self.assertNotEqual(200, status, body)
                except (OSError, http.client.IncompleteRead):
                    pass
            healed.add(name)
            status, _, body = request(edge.http, "GET", f"/live/{name}")
            self.assertEqual((200, True), (status, b"good.ts" in body), body)
        self.assertTrue(edge.process.running())
        self.assertEqual(200, request(edge.system, "GET", "/healthz")[0])

    @staticmethod
    def trickle(request, good):
        """The clip in about real time."""
        for at in range(0, len(good), 4000):
            request.wfile.write(good[at : at + 4000])
            request.wfile.flush()
            time.sleep(0.1)

    @staticmethod
    def garbage(good, chance):
        bodies = [b"", b"FLV", good[:13], b"\0" * 5000, chance.randbytes(20000), b"<html>" * 500]
        bodies += [good[: chance.randrange(14, 20000)] for _ in range(10)]
        for _ in range(24):
            damaged = bytearray(good[:40000])
            for _ in range(chance.choice((1, 3, 30))):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            bodies.append(bytes(damaged))
        # A tag that says it is as large as a tag can be, and one that is not what its last size says.
        bodies += [good[:13] + b"\x09\xff\xff\xff" + good[17:30000], good[:13] + b"\x7f" + good[14:30000]]
        return bodies

    def test_f7_who_is_sent_garbage_over_rtmp_goes_to_another_origin(self):
        babbler = Babbler(self.scene, random.Random(7))
        origin = self.origins[0]
        upstreams = {"babbler": {"rtmp": babbler.port}, "origin": {"rtmp": origin.rtmp}}
        options = {"origin.eject": "100ms", "origin.eject_max": "100ms", "health.check": "off"}
        proxy = Weir(self.scene, "proxy", upstreams=upstreams, options=options)
        edge = Weir(self.scene, "edge", upstreams=upstreams, options=options)
        media.publish(self.scene, self.clip, origin.url("a"))
        place_of([origin], "a")
        count = 0
        while babbler.talks < 2 * len(Babbler.OPENINGS):
            count += 1
            self.assertLess(count, 200, "nobody asks it any more")
            self.permitted(proxy, f"n{count}", 2 * SLOWNESS)
        wait_until(lambda: len(origin.published()) == count + 1, "all are at the origin that is one")
        self.watch(edge, "a")
        self.all_play([self.crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", "a"))])
        rejected = [line for line in proxy.log().splitlines() if "upstream rejected" in line]
        self.assertGreaterEqual(len(rejected), 2 * len(Babbler.OPENINGS))
        self.assertTrue(all("reason=" in line and "error=" in line for line in rejected), rejected)

    # ---------------------------------------------------------------- F17: another publisher

    def test_f17_a_publisher_that_comes_back_is_one_discontinuity(self):
        proxy = self.node("proxy")
        edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        publisher = media.KeptPublisher(self.scene, self.clip, proxy.rtmp_url("a"))
        place_of(self.origins, "a")
        viewers = self.watch(edge, "a")
        publisher.process.kill()
        gone = time.monotonic()
        wait_until(lambda: len(publisher.starts) == 2, "the publisher is back")
        self.resume(viewers, gone, publisher.starts[1] - gone + (DEAD_GAP + 1) * SLOWNESS)


if __name__ == "__main__":
    scene.main()
