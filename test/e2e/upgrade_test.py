"""Another process takes the place of one that runs: what it knows, what it is given, and what becomes of a failure."""

import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt
from support.crowd import Crowd, RtmpViewer
from support.origin import Origin, place_of
from support.scene import SLOWNESS, accepts, free_port, wait_until
from support.upgradable import Upgradable

GRACE = "4s"


class UpgradeTest(scene.SceneTest):
    def test_a_new_process_that_cannot_start_changes_nothing(self):
        node = Upgradable(self.scene, "proxy", options={"log.level": "info"})
        old = node.pid()
        node.write(log__level="loud")
        node.signal(signal.SIGUSR2)
        wait_until(lambda: node.metric("weir_upgrade_failures_total") == 1, "it is told", 10 * SLOWNESS)
        self.assertRegex(node.log(), r"no upgrade, this process goes on  error=.*log\.level: ")
        self.assertEqual(old, node.serving_pid())
        node.write(log__level="info")
        self.assertNotEqual(old, node.upgrade())

    def test_streams_stay_at_their_origins_and_origins_stay_registered(self):
        origins = [Origin(self.scene, f"origin{i}") for i in range(3)]
        state = self.scene.path("state")
        node = Upgradable(
            self.scene,
            "proxy",
            options={"upgrade.grace": GRACE, "route.expire": "1s", "state.path": state, "log.level": "info"},
        )
        for origin in origins:
            self.assertEqual(200, node.register(origin)[0])
        clip = media.encode_clip(self.scene)
        names = [f"s{i}" for i in range(6)]
        for name in names:
            media.publish(self.scene, clip, node.rtmp_url(name), name=f"publisher-{name}")
        places = {name: place_of(origins, name) for name in names}
        crowd = Crowd(self.scene)
        nobody = crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", "nobody"))
        wait_until(lambda: node.metric("weir_routes") == 7, "a route to what nobody publishes", 10 * SLOWNESS)
        crowd.drop(nobody)
        node.upgrade()
        self.assertEqual(3, node.metric("weir_upstreams", 'state="live"'))
        # The publishers are the old process's: it tells of their routes, or they were forgotten as well.
        wait_until(lambda: node.metric("weir_routes") == 6, "the unused route is forgotten", 10 * SLOWNESS)
        viewers = {name: crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", name)) for name in names}
        for name, viewer in viewers.items():
            wait_until(viewer.playing, viewer.describe, 10 * SLOWNESS)
            self.assertEqual(1, places[name].players(name), "the viewer is where the stream is")
        wait_until(lambda: not node.alive(node.pids[0]), "the old process has ended", 20 * SLOWNESS)
        self.assertEqual(1, node.metric("weir_state_kept"), "the new process keeps the state")

    def test_sessions_over_udp_go_on_while_they_drain_and_new_ones_begin(self):
        origin = srt.Origin(self.scene)
        port = free_port()
        node = Upgradable(
            self.scene,
            "proxy",
            upstreams={"o": {"srt": origin.port}},
            options={"listen.srt": f"127.0.0.1:{port}", "upgrade.grace": GRACE, "log.level": "info"},
        )

        publisher = srt.call(self.scene, port, "#!::r=live/a,m=publish")
        player = srt.call(self.scene, port, "#!::r=live/a")
        packets = [bytes([i & 0xFF, i >> 8]) * 650 for i in range(2000)]

        def send():
            for packet in packets:
                publisher.send(packet)
                time.sleep(0.001)

        sender = threading.Thread(target=send)
        sender.start()
        received = [player.receive() for _ in range(100)]
        began = time.monotonic()
        old = node.pid()
        node.upgrade()
        later = srt.call(self.scene, port, "#!::r=live/b,m=publish")
        viewer = srt.call(self.scene, port, "#!::r=live/b")
        later.send(b"b" * 100)
        self.assertEqual(b"b" * 100, viewer.receive())
        while len(received) < len(packets) and (packet := player.receive()):
            received.append(packet)
        took = time.monotonic() - began
        sender.join()
        self.assertLess(took, 4, "all came before the drain's end")
        self.assertTrue(packets == received, f"{len(received)} of {len(packets)} packets arrived")
        self.assertEqual(2, node.metric("weir_connections"), "the new process has the new sessions alone")
        wait_until(lambda: not node.alive(old), "the old process has ended", 15 * SLOWNESS)
        later.send(b"c" * 100)
        self.assertEqual(b"c" * 100, viewer.receive())

    def test_ports_that_the_new_configuration_moved_are_opened_and_let_go(self):
        node = Upgradable(self.scene, "edge", options={"log.level": "info"})
        old_http, old_pid = node.http, node.pid()
        node.http = free_port()
        node.write(listen__http=f"127.0.0.1:{node.http}")
        node.upgrade()
        wait_until(lambda: accepts(node.http) and not accepts(old_http), "the port has moved", 10 * SLOWNESS)
        wait_until(lambda: not node.alive(old_pid), "nobody was left to drain", 10 * SLOWNESS)


if __name__ == "__main__":
    scene.main()
