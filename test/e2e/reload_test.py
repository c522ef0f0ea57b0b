"""The configuration is read again, by SIGHUP and by the API: what changed applies, and no session notices."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import request
from support.origin import Origin
from support.scene import SLOWNESS, accepts, free_port, wait_until
from support.upgradable import Upgradable


class ReloadTest(scene.SceneTest):
    def setUp(self):
        self.origin = Origin(self.scene)
        self.clip = media.encode_clip(self.scene)
        media.publish(self.scene, self.clip, self.origin.url("a"))
        wait_until(lambda: "a" in self.origin.published(), "the stream is there", 10 * SLOWNESS)

    def node(self, role="proxy", **options):
        return Upgradable(
            self.scene, role, upstreams={"o1": self.origin.as_upstream()}, options={"log.level": "info", **options}
        )

    def viewer(self, node, port=None):
        """By RTMP; of an edge by HTTP-FLV, which the origin does not speak."""
        if node.role == "edge":
            viewer = FlvViewer("127.0.0.1", port or node.http, "/live/a.flv")
        else:
            viewer = RtmpViewer("127.0.0.1", port or node.rtmp, "live", "a")
        Crowd(self.scene).add(viewer)
        wait_until(viewer.playing, viewer.describe, 10 * SLOWNESS)
        return viewer

    def assert_plays_on(self, viewer):
        frames = len(viewer.frames)
        wait_until(lambda: len(viewer.frames) > frames + 25, viewer.describe, 10 * SLOWNESS)
        self.assertIsNone(viewer.closed)
        self.assertLess(viewer.gap(), 2.0)

    def test_a_bad_file_is_refused_whole_and_says_why(self):
        node = self.node()
        viewer = self.viewer(node)
        node.write(log__level="debug", limits__connections="many")
        status, answer = node.ask_reload()
        self.assertEqual(400, status)
        self.assertRegex(answer["error"], r"proxy\.conf:\d+: limits\.connections: ")
        self.assertEqual(1, node.metric("weir_reload_failures_total"))
        self.assertEqual(0, node.metric("weir_config_last_reload_successful"))
        node.signal(signal.SIGHUP)
        wait_until(lambda: node.metric("weir_reload_failures_total") == 2, "SIGHUP is refused too")
        self.assertIn("configuration refused, nothing has changed", node.log())
        self.assertNotIn(" D ", node.log())

        node.write(limits__connections="100")
        self.assertEqual(["limits.connections", "log.level"], node.ask_reload()[1]["changed"])
        self.assertEqual(1, node.metric("weir_config_last_reload_successful"))
        self.assert_plays_on(viewer)

    def test_a_port_that_cannot_be_had_changes_nothing(self):
        node = self.node()
        node.write(listen__http=f"127.0.0.1:{self.origin.rtmp}", listen__rtmp=f"127.0.0.1:{free_port()}")
        status, answer = node.ask_reload()
        self.assertEqual(400, status)
        self.assertIn("listen.http: cannot listen on", answer["error"])
        self.viewer(node)
        self.assertTrue(accepts(node.rtmp))

    def test_listeners_move_come_and_go_and_sessions_stay(self):
        for role, moved, left in (("proxy", "rtmp", "http"), ("edge", "http", "rtmp")):
            with self.subTest(role):
                node = self.node(role)
                viewer = self.viewer(node)
                old = {"rtmp": node.rtmp, "http": node.http}
                port, api = free_port(), free_port()
                node.options[f"listen.{moved}"] = f"127.0.0.1:{port}"
                node.options[f"listen.{left}"] = ""
                node.write(listen__api=f"127.0.0.1:{api}")
                status, answer = node.ask_reload()
                self.assertEqual((200, ["listen.api", "listen.http", "listen.rtmp"]), (status, answer["changed"]))
                wait_until(lambda: not any(map(accepts, old.values())), "the old ports are closed")
                self.assertTrue(accepts(api))
                self.viewer(node, port)
                # From one address to all, of one port.
                node.options[f"listen.{moved}"] = f"0.0.0.0:{port}"
                node.options[f"listen.{left}"] = f"127.0.0.1:{old[left]}"
                node.write()
                self.assertEqual(200, node.ask_reload()[0])
                wait_until(lambda: accepts(port, "127.0.0.2"), "every address answers")
                self.assertTrue(accepts(old[left]))
                self.assert_plays_on(viewer)

    def test_the_system_listener_moves_and_the_answer_arrives(self):
        node = self.node()
        old, node.system = node.system, free_port()
        node.write(listen__system=f"127.0.0.1:{node.system}")
        node.system, new = old, node.system
        status, answer = node.ask_reload()
        self.assertEqual((200, ["listen.system"]), (status, answer["changed"]))
        wait_until(lambda: not accepts(old), "the old listener is closed")
        node.system = new
        node.write(api__token="secret")
        self.assertEqual(200, node.ask_reload()[0])
        self.assertEqual(401, node.ask_reload()[0])

    def test_who_may_play_changes_for_those_who_come_new(self):
        for role in ("proxy", "edge"):
            with self.subTest(role):
                node = self.node(role)
                viewer = self.viewer(node)
                node.write(access__play__require="signature")
                status, answer = node.ask_reload()
                self.assertEqual(400, status)
                self.assertIn("access.play.require: needs access.sign.secret", answer["error"])
                node.write(access__play__require=None, access__play__deny="loopback")
                status, answer = node.ask_reload()
                self.assertEqual((200, ["access.play.deny"]), (status, answer["changed"]))
                self.assertEqual(403, request(node.http, "GET", "/live/a.flv")[0])
                self.assert_plays_on(viewer)
                node.write(access__play__deny=None)
                self.assertEqual(200, node.ask_reload()[0])
                self.viewer(node)

    def test_upstreams_come_and_go(self):
        second = Origin(self.scene, "second")
        node = self.node()
        viewer = self.viewer(node)
        ports = second.as_upstream()
        node.write(
            **{f"upstream__o2__{key}": value for key, value in {"host": "127.0.0.1", **ports}.items()},
            upstream__o1__enabled="off",
        )
        status, answer = node.ask_reload()
        self.assertEqual(200, status, answer)
        self.assertIn("upstream.o1.enabled", answer["changed"])
        media.publish(self.scene, self.clip, node.rtmp_url("b"), name="publisher-b")
        wait_until(lambda: "b" in second.published(), "the new upstream gets what is new", 10 * SLOWNESS)
        self.assertNotIn("b", self.origin.published())
        self.assert_plays_on(viewer)

    def test_limits_apply_to_who_comes_and_what_needs_a_restart_is_named(self):
        node = self.node()
        viewer = self.viewer(node)
        node.write(limits__connections=1, workers=1, node__id="other")
        status, answer = node.ask_reload()
        self.assertEqual(200, status)
        self.assertEqual(["limits.connections"], answer["changed"])
        self.assertEqual(["node.id", "workers"], answer["needs_restart"])
        refused = Crowd(self.scene).add(RtmpViewer("127.0.0.1", node.rtmp, "live", "a"))
        wait_until(lambda: refused.closed, "one too many is closed")
        self.assertEqual(1, node.metric("weir_connections_refused_total"))
        status, answer = node.ask_reload()
        self.assertEqual(([], ["node.id", "workers"]), (answer["changed"], answer["needs_restart"]))
        self.assert_plays_on(viewer)


if __name__ == "__main__":
    scene.main()
