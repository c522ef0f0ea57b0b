"""WebRTC through the proxy: Chromium publishes and watches, aiortc is the origin."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.browser import Page
from support.node import Weir, request
from support.origin import WebrtcOrigin
from support.scene import free_port, wait_until
from support.webrtc_offer import OFFER, SDP

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


class WebRtc(scene.SceneTest):
    def setUp(self):
        self.origin = WebrtcOrigin(self.scene)
        self.proxies = [self.proxy(f"proxy-{i}") for i in range(2)]

    def proxy(self, name):
        media, api = free_port(), free_port()
        options = {
            "listen.webrtc": f"127.0.0.1:{media}",
            "listen.api": f"127.0.0.1:{api}",
            "webrtc.candidates": "127.0.0.1",
        }
        node = Weir(self.scene, "proxy", name, upstreams={"o": self.origin.as_upstream()}, options=options)
        node.media, node.api = media, api
        return node

    def page(self, name, role, path, port=None, **more):
        url = f"http://127.0.0.1:{port or self.proxies[0].http}{path}"
        return Page(self.scene, name, "webrtc_page.html", role=role, url=url, **more)

    def test_a_browser_publishes_and_others_watch_over_udp_and_over_tcp(self):
        publisher = self.page("publisher", "publish", "/whip/live/cam", only="udp")
        publisher.wait_for("sent", 30)
        for only in ("udp", "tcp"):
            viewer = self.page(f"viewer-{only}", "play", "/live/cam/whep", only=only)
            seen = viewer.wait_for("decoded", 60)
            self.assertEqual(0, seen["lost"], seen)
            self.assertEqual(only, seen["protocol"])
            viewer.wait_for("audio", 50)
            self.assertEqual(200, viewer.stop())
        self.assertEqual(200, publisher.stop())
        self.assertEqual([], self.origin.state()["sessions"])
        proxy = self.proxies[0]
        self.assertGreater(proxy.metric("weir_webrtc_packets_total", 'direction="up"'), 100)
        self.assertGreater(proxy.metric("weir_webrtc_packets_total", 'direction="down"'), 100)
        for reason in ("late", "full", "malformed", "unsigned"):
            self.assertEqual(0, proxy.metric("weir_webrtc_dropped_total", f'"{reason}"'), reason)
        # Nothing but our own address was told to either side.
        for each in self.origin.state()["requests"]:
            for line in each["body"].splitlines():
                if line.startswith("a=candidate:"):
                    self.assertIn(" 127.0.0.1 9 typ host", line)

    def post(self, path, body=OFFER, headers=None, proxy=0):
        return request(self.proxies[proxy].http, "POST", path, body, headers={**SDP, **(headers or {})})

    def test_signalling_passes_as_it_is_but_for_addresses(self):
        path, secret = "/rtc/v1/whip/?app=live&stream=a", {"Authorization": "Bearer x"}
        status, headers, answer = self.post(path, headers=secret)
        self.assertEqual(201, status, answer)
        asked = self.origin.state()["requests"][-1]
        self.assertEqual(path, asked["target"])
        self.assertEqual("Bearer x", asked["headers"]["Authorization"])
        self.assertNotIn("198.51.100.7", asked["body"])
        candidates = [line for line in answer.decode().splitlines() if line.startswith("a=candidate:")]
        media = self.proxies[0].media
        self.assertEqual(2, len(candidates), candidates)
        self.assertIn(f" udp 2130706431 127.0.0.1 {media} typ host", candidates[0])
        self.assertIn(f" 127.0.0.1 {media} typ host tcptype passive", candidates[1])
        self.assertEqual('<stun:192.0.2.1>; rel="ice-server"', headers["Link"])
        self.assertRegex(headers["ETag"], '^"[0-9a-f]{12}"$')
        mapped = r"^/session/[0-9a-f]{12}\?weir_o=[a-z2-7]{13}&weir_s=[0-9a-f]{16}$"
        self.assertRegex(headers["Location"], mapped)

        # Any proxy takes what follows.
        fragment = "a=ice-ufrag:cLnT\r\na=ice-pwd:aClientsPasswordOf22++\r\nm=audio 9 X 0\r\na=mid:0\r\n"
        candidate = "a=candidate:1 1 udp 1 198.51.100.7 50124 typ host\r\n"
        for proxy in self.proxies:
            status, _, _ = request(
                proxy.http, "PATCH", headers["Location"], fragment + candidate, headers=FRAGMENT
            )
            self.assertEqual(204, status)
            asked = self.origin.state()["requests"][-1]
            self.assertEqual(headers["Location"].partition("?")[0], asked["target"])
            self.assertEqual(fragment, asked["body"])
        self.assertEqual(200, request(self.proxies[1].http, "DELETE", headers["Location"])[0])
        self.assertEqual(404, request(self.proxies[0].http, "DELETE", headers["Location"])[0])

    def test_the_port_of_srs_signals_too_and_candidates_trickle(self):
        api, http = self.proxies[0].api, self.proxies[1].http
        publisher = self.page("publisher", "publish", "/rtc/v1/whip/?app=live&stream=cam", port=api, trickle=1)
        sent = publisher.wait_for("sent", 30)
        self.assertEqual(f"127.0.0.1:{api}", sent["location"].split("/")[2])
        wait_until(lambda: len(publisher.latest["patches"]) > 1, "candidates followed the offer")
        self.assertEqual({204}, set(publisher.latest["patches"]))
        asked = self.origin.state()["requests"]
        self.assertIn("OPTIONS", {each["method"] for each in asked}, "the browser asked whether it may")
        fragments = [each["body"] for each in asked if each["method"] == "PATCH"]
        self.assertFalse([line for text in fragments for line in text.splitlines() if "a=candidate:" in line])
        # The page's other port shows the stream that came in here; SRS's own form of it, too.
        viewer = self.page(
            "viewer", "play", "/rtc/v1/play/", port=api, streamurl="webrtc://127.0.0.1/live/cam", only="udp"
        )
        self.assertEqual(0, viewer.wait_for("decoded", 40)["lost"])
        json_asked = json.loads(self.origin.state()["requests"][-1]["body"])
        self.assertEqual("webrtc://127.0.0.1/live/cam", json_asked["streamurl"])
        self.assertIn(" 127.0.0.1 9 typ host", json_asked["sdp"])
        self.assertEqual(200, viewer.stop())
        self.assertEqual(200, publisher.stop())
        left = [each["kind"] for each in self.origin.state()["sessions"]]
        self.assertEqual(["whep"], left, "SRS's JSON has no DELETE: the origin notices by itself")
        status, _, body = request(
            http, "POST", "/rtc/v1/play/", json.dumps({"streamurl": "webrtc://h/live/none", "sdp": OFFER})
        )
        self.assertEqual((200, 404), (status, json.loads(body)["code"]), "SRS refuses inside of its answer")

    def test_one_publishes_in_json_and_one_who_watches_restarts_ice(self):
        api = self.proxies[0].api
        publisher = self.page("publisher", "publish", "/rtc/v1/publish/", port=api, streamurl="webrtc://x/live/cam")
        publisher.wait_for("sent", 20)
        viewer = self.page("viewer", "play", "/rtc/v1/whep/?app=live&stream=cam", port=api, only="udp")
        before = viewer.wait_for("decoded", 30)
        known = self.proxies[0].metric("weir_webrtc_sessions")
        viewer.order = "restart"
        viewer.wait_for("restarted", 2)
        viewer.order = "go on"
        self.assertEqual([200], viewer.latest["patches"])
        after = wait_until(
            lambda: viewer.latest["ufrag"] != before["ufrag"] and viewer.latest, "the origin's new ufrag is here"
        )
        # Media goes on, over the pair that the new names made: the old one's names are known to nobody there.
        viewer.wait_for("decoded", after["decoded"] + 60)
        self.assertEqual("connected", viewer.latest["state"])
        self.assertEqual(known, self.proxies[0].metric("weir_webrtc_sessions"), "it is the same session")
        self.assertEqual(0, self.proxies[0].metric("weir_webrtc_dropped_total", '"unsigned"'))
        self.assertEqual(200, viewer.stop())
        self.assertEqual(["live/cam"], [each["key"] for each in self.origin.state()["sessions"]])

    def test_pages_and_signalling_share_a_port(self):
        api = self.proxies[0].api
        status, headers, _ = request(api, "GET", "/api/v1/versions")
        self.assertEqual((200, "nosniff"), (status, headers["X-Content-Type-Options"]))
        self.assertEqual(200, request(api, "GET", "/metrics")[0])
        self.assertEqual(200, request(api, "GET", "/readyz")[0])
        status, headers, body = request(api, "HEAD", "/healthz")
        self.assertEqual((200, b""), (status, body))
        self.assertGreater(int(headers["Content-Length"]), 0)
        self.assertEqual(404, request(api, "GET", "/live/cam.flv")[0])
        asks = {"Origin": "http://page", "Access-Control-Request-Method": "POST"}
        status, headers, _ = request(api, "OPTIONS", "/rtc/v1/whip/?app=live&stream=a", headers=asks)
        self.assertEqual((204, "*"), (status, headers["Access-Control-Allow-Origin"]))
        status, headers, _ = request(api, "POST", "/rtc/v1/whip/?app=live&stream=a", OFFER, headers=SDP)
        self.assertEqual(201, status)
        self.assertEqual(200, request(self.proxies[1].api, "DELETE", headers["Location"])[0])

    def test_refusals_say_why(self):
        status, headers, body = self.post("/live/none/whep")
        self.assertEqual((404, b"no such stream\n"), (status, body))
        path = "/live/a/whip"
        for expected, text, kind in (
            (415, OFFER, "text/plain"),
            (400, "hello", "application/sdp"),
            (400, "v=0\r\n", "application/sdp"),
            (413, OFFER + "a=x\r\n" * 15000, "application/sdp"),
        ):
            status, headers, body = self.post(path, text, {"Content-Type": kind})
            self.assertEqual(expected, status, body)
            self.assertEqual("application/problem+json", headers["Content-Type"])
            self.assertEqual(expected, json.loads(body)["status"])
        self.assertEqual(409, [self.post(path)[0], self.post(path)[0]][1])
        self.origin.process.stop()
        status, headers, _ = self.post(path)
        self.assertIn(status, (502, 503))
        self.assertEqual("application/problem+json", headers["Content-Type"])


if __name__ == "__main__":
    scene.main()
