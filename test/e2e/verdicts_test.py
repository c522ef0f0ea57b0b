"""Clients are told the truth, and the end of one side is the end of the other."""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, established, request
from support.origin import Origin
from support.scene import SLOWNESS, wait_until
from support.session import Session, clip_tags

START_TIMEOUT = 2.0
ONE_SECOND = 1.0 * SLOWNESS


class Verdicts(scene.SceneTest):
    def setUp(self):
        self.crowd = Crowd(self.scene)

    def refusals(self, edge, app, within):
        began = time.monotonic()
        rtmp = self.crowd.add(RtmpViewer("127.0.0.1", edge.rtmp, app, "nothing"))
        http = self.crowd.add(FlvViewer("127.0.0.1", edge.http, f"/{app}/nothing.flv"))
        wait_until(
            lambda: rtmp.refused() and http.refused(), lambda: [rtmp.describe(), http.describe()], within
        )
        self.assertIn("NetStream.Play.StreamNotFound", rtmp.client.codes)
        self.assertNotIn("NetStream.Play.Start", rtmp.client.codes)
        self.assertEqual(404, http.http_status)
        return time.monotonic() - began

    def test_a_stream_that_does_not_exist_is_said_not_to(self):
        origin = Origin(self.scene)
        proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": {"rtmp": origin.rtmp}},
            options={"health.check": "off"},  # connections are counted
        )
        edge = Weir(
            self.scene,
            "edge",
            upstreams={"proxy": {"rtmp": proxy.rtmp}},
            options={"edge.start_timeout": f"{START_TIMEOUT:g}s"},
        )
        with self.subTest("an origin that says so: at once, and then from memory"):
            self.assertLess(self.refusals(edge, "strict", 5), START_TIMEOUT)
            accepted = origin.accepted()
            self.assertLess(self.refusals(edge, "strict", 5), 0.5 * SLOWNESS)
            self.assertEqual(accepted, origin.accepted(), "the negative cache did not shield the origin")
        with self.subTest("an origin that stays silent: within edge.start_timeout"):
            self.refusals(edge, "live", START_TIMEOUT + ONE_SECOND)
        with self.subTest("the proxy passes the origin's own words on"):
            Session(self.scene, "127.0.0.1", proxy.rtmp, "strict", "nothing").code(
                "NetStream.Play.StreamNotFound", 5
            )
        with self.subTest("an edge without upstream"):
            alone = Weir(self.scene, "edge", "alone", options={"edge.start_timeout": f"{START_TIMEOUT:g}s"})
            self.refusals(alone, "live", START_TIMEOUT + ONE_SECOND)

    def test_a_viewer_who_waits_gets_the_stream_when_it_comes(self):
        edge = Weir(self.scene, "edge")
        early = [
            self.crowd.add(RtmpViewer("127.0.0.1", edge.rtmp, "live", "a")),
            self.crowd.add(FlvViewer("127.0.0.1", edge.http, "/live/a.flv")),
        ]
        wait_until(lambda: early[0].client.asked and not early[1].out, "both have asked", 5)
        media.publish(self.scene, media.encode_clip(self.scene), edge.rtmp_url("a"))
        wait_until(
            lambda: all(v.playing(5) for v in early), lambda: [v.describe() for v in early], 8 * SLOWNESS
        )

    def test_a_second_publisher_is_refused_and_the_first_stays(self):
        origin = Origin(self.scene)
        proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": origin.rtmp}})
        forwarding = Weir(self.scene, "edge", "forwarding", upstreams={"proxy": {"rtmp": proxy.rtmp}})
        alone = Weir(self.scene, "edge", "alone")
        clip = media.encode_clip(self.scene)
        for node, stream in ((proxy, "p"), (alone, "e"), (forwarding, "f")):
            with self.subTest(node.name):
                first = media.publish(self.scene, clip, node.rtmp_url(stream))
                viewer = self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", stream))
                wait_until(lambda: viewer.playing(30), viewer.describe, 10 * SLOWNESS)
                second = Session(self.scene, "127.0.0.1", node.rtmp, "live", stream, publish=True)
                second.code("NetStream.Publish.BadName", 5 * SLOWNESS)
                self.assertNotIn("NetStream.Publish.Start", second.client.codes)
                frames = len(viewer.frames)
                wait_until(lambda: len(viewer.frames) > frames + 25, viewer.describe, 5)
                self.assertTrue(first.running())
        with self.subTest("a publisher who is refused at the origin is refused at the edge that forwards"):
            second = Session(self.scene, "127.0.0.1", forwarding.rtmp, "live", "p", publish=True)
            second.code("NetStream.Publish.BadName", 5 * SLOWNESS)

    def test_no_origin_at_all_is_a_refusal_not_a_silence(self):
        proxy = Weir(
            self.scene, "proxy", upstreams={"gone": {"rtmp": scene.free_port(), "http": scene.free_port()}}
        )
        for publish in (True, False):
            session = Session(self.scene, "127.0.0.1", proxy.rtmp, "live", "a", publish=publish)
            session.until(lambda: len(session.client.codes) > 1 or session.ended, "a verdict", 5 * SLOWNESS)
            self.assertNotIn("NetStream.Publish.Start", session.client.codes)
            self.assertNotIn("NetStream.Play.Start", session.client.codes)
            self.assertEqual(2, len(session.client.codes), session.client.codes)
        status, _, _ = request(proxy.http, "GET", "/live/a.flv")
        self.assertIn(status, (502, 503, 504))

    def test_the_proxy_hands_http_through_as_it_is(self):
        origin = Origin(self.scene)
        with open(os.path.join(origin.directory, "files", "f.txt"), "w") as file:
            file.write("0123456789")
        proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": origin.rtmp, "http": origin.http}})
        status, headers, body = request(proxy.http, "GET", "/files/f.txt?token=1")
        self.assertEqual((200, b"0123456789", "text/plain"), (status, body, headers["Content-Type"]))
        self.assertIn("ETag", headers)
        status, headers, body = request(proxy.http, "GET", "/files/f.txt", headers={"Range": "bytes=2-4"})
        self.assertEqual((206, b"234", "bytes 2-4/10"), (status, body, headers["Content-Range"]))
        etag = headers["ETag"]
        self.assertEqual(304, request(proxy.http, "GET", "/files/f.txt", headers={"If-None-Match": etag})[0])
        self.assertEqual(404, request(proxy.http, "GET", "/files/none.flv")[0])
        self.assertEqual((200, b""), request(proxy.http, "HEAD", "/files/f.txt")[::2])

    def test_the_end_of_either_side_is_the_end_of_the_other(self):
        origin = Origin(self.scene)
        proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": origin.rtmp}})
        tags = clip_tags(media.encode_clip(self.scene))
        publisher = Session(self.scene, "127.0.0.1", proxy.rtmp, "live", "a", publish=True)
        publisher.until(publisher.permitted, "permission").send_clip(tags, 0.5)
        self.assertIn("a", origin.published())
        with self.subTest("a viewer leaves"):
            viewer = self.crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", "a"))
            wait_until(lambda: origin.players("a") == 1, "the viewer is at the origin")
            self.crowd.drop(viewer)
            wait_until(lambda: origin.players("a") == 0, "its connection at the origin ends", ONE_SECOND)
        with self.subTest("a viewer half-closes"):
            viewer = self.crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", "a"))
            wait_until(lambda: origin.players("a") == 1, "the viewer is at the origin")
            self.crowd.half_close(viewer)
            wait_until(lambda: origin.players("a") == 0 and viewer.closed, "both ends are closed", ONE_SECOND)
        with self.subTest("a publisher half-closes"):
            publisher.socket.shutdown(socket.SHUT_WR)
            wait_until(lambda: "a" not in origin.published(), "it is gone at the origin", ONE_SECOND)
            publisher.until(lambda: publisher.ended, "its connection is closed", ONE_SECOND)
        with self.subTest("a publisher vanishes with a reset"):
            publisher = Session(self.scene, "127.0.0.1", proxy.rtmp, "live", "b", publish=True)
            publisher.until(publisher.permitted, "permission").send_clip(tags, 0.2)
            publisher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            publisher.socket.close()
            wait_until(lambda: "b" not in origin.published(), "it is gone at the origin", ONE_SECOND)
        with self.subTest("the origin dies"):
            publisher = Session(self.scene, "127.0.0.1", proxy.rtmp, "live", "c", publish=True)
            publisher.until(publisher.permitted, "permission").send_clip(tags, 0.2)
            viewer = self.crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", "c"))
            wait_until(lambda: origin.players("c") == 1, "the viewer is at the origin")
            origin.process.kill()
            publisher.until(lambda: publisher.ended, "the publisher is told", ONE_SECOND)
            wait_until(lambda: viewer.closed, "the viewer is told", ONE_SECOND)
        wait_until(lambda: established(proxy.rtmp) == 0, "nothing is left at the proxy")

    def test_an_http_viewer_who_leaves_ends_the_request_upstream(self):
        origin = Weir(self.scene, "edge", "origin")
        proxy = Weir(self.scene, "proxy", upstreams={"origin": origin.as_upstream()})
        media.publish(self.scene, media.encode_clip(self.scene), origin.rtmp_url("a"))
        viewer = self.crowd.add(FlvViewer("127.0.0.1", proxy.http, "/live/a.flv"))
        wait_until(lambda: viewer.playing(5), viewer.describe)
        self.assertEqual(1, established(origin.http))
        self.crowd.drop(viewer)
        wait_until(lambda: established(origin.http) == 0, "the request upstream ends", ONE_SECOND)


if __name__ == "__main__":
    scene.main()
