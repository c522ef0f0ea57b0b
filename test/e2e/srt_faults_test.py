"""SRT through a bad network on both sides of the proxy, and beyond the proxy's own death."""

import collections
import hashlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt
from support.impair import BAD, WORST, Impaired
from support.node import Weir
from support.scene import SLOWNESS, free_port, wait_until

HANDSHAKE, SHUTDOWN = b"\x80\0", b"\x80\5"
SRT_DESTINATION = slice(12, 16)


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
        self.origin = srt.Origin(self.scene)
        self.behind = Impaired(self.scene, self.origin.port, seed=2, **network)
        self.node = self.proxy(self.behind.port)
        self.before = Impaired(self.scene, self.node.srt, seed=1, **network)

    def lost_in_proxy(self):
        """Packets of joined clients that reached the proxy and did not leave it at its other side. What is said in
        handshakes is the proxy's own business, and what a network delivers behind a SHUTDOWN comes after the end."""

        def joined(heads):
            ended, found = {bytes(4)}, collections.Counter()
            for size, head in heads:
                to = head[SRT_DESTINATION]
                if head[:2] == SHUTDOWN:
                    ended.add(to)
                elif head[:2] != HANDSHAKE and to not in ended:
                    found[size, head] += 1
            return found

        up = joined(self.before.went_up) - joined(self.behind.came_up)
        down = joined(self.behind.went_down) - joined(self.before.came_down)
        return up, down

    def test_the_tools_of_libsrt_recover_and_the_proxy_adds_no_loss(self):
        self.both_sides(**BAD)
        url = f"srt://127.0.0.1:{self.before.port}?latency=3000&tlpktdrop=false&conntimeo=10000&streamid="
        expected, path = srt.tools_pass(self.scene, self.origin, url, packets(2000), 0.001, starts=15, arrives=20)
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
        origin = srt.Origin(self.scene)
        first, second = (self.proxy(origin.port, name=f"proxy-{i}") for i in range(2))
        address = Impaired(self.scene, first.srt)

        def again(streamid):
            """As an encoder does: until it is let in."""
            try:
                return srt.call(self.scene, address.port, streamid)
            except srt.Refused:
                return None

        publisher = srt.call(self.scene, address.port, "#!::r=live/a,m=publish")
        player = srt.call(self.scene, address.port, "#!::r=live/a")
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


if __name__ == "__main__":
    scene.main()
