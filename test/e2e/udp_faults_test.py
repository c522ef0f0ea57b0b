"""SRT and WebRTC through a bad network on both sides of the proxy, past an origin that hangs, and beyond the proxy's
own death."""

import collections
import hashlib
import os
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt
from support.crowd import Crowd, RtmpViewer
from support.impair import Impaired, ImpairedSignalling
from support.node import Weir
from support.origin import Origin
from support.scene import SLOWNESS, accepts, free_port, wait_until
from support.webrtc_client import Client

HERE = os.path.dirname(os.path.abspath(__file__))
BAD = {"loss": 0.05, "double": 0.05, "swap": 0.05}
WORST = {"loss": 0.2, "double": 0.1, "swap": 0.25}
CORRUPT = 0.01  # not for SRT that is to arrive: libsrt itself ends a connection over a corrupted loss report
NOT_MEDIA = (b"\x80\0", b"\x80\5")  # an SRT handshake, SHUTDOWN
SRT_DESTINATION = slice(12, 16)
HELD_BACK = 4096  # by srt-live-transmit, at most, in its buffer for standard output


def packets(count, size=1316):
    """All different."""
    return [(hashlib.sha256(b"%d" % i).digest() * (size // 32 + 1))[:size] for i in range(count)]


class Srt(scene.SceneTest):
    def proxy(self, *ports, name="proxy", options=None):
        upstreams = {f"o{i}": {"srt": port} for i, port in enumerate(ports)}
        media_port = free_port()
        listen = {"listen.srt": f"127.0.0.1:{media_port}", **(options or {})}
        node = Weir(self.scene, "proxy", name, upstreams=upstreams, options=listen)
        node.srt = media_port
        return node

    def both_sides(self, **network):
        """Client, bad network, proxy, bad network, origin."""
        self.origin = srt.Origin(self.scene, free_port, wait_until)
        self.behind = Impaired(self.scene, self.origin.port, seed=2, **network)
        self.node = self.proxy(self.behind.port)
        self.before = Impaired(self.scene, self.node.srt, seed=1, **network)

    def lost_in_proxy(self):
        """Packets of joined clients that reached the proxy and did not leave it at its other side. What is said in
        handshakes is the proxy's own business, and a network's copy of a SHUTDOWN comes after the end."""

        def joined(heads):
            return collections.Counter(
                head for head in heads if head[1][SRT_DESTINATION] != bytes(4) and head[1][:2] not in NOT_MEDIA
            )

        up = joined(self.before.went_up) - joined(self.behind.came_up)
        down = joined(self.behind.went_down) - joined(self.before.came_down)
        return up, down

    def test_the_tools_of_libsrt_recover_and_the_proxy_adds_no_loss(self):
        self.both_sides(**BAD)
        source, path = free_port(), self.scene.path("received.ts")
        tool = ["srt-live-transmit", "-a:no"]
        url = f"srt://127.0.0.1:{self.before.port}?latency=3000&tlpktdrop=false&conntimeo=10000&streamid="
        self.scene.start(
            "transmit", [*tool, f"udp://127.0.0.1:{source}?mode=listener", url + "#!::r=live/a,m=publish"]
        )
        wait_until(lambda: "publish live/a" in self.origin.log(), "it publishes", 15 * SLOWNESS)
        with open(path, "wb") as file:
            self.scene.start("receive", [*tool, url + "#!::r=live/a", "file://con"], stdout=file)
        wait_until(lambda: "play live/a" in self.origin.log(), "it plays", 15 * SLOWNESS)
        sent = packets(2000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in sent:
                sender.sendto(packet, ("127.0.0.1", source))
                time.sleep(0.001)
        expected = b"".join(sent)
        wait_until(
            lambda: os.path.getsize(path) >= len(expected) - HELD_BACK,
            lambda: f"{os.path.getsize(path)} bytes of {len(expected)} have arrived",
            20 * SLOWNESS,
        )
        with open(path, "rb") as file:
            self.assertTrue(expected.startswith(file.read()), "the bytes differ")
        for network in (self.before, self.behind):
            self.assertGreater(min(network.lost, network.doubled, network.swapped), 50)
        wait_until(lambda: not any(self.lost_in_proxy()), self.lost_in_proxy, 5, 0.2)

    def test_ffmpeg_plays_on_over_the_worst_network(self):
        self.both_sides(**BAD)
        self.before.loss, self.before.double, self.before.swap = WORST.values()
        clip = media.encode_clip(self.scene, seconds=4)
        url = f"srt://127.0.0.1:{self.before.port}?pkt_size=1316&latency=2000000&connect_timeout=10000&streamid="
        live = [*media.FFMPEG, "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "mpegts"]
        self.scene.start("publisher", [*live, url + "#!::r=live/a,m=publish"])
        wait_until(lambda: "publish live/a" in self.origin.log(), "ffmpeg publishes", 15 * SLOWNESS)
        count = ["-frames:v", "200", "-f", "framemd5", "-"]
        play = [*media.FFMPEG, "-i", url + "#!::r=live/a", *count]
        status, text = self.scene.run("player", play, 40 * SLOWNESS)
        frames = sum(line.startswith("0,") for line in text.splitlines())
        self.assertEqual((0, 200), (status, frames), text[-2000:])
        self.assertGreater(self.before.lost, 100)
        # Only up: the player has left, and what the origin says to it ends here.
        wait_until(lambda: not self.lost_in_proxy()[0], self.lost_in_proxy, 5, 0.2)

    def test_a_caller_of_a_proxy_that_died_ends_in_time_and_comes_back_through_another(self):
        origin = srt.Origin(self.scene, free_port, wait_until)
        first, second = (self.proxy(origin.port, name=f"proxy-{i}") for i in range(2))
        address = Impaired(self.scene, first.srt)

        def call(streamid):
            caller = srt.Caller("127.0.0.1", address.port, streamid)
            self.scene.at_end(caller.close)
            return caller

        def again(streamid):
            """As an encoder does: until it is let in."""
            try:
                return call(streamid)
            except srt.Refused:
                return None

        publisher, player = call("#!::r=live/a,m=publish"), call("#!::r=live/a")
        publisher.send(packets(1)[0])
        self.assertTrue(player.receive())
        began = time.monotonic()
        first.process.kill()
        address.move(second.srt)
        for caller in (publisher, player):
            wait_until(lambda: not caller.connected(), "it has noticed", 8 * SLOWNESS)
        noticed = time.monotonic() - began
        self.assertLess(noticed, 6.5 * SLOWNESS, "libsrt's own five seconds, and no more")
        publisher = wait_until(lambda: again("#!::r=live/a,m=publish"), "it publishes again", 6, 0.2)
        player = wait_until(lambda: again("#!::r=live/a"), "it plays again", 6, 0.2)
        for packet in packets(20):
            publisher.send(packet)
            self.assertEqual(packet, player.receive())
        self.assertGreater(second.metric("weir_srt_ignored_total", "stray"), 0, "its old packets came there")


class WithWebRtc(scene.SceneTest):
    def origin(self, name="webrtc-origin"):
        port = free_port()
        words = ["/usr/bin/python3", os.path.join(HERE, "support/webrtc_origin.py"), port]
        process = self.scene.start(name, words)
        wait_until(lambda: accepts(port), f"{name} listens", 20 * SLOWNESS)
        return port, process

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
        port, _ = self.origin()
        far = ImpairedSignalling(self.scene, port, seed=2, **behind)
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
            port, webrtc = self.origin(f"webrtc-{i}")
            sides.append((srt.Origin(self.scene, free_port, wait_until, f"srt-{i}"), webrtc, port))
        rtmp = Origin(self.scene)
        srt_port = free_port()
        upstreams = {f"o{i}": {"srt": side[0].port, "http": side[2]} for i, side in enumerate(sides)}
        upstreams["rtmp"] = {"rtmp": rtmp.rtmp}
        node = self.proxy(upstreams, {"listen.srt": f"127.0.0.1:{srt_port}", "origin.eject": "60s"})

        def caller(streamid):
            made = srt.Caller("127.0.0.1", srt_port, streamid)
            self.scene.at_end(made.close)
            return made

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
        for process in (hung[0].process, hung[1]):
            process.signal(signal.SIGSTOP)
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
        for process in (hung[0].process, hung[1]):
            process.signal(signal.SIGCONT)


if __name__ == "__main__":
    scene.main()
