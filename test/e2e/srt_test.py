"""SRT through the proxy: publishers and players of libsrt, its tools and ffmpeg, and origins on libsrt."""

import hashlib
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt
from support.impair import Impaired
from support.node import Weir
from support.scene import SLOWNESS, free_port, wait_until

SECRET = "correct horse battery"
RESOURCE, BAD_SECRET = 3, 10  # of libsrt's rejection codes


def stream(count, seed=1):
    """`count` packets that are all different."""
    return [hashlib.sha256(b"%d %d" % (seed, i)).digest() * 41 + bytes(4) for i in range(count)]


class Srt(scene.SceneTest):
    def proxy(self, *origins, options=None, host="127.0.0.1"):
        upstreams = {f"o{i}": {"host": o.host, "srt": o.port} for i, o in enumerate(origins)}
        self.port = free_port()
        at = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        return Weir(self.scene, "proxy", upstreams=upstreams, options={"listen.srt": at, **(options or {})})

    def origin(self, name="srt-origin", **options):
        return srt.Origin(self.scene, name, **options)

    def caller(self, streamid, port=None, **options):
        return srt.call(self.scene, port or self.port, streamid, **options)

    def publish(self, name="live/cam", **options):
        return self.caller(f"#!::r={name},m=publish", **options)

    def refusal(self, streamid, **options):
        with self.assertRaises(srt.Refused) as refused:
            self.caller(streamid, **options)
        return refused.exception

    def passes(self, publisher, player, count=600):
        """All that is published arrives, unchanged and in order."""
        packets = stream(count)

        def send():
            for packet in packets:
                publisher.send(packet)
                time.sleep(0.001)

        sender = threading.Thread(target=send)
        sender.start()
        received = []
        while len(received) < len(packets) and (packet := player.receive()):
            received.append(packet)
        sender.join()
        self.assertEqual(len(packets), len(received))
        self.assertTrue(packets == received, "the bytes differ")

    def test_every_packet_arrives_unchanged_with_and_without_encryption(self):
        for secret in (None, SECRET):
            with self.subTest(secret):
                origin = self.origin(passphrase=secret)
                proxy = self.proxy(origin)
                publisher = self.publish(passphrase=secret)
                player = self.caller("#!::r=live/cam", passphrase=secret)
                self.passes(publisher, player)
                self.assertEqual(1, proxy.metric("weir_viewers", 'protocol="srt"'))
                publisher.close()
                # SHUTDOWN passes through, from the publisher to the origin and on to the player.
                wait_until(lambda: "publish ended" in origin.log(), "the origin hears the end")
                wait_until(lambda: not player.connected(), "the player hears the end")
                wait_until(
                    lambda: proxy.metric("weir_session_ends_total", 'reason="closed"') == 2,
                    "both sessions have ended",
                )
                self.assertEqual(0, proxy.metric("weir_connections"))

    def test_the_tools_of_libsrt_publish_and_play(self):
        secret = SECRET.replace(" ", "_")
        origin = self.origin(passphrase=secret)
        self.proxy(origin)
        url = f"srt://127.0.0.1:{self.port}?passphrase={secret}&latency=400&streamid="
        expected, path = srt.tools_pass(self.scene, origin, url, stream(300), 0.003)
        with open(path, "rb") as file:
            self.assertTrue(expected.startswith(file.read()), "the bytes differ")

    def test_ffmpeg_publishes_and_plays(self):
        origin = self.origin()
        self.proxy(origin)
        clip = media.encode_clip(self.scene, seconds=4)
        url = f"srt://127.0.0.1:{self.port}?pkt_size=1316&streamid="
        send = [*media.FFMPEG, "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "mpegts"]
        self.scene.start("publisher", [*send, url + "#!::h=a.org,r=live/cam,m=publish"])
        wait_until(lambda: "publish live/cam" in origin.log(), "ffmpeg publishes", 10 * SLOWNESS)
        status, text = self.scene.run(
            "player",
            [*media.FFMPEG, "-i", url + "#!::r=live/cam,h=a.org", "-frames:v", "50", "-f", "framemd5", "-"],
            30 * SLOWNESS,
        )
        self.assertEqual(0, status, text)
        self.assertGreaterEqual(sum(line.startswith("0,") for line in text.splitlines()), 50, text)

    def test_one_stream_by_all_its_names(self):
        origins = [self.origin(f"srt-origin{i}") for i in range(3)]
        self.proxy(*origins)
        self.publish()
        for streamid in ("#!::r=live/cam", "#!::m=request,x=y,r=live%2Fcam", "read:live/cam"):
            with self.subTest(streamid):
                try:
                    self.caller(streamid)
                except srt.Refused as refused:
                    self.assertIn("%2F", streamid, refused)  # this origin does not decode

    def test_what_the_origin_rejects_is_rejected_with_its_code(self):
        origin = self.origin(passphrase=SECRET)
        proxy = self.proxy(origin)
        self.publish(passphrase=SECRET)
        self.assertEqual(1409, self.refusal("#!::r=live/cam,m=publish", passphrase=SECRET).code)
        self.assertEqual(1404, self.refusal("#!::r=live/none", passphrase=SECRET).code)
        self.assertEqual(BAD_SECRET, self.refusal("#!::r=live/cam", passphrase="not the right one").code)
        # And what names no stream, by us.
        self.assertEqual(1404, self.refusal("#!::m=publish").code)
        self.assertEqual(1400, self.refusal("#!::r=live/../cam").code)
        self.assertEqual(2, proxy.metric("weir_srt_refused_total"))

    def test_a_dead_origin_is_passed_over_and_without_any_the_caller_is_told(self):
        origins = [self.origin(f"srt-origin{i}") for i in range(2)]
        self.proxy(*origins, options={"origin.eject": "1s"})
        self.publish()
        held = wait_until(
            lambda: next((origin for origin in origins if "publish live/cam" in origin.log()), None),
            "an origin has it",
        )
        (other,) = [origin for origin in origins if origin is not held]
        player = self.caller("#!::r=live/cam")
        held.process.kill()
        wait_until(lambda: not player.connected(), "its player is told", 3 * SLOWNESS)
        self.publish()
        wait_until(lambda: "publish live/cam" in other.log(), "the other origin takes it")
        other.process.kill()
        refused = self.refusal("#!::r=live/cam")
        self.assertEqual((RESOURCE, "Resource allocation failure"), (refused.code, refused.text))

    def test_an_origin_that_hangs_delays_nobody_else(self):
        origins = [self.origin(f"srt-origin{i}") for i in range(2)]
        self.proxy(*origins, options={"origin.eject": "60s"})
        for i in range(12):
            self.publish(f"live/{i}")
        hung, alive = origins
        wait_until(lambda: sum(o.log().count("publish live/") for o in origins) == 12, "all publish")
        ours = [i for i in range(12) if f"publish live/{i}\n" in alive.log()]
        self.assertTrue(ours, "no stream went to the second origin")
        hung.process.signal(signal.SIGSTOP)
        waits = []

        def fresh(name):
            began = time.monotonic()
            self.publish(name)
            waits.append(time.monotonic() - began)

        callers = [threading.Thread(target=fresh, args=(f"live/new{i}",)) for i in range(10)]
        for caller in callers:
            caller.start()
        for i in ours:  # meanwhile
            began = time.monotonic()
            self.caller(f"#!::r=live/{i}")
            self.assertLess(time.monotonic() - began, 0.5 * SLOWNESS)
        for caller in callers:
            caller.join()
        self.assertEqual(10, len(waits), "all found the origin that answers")
        self.assertLess(max(waits), 2.5 * SLOWNESS)

    def test_silence_ends_both_sides(self):
        origin = self.origin()
        proxy = self.proxy(origin, options={"srt.idle_timeout": "1s"})
        publisher = ["srt-live-transmit", "-a:no", f"udp://127.0.0.1:{free_port()}?mode=listener",
                     f"srt://127.0.0.1:{self.port}?streamid=#!::r=live/cam,m=publish"]
        process = self.scene.start("transmit", publisher)
        wait_until(lambda: "publish live/cam" in origin.log(), "it publishes")
        player = self.caller("#!::r=live/cam")
        process.signal(signal.SIGSTOP)
        wait_until(lambda: "publish ended" in origin.log(), "the origin is told", 4 * SLOWNESS)
        wait_until(lambda: not player.connected(), "so is the player", 4 * SLOWNESS)
        self.assertEqual(1, proxy.metric("weir_session_ends_total", 'reason="timeout"'))

    def test_over_ipv6(self):
        origin = self.origin(host="::1")
        self.proxy(origin, host="::1")
        publisher = self.publish(host="::1")
        self.passes(publisher, self.caller("#!::r=live/cam", host="::1"), 100)

    def test_a_bad_network_is_made_no_worse(self):
        origin = self.origin()
        proxy = self.proxy(origin)
        network = Impaired(self.scene, self.port, loss=0.05, double=0.05, swap=0.05)
        publisher = self.publish(port=network.port, latency=2000, timeout=10000)
        player = self.caller("#!::r=live/cam", port=network.port, latency=2000, timeout=10000)
        self.passes(publisher, player)
        self.assertGreater(min(network.lost, network.doubled, network.swapped), 10)
        joined = lambda: sum(size for size, head in list(network.went_up) if head[12:16] != bytes(4))
        wait_until(lambda: proxy.metric("weir_relayed_bytes_total", 'direction="up",protocol="srt"')
                   >= joined() - 200, "every packet that came was relayed")

    def test_corruption_and_heavy_loss_end_nothing_else(self):
        origin = self.origin()
        proxy = self.proxy(origin)
        publisher = self.publish()
        player = self.caller("#!::r=live/cam")
        network = Impaired(self.scene, self.port, loss=0.2, double=0.1, swap=0.25, corrupt=0.1)
        noisy = []
        for i in range(5):
            try:
                noisy.append(self.publish(f"live/noisy{i}", port=network.port, timeout=2000))
            except srt.Refused:
                continue  # its streamid was hit
        for caller in noisy:
            for packet in stream(100):
                try:
                    caller.send(packet)
                except OSError:
                    break
        self.passes(publisher, player, 200)
        self.assertTrue(proxy.process.running())


if __name__ == "__main__":
    scene.main()
