"""The web console, as somebody sees it who runs edge, proxy and origins: live, in colours, on a phone, and locked."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
from page import Page
from support import media, npm, scene
from support.browser import Page as CameraPage
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin, WebrtcOrigin
from support.scene import SLOWNESS, free_port, wait_until

TOKEN = "open sesame"
WAIT = 20 * SLOWNESS
PHONE = {"width": 390, "height": 844}
ROWS = "#streams-table tbody tr"
FRAMES = "document.getElementById('player-video').getVideoPlaybackQuality().totalVideoFrames"


class Console(scene.SceneTest):
    def chain(self, options=None, segments=False):
        self.origin = Origin(self.scene, "origin", segments=segments)
        self.proxy = Weir(self.scene, "proxy", upstreams={"origin": self.origin.as_upstream()})
        upstream = {**self.proxy.as_upstream(), "api": self.proxy.system}
        quick = {"edge.linger": "1s", "edge.gone_timeout": "1s"}
        self.edge = Weir(
            self.scene, "edge", upstreams={"proxy": upstream}, options={**quick, **(options or {})}
        )
        self.clip = media.encode_clip(self.scene, seconds=6)
        self.crowd = Crowd(self.scene)

    def publish(self, name):
        return media.publish(self.scene, self.clip, self.proxy.rtmp_url(name), name=f"publisher-{name}")

    def watch(self, name, count=1):
        viewers = [FlvViewer("127.0.0.1", self.edge.http, f"/live/{name}.flv") for _ in range(count)]
        self.crowd.add(*viewers)
        wait_until(lambda: all(v.playing(5) for v in viewers), lambda: [v.describe() for v in viewers], WAIT)
        return viewers

    def open(self, node, page="", **options):
        self.page = Page(self.scene)
        for method, value in options.items():
            self.page.ask(method, value)
        self.page.ask("goto", f"http://127.0.0.1:{node.system}/console/{page}")

    def until(self, found, what, seconds=WAIT):
        return wait_until(found, lambda: f"{what}: {self.seen()}", seconds, 0.2)

    def seen(self):
        return self.page.ask("texts", "body"), self.page.console()

    def row(self, place, *words):
        """The text of the row with all these words; None when there is none."""
        rows = self.page.ask("texts", f"#{place}-table tbody tr")
        return next((row for row in rows if all(word in row for word in words)), None)

    def js(self, expression):
        return self.page.ask("evaluate", expression)

    def no_complaints(self, expected=()):
        """Neither of the page, nor of its policy."""
        complaints = [text for kind, text in self.page.console() if kind in ("error", "warning")]
        self.assertEqual([], [text for text in complaints if not any(word in text for word in expected)])

    def test_streams_appear_change_and_vanish_without_a_reload(self):
        self.chain()
        self.open(self.edge)
        self.until(lambda: "live" in self.page.ask("texts", "#live"), "it is live")
        self.assertEqual(["edge", "edge"], self.page.ask("texts", "#node") + self.page.ask("texts", "#role"))
        self.until(lambda: self.row("upstreams", "proxy", "in use"), "its upstream is there")
        self.until(lambda: self.row("nodes", "proxy", "ready"), "the proxy is asked, too")
        self.js("window.same = true")

        publisher = self.publish("a")
        viewers = self.watch("a", 3)
        words = ("3 flv", "pulled", "from proxy", "H.264", "320×180", "AAC")
        self.until(lambda: self.row("streams", "live/a", *words), "the stream, what it is made of, its viewers")
        self.until(lambda: "kb/s" in self.row("streams", "live/a") and "\t0 kb/s" not in self.row("streams", "live/a"), "its rate")
        self.until(lambda: self.page.ask("texts", "[data-name=viewers] .value") == ["3"], "the tile counts")
        self.crowd.drop(viewers[0])
        self.until(lambda: self.row("streams", "live/a", "2 flv"), "one has left")
        self.until(lambda: len(self.page.ask("texts", "#clients-table tbody tr")) == 2, "two clients are listed")

        publisher.kill()
        self.until(lambda: not self.page.ask("texts", ROWS), "the stream vanishes")
        self.assertTrue(self.js("window.same"))
        self.no_complaints()

    def test_it_comes_back_when_the_node_does(self):
        self.chain()
        self.open(self.edge)
        self.until(lambda: "live" in self.page.ask("texts", "#live"), "it is live")
        self.edge.process.kill()
        self.until(lambda: "not connected" in self.page.ask("texts", "#live"), "it says so")
        self.edge.start()
        self.until(lambda: "live" in self.page.ask("texts", "#live"), "it is live again")

    def test_streams_play_in_the_page(self):
        self.chain(segments=True)
        self.publish("a")
        self.watch("a")
        wait_until(lambda: request(self.edge.http, "GET", "/live/a.m3u8")[0] == 200, "there is a playlist", WAIT)
        self.open(self.edge)
        self.page.ask("click", f"{ROWS} .play")
        for kind in ("flv", "ws-flv", "ts", "hls"):
            with self.subTest(kind):
                self.page.ask("click", f"[data-kind={kind}]")
                before = self.until(lambda: self.js(FRAMES), "the first frame")
                self.until(lambda: self.js(FRAMES) > before + 25, "it plays on")
                self.until(lambda: "320×180" in self.page.ask("texts", "#player-facts")[0], "its facts")
                self.assertFalse(self.page.ask("isVisible", "#player-message"))
        self.page.ask("click", "#player [data-close]")
        self.until(lambda: self.row("streams", "live/a", "1 flv"), "the player has let go")
        self.no_complaints()

    def test_webrtc_plays_in_the_page_of_a_proxy(self):
        origin = WebrtcOrigin(self.scene)
        options = {"listen.webrtc": f"127.0.0.1:{free_port()}", "webrtc.candidates": "127.0.0.1"}
        proxy = Weir(self.scene, "proxy", upstreams={"origin": origin.as_upstream()}, options=options)
        url = f"http://127.0.0.1:{proxy.http}/whip/live/cam"
        publisher = CameraPage(self.scene, "publisher", "webrtc_page.html", role="publish", url=url, only="udp")
        publisher.wait_for("sent", 30)
        self.open(proxy, page="#play=live/cam")
        self.page.ask("click", "[data-kind=whep]")
        before = self.until(lambda: self.js(FRAMES), "the first frame")
        self.until(lambda: self.js(FRAMES) > before + 25, "it plays on")
        self.page.ask("click", "#player [data-close]")
        self.until(lambda: [each["kind"] for each in origin.state()["sessions"]] == ["whip"], "it has said goodbye")
        # What the origin does not have in other forms is not asked for without being told.
        self.no_complaints(expected=("404", "502", "CORS", "ERR_FAILED"))

    def test_without_the_token_nothing_is_shown_and_nothing_changes(self):
        self.chain({"api.token": TOKEN})
        self.publish("a")
        kicked, stays = self.watch("a", 2)
        self.open(self.edge)
        self.until(lambda: self.page.ask("isVisible", "#ask-token"), "it asks")
        self.assertEqual([], self.page.ask("texts", ROWS))
        self.page.ask("fill", "#token", "wrong")
        self.page.ask("click", "#token-form .primary")
        self.until(lambda: "not the token" in self.page.ask("texts", "#token-trouble")[0], "it says so")
        for method, path in (
            ("GET", "streams"),
            ("GET", "events"),
            ("GET", "history"),
            ("POST", "drain"),
            ("DELETE", "clients/00000000"),
            ("POST", "upstreams/proxy/drain"),
        ):
            self.assertEqual(401, self.js(f"fetch('/api/v1/{path}', {{method: '{method}'}}).then(r => r.status)"))
        self.page.ask("click", "#ask-token [data-close]")
        self.until(lambda: self.page.ask("isVisible", "#banner"), "it stays locked")
        self.page.ask("click", "#token-button")
        self.page.ask("fill", "#token", TOKEN)
        self.page.ask("click", "#token-form .primary")
        self.until(lambda: self.row("streams", "live/a", "2 flv"), "it is unlocked")
        self.no_complaints(expected=("401",))

        self.until(lambda: len(self.page.ask("texts", "#clients-table tbody tr")) == 2, "both are listed")
        self.page.ask("click", "#clients-table tbody tr:first-child button")
        self.page.ask("click", "#confirm [value=no]")
        self.page.ask("click", "#clients-table tbody tr:first-child button")
        self.page.ask("click", "#confirm-yes")
        wait_until(lambda: kicked.closed or stays.closed, "one is kicked", WAIT)
        self.until(lambda: self.row("streams", "live/a", "1 flv"), "the other one is not")

        self.page.ask("click", "#upstreams-table button[aria-label='Drain proxy']")
        self.page.ask("click", "#confirm-yes")
        self.until(lambda: self.row("upstreams", "proxy", "drained"), "the upstream is drained")
        self.page.ask("click", "#upstreams-table button[aria-label='Undrain proxy']")
        self.until(lambda: self.row("upstreams", "proxy", "in use"), "and taken back")

        # The next tab knows nothing of it.
        self.page.ask("evaluate", "sessionStorage.clear()")
        self.page.ask("reload")
        self.until(lambda: self.page.ask("isVisible", "#ask-token"), "it asks again")
        self.page.ask("fill", "#token", TOKEN)
        self.page.ask("click", "#token-form .primary")
        self.page.ask("click", "#drain-button")
        self.page.ask("click", "#confirm-yes")
        self.until(lambda: "draining" in self.page.ask("texts", "#live"), "the node is going away")
        self.assertEqual(503, request(self.edge.system, "GET", "/readyz")[0])

    def test_it_is_readable_in_the_dark_and_on_a_phone(self):
        self.chain()
        self.publish("a")
        self.watch("a", 2)
        with open(os.path.join(npm.package("axe-core"), "axe.min.js")) as file:
            axe = file.read()
        self.open(self.edge, emulateMedia={"colorScheme": "light"})
        self.until(lambda: self.row("streams", "live/a", "2 flv"), "the stream")
        self.until(lambda: self.page.ask("texts", "#clients-table tbody tr"), "the clients")
        self.js(axe)
        ground = "getComputedStyle(document.body).backgroundColor"
        light = self.js(ground)
        shots = os.environ.get("WEIR_SHOTS")
        for scheme in ("light", "dark"):
            for size in ({"width": 1280, "height": 860}, PHONE):
                with self.subTest((scheme, size)):
                    self.page.ask("emulateMedia", {"colorScheme": scheme})
                    self.page.ask("setViewportSize", size)
                    self.assertEqual(scheme == "light", self.js(ground) == light)
                    self.assertLessEqual(self.js("document.documentElement.scrollWidth"), size["width"])
                    faults = self.js("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
                    self.assertEqual([], faults, json.dumps(faults, indent=1))
                    if shots:
                        self.page.ask("screenshot", {"path": f"{shots}/{scheme}-{size['width']}.png"})
        self.page.ask("click", "#theme-button")
        self.assertEqual(light, self.js(ground), "what was chosen wins over what the system wants")
        self.page.ask("reload")
        self.assertEqual(light, self.js(ground))
        self.no_complaints()

    def test_the_policy_lets_the_page_do_what_it_does_and_no_more(self):
        edge = Weir(self.scene, "edge", options={"http.cors": "on"})
        status, headers, _ = request(edge.system, "GET", "/console/")
        policy = headers["Content-Security-Policy"]
        self.assertEqual((200, "nosniff"), (status, headers["X-Content-Type-Options"]))
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertIn(f"connect-src 'self' http://127.0.0.1:{edge.http} ws://127.0.0.1:{edge.http};", policy)
        status, headers, _ = request(edge.system, "GET", "/console/", headers={"Host": "x; script-src *"})
        self.assertNotIn("script-src *", headers["Content-Security-Policy"])
        for path in ("/console/package.json", "/console/../weir", "/console/%2e%2e/weir", "/console/lib/", "/console/x"):
            self.assertEqual(404, request(edge.system, "GET", path)[0], path)
        self.assertEqual(405, request(edge.system, "POST", "/console/", b"")[0])
        for path in ("/", "/console"):
            status, headers, _ = request(edge.system, "GET", path)
            self.assertEqual((302, "/console/"), (status, headers["Location"]))
        _, headers, body = request(edge.system, "GET", "/console/app.js")
        status, _, again = request(edge.system, "GET", "/console/app.js", headers={"If-None-Match": headers["ETag"]})
        self.assertEqual((304, b""), (status, again))
        self.assertEqual("text/javascript; charset=utf-8", headers["Content-Type"])
        self.open(edge)
        self.until(lambda: "live" in self.page.ask("texts", "#live"), "it is live")
        for script in (
            "const s = document.createElement('script'); s.textContent = 'window.hit = 1'; document.head.append(s)",
            "document.body.setAttribute('style', 'color: red')",
            "fetch('http://127.0.0.1:9/').catch(() => 0)",
        ):
            self.js(f"{{ {script} }}")
            self.until(lambda: any("Content Security Policy" in text for _, text in self.page.console()), script)
        self.assertIsNone(self.js("window.hit ?? null"))

    def test_console_path_says_where_its_files_are(self):
        edge = Weir(self.scene, "edge", options={"console.path": ""})
        self.assertEqual(404, request(edge.system, "GET", "/console/")[0])
        self.assertEqual(404, request(edge.system, "GET", "/")[0])
        folder = self.scene.path("console")
        os.mkdir(folder)
        with open(os.path.join(folder, "index.html"), "w") as file:
            file.write("mine")
        edge = Weir(self.scene, "edge", options={"console.path": folder})
        self.assertEqual(b"mine", request(edge.system, "GET", "/console/")[2])


if __name__ == "__main__":
    scene.main()
