"""WebRTC through a bad network on both sides of the proxy; SRT, WebRTC and RTMP past an origin that hangs."""

import os
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt
from support.crowd import Crowd, RtmpViewer
from support.impair import BAD, WORST, ImpairedSignalling
from support.node import Weir
from support.origin import Origin, WebrtcOrigin
from support.scene import SLOWNESS, free_port, wait_until
from support.webrtc_client import Client

CORRUPT = 0.01


class WithWebRtc(scene.SceneTest):
    def proxy(self, upstreams, options=None):
        listen = {"listen.webrtc": f"127.0.0.1:{free_port()}", "webrtc.candidates": "127.0.0.1"}
        return Weir(self.scene, "proxy", upstreams=upstreams, options={**listen, **(options or {})})

    def client(self, mode, port, stream="a", **options):
        verb = "whip" if mode == "publish" else "whep"
        url = f"http://127.0.0.1:{port}/live/{stream}/{verb}"
        return Client(self.scene, f"{mode}-{stream}", mode, url, **options)


class WebRtc(WithWebRtc):
    def over(self, before, behind, frames=100):
        """A publisher and a viewer through both networks; to the proxy's last packet nothing is missing. Sound and
        pictures are counted together: aiortc does not ask for another keyframe when its first one is lost."""
        far = ImpairedSignalling(self.scene, WebrtcOrigin(self.scene).http, seed=2, **behind)
        node = self.proxy({"o": {"http": far.http}})
        near = ImpairedSignalling(self.scene, node.http, seed=1, **before)
        publisher = self.client("publish", near.http)
        wait_until(lambda: publisher.seen()["state"] == "connected", publisher.seen, 40 * SLOWNESS)
        viewer = self.client("play", near.http)
        wait_until(lambda: sum(viewer.seen()["frames"].values()) > frames, viewer.seen, 40 * SLOWNESS)
        self.assertEqual(("connected", "connected"), (publisher.seen()["state"], viewer.seen()["state"]))
        for client in (viewer, publisher):
            client.stop()

        def counts():
            relayed = {way: node.metric("weir_webrtc_packets_total", f'"{way}"') for way in ("up", "down")}
            dropped = node.metrics().get("weir_webrtc_dropped_total", {})
            return {
                "to the proxy": near.count("went_up"),
                "refused by it": sum(n for why, n in dropped.items() if "late" not in why and "full" not in why),
                "relayed to the origin": relayed["up"],
                "come there": far.count("came_up"),
                "from the origin": far.count("went_down"),
                "relayed to clients": relayed["down"],
                "come to them": near.count("came_down"),
            }

        def none_is_missing():
            n = counts()
            return (
                n["to the proxy"] == n["relayed to the origin"] + n["refused by it"]
                and n["relayed to the origin"] == n["come there"]
                and n["from the origin"] == n["relayed to clients"] == n["come to them"]
            )

        wait_until(none_is_missing, lambda: f"packets are missing: {counts()}", 5, 0.2)
        self.assertGreater(sum(network.lost for network in near.networks.values()), 10)
        self.assertEqual(0, node.metric("weir_webrtc_dropped_total", "late"))
        return counts()

    def test_a_session_lives_over_a_bad_network_on_both_sides(self):
        counts = self.over({**BAD, "corrupt": CORRUPT}, BAD)
        self.assertGreater(counts["refused by it"], 0, "corrupted checks")

    def test_a_session_lives_over_the_worst_network(self):
        self.over({**WORST, "corrupt": CORRUPT}, {})


class HungOrigin(WithWebRtc):
    def test_streams_of_other_origins_do_not_notice(self):
        """SRT, WebRTC and RTMP in flight at both of two origins; one of them stops."""
        sides = []
        for i in range(2):
            webrtc = WebrtcOrigin(self.scene, f"webrtc-{i}")
            sides.append((srt.Origin(self.scene, f"srt-{i}"), webrtc))
        rtmp = Origin(self.scene)
        srt_port = free_port()
        upstreams = {f"o{i}": {"srt": side[0].port, "http": side[1].http} for i, side in enumerate(sides)}
        upstreams["rtmp"] = {"rtmp": rtmp.rtmp}
        node = self.proxy(upstreams, {"listen.srt": f"127.0.0.1:{srt_port}", "origin.eject": "60s"})

        def caller(streamid):
            return srt.call(self.scene, srt_port, streamid)

        for i in range(16):
            caller(f"#!::r=live/s{i},m=publish")
            if all("publish live/" in side[0].log() for side in sides):
                break
        publishing = i + 1  # streams
        holds = lambda side, i: f"publish live/s{i}\n" in side[0].log()
        wait_until(
            lambda: sum(holds(side, i) for side in sides for i in range(publishing)) == publishing, "all publish"
        )
        # A stream's SRT and WebRTC are at one origin: here for one stream at each.
        names = [next(i for i in range(publishing) if holds(side, i)) for side in sides]
        publishers = []
        for name in names:
            publishers.append(self.client("publish", node.http, f"s{name}", audio_only=True))
        for each in publishers:
            wait_until(lambda: each.seen()["state"] == "connected", each.seen, 20 * SLOWNESS)
        alive_name = names[1]
        viewer = self.client("play", node.http, f"s{alive_name}", audio_only=True)
        media.publish(self.scene, media.encode_clip(self.scene, seconds=4), node.rtmp_url("r"))
        wait_until(lambda: "r" in rtmp.published(), "RTMP is published")
        watched = Crowd(self.scene).add(RtmpViewer("127.0.0.1", node.rtmp, "live", "r"))
        sender, player = caller("#!::r=live/probe,m=publish"), None
        wait_until(lambda: any("publish live/probe" in side[0].log() for side in sides), "the probe publishes")
        hung, alive = sides
        if "publish live/probe" in hung[0].log():
            hung, alive, alive_name = alive, hung, names[0]
            viewer.stop()
            viewer = self.client("play", node.http, f"s{alive_name}", audio_only=True)
        player = caller("#!::r=live/probe")
        wait_until(lambda: viewer.frames() > 20 and watched.playing(10), viewer.seen, 20 * SLOWNESS)

        arrivals, stop = [], threading.Event()

        def send():
            while not stop.wait(0.01):
                sender.send(struct.pack(">d", time.monotonic()))

        def receive():
            while player.receive():
                arrivals.append(time.monotonic())

        threads = [threading.Thread(target=work, daemon=True) for work in (send, receive)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(arrivals) > 50, "the probe plays")
        began = time.monotonic()
        for origin in hung:
            origin.process.signal(signal.SIGSTOP)
        # New callers and viewers, of streams here and there, meanwhile.
        for i in range(5):
            asked = time.monotonic()
            caller(f"#!::r=live/new{i},m=publish")
            self.assertLess(time.monotonic() - asked, 2.5 * SLOWNESS)
        late = self.client("play", node.http, f"s{alive_name}", audio_only=True)
        wait_until(lambda: late.frames() > 20, late.seen, 20 * SLOWNESS)
        wait_until(lambda: time.monotonic() - began > 6, "a while has passed", 10)
        stop.set()
        gaps = [b - a for a, b in zip(arrivals, arrivals[1:]) if a > began]
        self.assertLess(max(gaps), 0.2 * SLOWNESS, "SRT of the other origin")
        self.assertLess(watched.gap(began), 0.2 * SLOWNESS, "RTMP")
        # aiortc decodes and encodes in Python, at both ends; it pauses by itself now and then.
        self.assertLess(viewer.gap(began + 0.2), 0.5 * SLOWNESS, "WebRTC of the other origin")
        self.assertEqual("connected", viewer.seen()["state"])
        for origin in hung:
            origin.process.signal(signal.SIGCONT)


if __name__ == "__main__":
    scene.main()
