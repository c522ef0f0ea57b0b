"""WebRTC sessions outlive the proxy that made them: another one goes on with them at an address that moves.

Real ends are few, for they cost a core each: Chromium publishes and watches, aiortc watches and is the origin. The
crowd of a hundred does real ICE and sends packets shaped like RTP, without DTLS and codecs (support/light_webrtc.py).
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.browser import Page
from support.impair import Impaired
from support.light_webrtc import LightClients, LightOrigin
from support.node import Weir, request
from support.origin import WebrtcOrigin
from support.redis import Redis
from support.scene import SLOWNESS, free_port, wait_until
from support.stun import message, signed
from support.webrtc_client import Client

SESSIONS = 100
WITHIN = 3.0  # seconds in which a session goes on
BROWSER, SLOW = 2.5, 15.0  # seconds between checks of a browser; of a client that hardly checks


def still(counts, began):
    """The longest time after `began` in which a count did not grow. `counts`: (time, count)..."""
    grown = [at for (_, before), (at, count) in zip(counts, counts[1:]) if count > before and at > began]
    times = [began, *grown, counts[-1][0]]
    return max(b - a for a, b in zip(times, times[1:]))


class TakeOver(scene.SceneTest):
    def setUp(self):
        self.address = Impaired(self.scene, free_port())

    def cluster(self, origin, count=2, options=None):
        """Proxies of one Redis behind the address, which leads to the first."""
        self.redis = Redis(self.scene)
        shared = {"state.backend": "redis", **self.redis.options_for_weir(), **(options or {})}
        self.proxies = []
        for name in [f"proxy-{i}" for i in range(count)]:
            media = free_port()
            own = {
                "listen.webrtc": f"127.0.0.1:{media}",
                "webrtc.candidates": f"127.0.0.1:{self.address.port}",
                "webrtc.tcp": "off",
            }
            node = Weir(self.scene, "proxy", name, upstreams={"o": {"http": origin}}, options={**own, **shared})
            node.media = media
            self.proxies.append(node)
        for node in self.proxies:
            wait_until(lambda: node.metric("weir_redis_up") == 1, f"{node.name} has Redis")
        self.address.move(self.proxies[0].media)

    def crowd(self, count, checks, at=0):
        """Light clients whose media flows, signalled through one of the proxies."""
        self.clients = LightClients(self.scene)
        for i in range(count):
            client = self.clients.add(self.address.port, checks[i % len(checks)])
            answer = client.signal(self.proxies[at].http, f"/live/s{i}/whip")
            self.assertIn(f" 127.0.0.1 {self.address.port} typ host", answer)
        self.clients.begin()
        wait_until(lambda: all(c.received > 10 for c in self.clients.clients), "media flows", 15 * SLOWNESS)

    def go_on(self, change, seconds):
        """The longest time that each client hears nothing in, from `change()` on, sorted."""
        began = time.monotonic()
        change()
        wait_until(lambda: time.monotonic() > began + seconds, "the time is over", seconds + 5, 0.1)
        return sorted(c.longest_gap(began, began + seconds) for c in self.clients.clients)

    def lost(self):
        """Packets of the crowd that were not echoed yet."""
        return sum(c.sent - c.received for c in self.clients.clients)

    def move(self):
        self.proxies[0].process.kill()
        self.address.move(self.proxies[1].media)

    def test_a_hundred_sessions_go_on_when_their_proxy_is_killed(self):
        origin = LightOrigin(self.scene)
        self.cluster(origin.port)
        self.crowd(SESSIONS, [BROWSER, SLOW])
        gaps = self.go_on(self.move, WITHIN + 1)
        print(f"# gaps: median {gaps[SESSIONS // 2]:.2f} s, longest {gaps[-1]:.2f} s", file=sys.stderr)
        self.assertLess(gaps[-1], WITHIN * SLOWNESS)
        survivor = self.proxies[1]
        self.assertEqual(SESSIONS, survivor.metric("weir_webrtc_takeovers_total"))
        self.assertEqual(SESSIONS, len(origin.sessions), "nobody signalled anew")
        self.assertEqual({1}, {each["moves"] for each in origin.sessions.values()})
        # Also goodbyes find the way.
        for client in self.clients.clients:
            self.assertEqual(200, request(survivor.http, "DELETE", client.location)[0])
        self.assertEqual({}, origin.sessions)
        wait_until(lambda: not self.redis.ask("KEYS", "weir:*webrtc*"), "what the proxies shared of them is gone")

    def test_signalling_through_one_proxy_and_media_through_the_other(self):
        origin = LightOrigin(self.scene)
        self.cluster(origin.port)
        self.address.move(self.proxies[1].media)
        self.crowd(10, [BROWSER])
        began = self.lost()
        wait_until(lambda: all(c.received > 40 for c in self.clients.clients), "media flows on")
        self.assertLess(self.lost() - began, 10, "nothing was lost but what is under way")
        self.assertEqual(0, self.proxies[0].metric("weir_webrtc_packets_total"))
        self.assertEqual(10, self.proxies[1].metric("weir_webrtc_takeovers_total"))

    def test_a_client_that_changes_its_address_goes_on_and_nobody_takes_its_place(self):
        origin = LightOrigin(self.scene)
        self.cluster(origin.port)
        self.crowd(20, [BROWSER])
        gaps = self.go_on(self.address.rebind, WITHIN + 1)
        self.assertLess(gaps[-1], WITHIN * SLOWNESS)
        self.assertEqual({1}, {each["moves"] for each in origin.sessions.values()})
        # Somebody who knows the names but no password, at both proxies: neither moves a session nor hears a thing.
        places = [each["at"] for each in origin.sessions.values()]
        stranger = self.clients.open()
        self.addCleanup(stranger.close)
        for proxy in self.proxies:
            for client in self.clients.clients:
                forged = client.check(password="another password of 22")
                unsigned = signed(message(), "x" * 22)
                for packet in (forged, unsigned, b"\x80" + bytes(1100), b"\x16\xfe\xfd" + bytes(200)):
                    stranger.sendto(packet, ("127.0.0.1", proxy.media))
        wait_until(
            lambda: all(p.metric("weir_webrtc_dropped_total", '"unsigned"') >= 20 for p in self.proxies),
            "the forged checks have been dropped",
        )
        heard = [c.received for c in self.clients.clients]
        wait_until(
            lambda: all(c.received > h + 5 for c, h in zip(self.clients.clients, heard)), "all hear what is theirs"
        )
        self.assertEqual(places, [each["at"] for each in origin.sessions.values()])
        self.assertRaises(BlockingIOError, stranger.recv, 2048)

    def test_browsers_see_and_are_seen_when_their_proxy_is_killed(self):
        self.cluster(WebrtcOrigin(self.scene).http)
        url = f"http://127.0.0.1:{self.proxies[0].http}/live/cam"
        publisher = self.page("publisher", "publish", f"{url}/whip")
        publisher.wait_for("sent", 30)
        viewer = self.page("viewer", "play", f"{url}/whep")
        client = Client(self.scene, "aiortc", "play", f"{url}/whep")
        viewer.wait_for("decoded", 40)
        wait_until(lambda: client.frames("video") > 20, "aiortc decodes", 20 * SLOWNESS)
        began = time.monotonic()
        self.move()
        wait_until(lambda: time.monotonic() > began + 8, "a while has passed", 20, 0.1)
        gaps = {
            "aiortc": still([(line["at"], line["frames"]["video"]) for line in client.lines()], began),
            "Chromium": still([(r["at"], r["decoded"]) for r in viewer.reports if "decoded" in r], began),
        }
        print("# gaps: " + ", ".join(f"{name} {gap:.2f} s" for name, gap in gaps.items()), file=sys.stderr)
        self.assertLess(max(gaps.values()), WITHIN * SLOWNESS)
        self.assertEqual(3, self.proxies[1].metric("weir_webrtc_takeovers_total"))
        self.assertEqual("connected", publisher.latest["state"])
        # The page's proxy is dead; its session's URL is good at any other.
        path = viewer.latest["location"].partition("/session/")[2]
        self.assertEqual(200, request(self.proxies[1].http, "DELETE", f"/session/{path}")[0])

    def page(self, name, role, url):
        return Page(self.scene, name, "webrtc_page.html", role=role, url=url)


if __name__ == "__main__":
    scene.main()
