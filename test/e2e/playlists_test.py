"""HLS and DASH of two origins through two proxies: what a playlist leads to comes from where it came from."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.node import Weir, request
from support.origin import Origin, place_of
from support.scene import SLOWNESS, wait_until

TOKEN = re.compile(r"[?&](?:amp;)?weir_o=([a-z2-7]{13})")
TEMPLATE = re.compile(r'(?:media|initialization)="([^"]*)"')


def segments(playlist):
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


class Playlists(scene.SceneTest):
    def setUp(self):
        self.origins = [Origin(self.scene, f"o{i}", segments=True) for i in range(2)]
        self.ports = {o.name: {"rtmp": o.rtmp, "http": o.http} for o in self.origins}
        self.proxy = Weir(self.scene, "proxy", "first", upstreams=self.ports)
        self.other = Weir(self.scene, "proxy", "second", upstreams=self.ports)
        self.clip = media.encode_clip(self.scene)

    def get(self, node, path):
        status, _, body = request(node.http, "GET", path)
        return status, body

    def playlist(self, node, stream, others=(), extension="m3u8"):
        """The text, once it lists something, and the token of all that it leads to; not one of `others`."""

        def listed():
            status, body = self.get(node, f"/live/{stream}.{extension}")
            text = body.decode()
            uris = segments(text) if extension == "m3u8" else TEMPLATE.findall(text)
            if status != 200 or len(uris) < 2:
                return None
            tokens = {TOKEN.search(uri)[1] for uri in uris}
            self.assertEqual(1, len(tokens), text)
            return None if tokens <= set(others) else (text, tokens.pop())

        return wait_until(listed, f"{stream}.{extension} lists segments", 20 * SLOWNESS, 0.1)

    def test_any_proxy_serves_what_a_playlist_leads_to_from_the_origin_that_listed_it(self):
        streams = ["a", "b", "c", "d"]
        for stream in streams:
            media.publish(self.scene, self.clip, self.proxy.rtmp_url(stream), name=f"publisher-{stream}")
        tokens = {}
        for stream in streams:
            place = place_of(self.origins, stream)
            text, token = self.playlist(self.proxy, stream)
            self.assertEqual(tokens.setdefault(place.name, token), token)
            newest = segments(text)[-1]
            with open(os.path.join(place.directory, "hls", "live", TOKEN.sub("", newest)), "rb") as file:
                segment = file.read()
            for node in (self.proxy, self.other):
                self.assertEqual((200, segment), self.get(node, f"/live/{newest}"))
            _, of_manifest = self.playlist(self.proxy, stream, extension="mpd")
            self.assertEqual(token, of_manifest)
        self.assertEqual(2, len(set(tokens.values())), tokens)
        # A name that names nobody, and one that names the wrong origin.
        bare = TOKEN.sub("", newest)
        self.assertEqual(404, self.get(self.proxy, f"/live/{bare}?weir_o=aaaaaaaaaaaaa")[0])
        for token in tokens.values():
            status, _ = self.get(self.proxy, f"/live/{bare}?weir_o={token}")
            self.assertEqual(200 if token == tokens[place.name] else 404, status)

        for extension in ("m3u8", "mpd"):
            url = f"http://127.0.0.1:{self.proxy.http}/live/a.{extension}"
            found, log = media.probe(self.scene, url, 30 * SLOWNESS)
            codecs = {kind: stream["codec_name"] for kind, stream in found.items()}
            self.assertEqual({"video": "h264", "audio": "aac"}, codecs, log)
            status, log = self.scene.run(
                f"play-{extension}", [*media.FFMPEG, "-i", url, "-t", 3, "-f", "null", "-"], 40 * SLOWNESS
            )
            self.assertEqual(0, status, log)
            self.assertNotIn("HTTP error", log)

    def test_hls_under_another_path_than_its_stream_is_found_where_it_is(self):
        edge = Weir(self.scene, "edge", "edge", upstreams=self.ports)
        streams = ["a", "b", "c", "d"]
        for stream in streams:
            media.publish(self.scene, self.clip, self.proxy.rtmp_url(stream), name=f"publisher-{stream}")
        tokens = {}
        for stream in streams:
            self.playlist(self.proxy, stream)
            place = place_of(self.origins, stream)
            # An edge has two origins here, and does for them what a proxy does.
            for node in (self.proxy, self.other, edge):
                status, body = self.get(node, f"/hls/{stream}.m3u8")
                self.assertEqual(200, status, (node.name, stream))
                uri = segments(body.decode())[-1]
                token = TOKEN.search(uri)[1]
                self.assertEqual(tokens.setdefault(place.name, token), token)
                with open(os.path.join(place.directory, "hls", "live", TOKEN.sub("", uri)), "rb") as file:
                    self.assertEqual((200, file.read()), self.get(node, f"/hls/{uri}"))
        self.assertEqual(2, len(set(tokens.values())), tokens)
        for node in (self.proxy, edge):
            self.assertEqual(404, self.get(node, "/hls/nobody.m3u8")[0])
        found, log = media.probe(self.scene, f"http://127.0.0.1:{edge.http}/hls/a.m3u8", 30 * SLOWNESS)
        self.assertEqual({"video", "audio"}, set(found), log)

    def test_an_origin_that_dies_takes_its_segments_along_and_the_next_playlist_is_the_new_ones(self):
        media.KeptPublisher(self.scene, self.clip, self.proxy.rtmp_url("a"))
        place = place_of(self.origins, "a")
        text, token = self.playlist(self.proxy, "a")
        newest = segments(text)[-1]
        place.process.kill()
        for node in (self.proxy, self.other):
            self.assertEqual(404, self.get(node, f"/live/{newest}")[0])

        text, fresh = self.playlist(self.proxy, "a", others=[token])
        self.assertNotEqual(token, fresh)
        for uri in segments(text)[-2:]:
            for node in (self.proxy, self.other):
                self.assertEqual(200, self.get(node, f"/live/{uri}")[0])
        self.assertEqual(404, self.get(self.proxy, f"/live/{newest}")[0])
        # Whoever holds on to the old origin's name for the playlist itself is served by the new one.
        status, body = self.get(self.proxy, f"/live/a.m3u8?weir_o={token}")
        self.assertEqual((200, True), (status, fresh in body.decode()))


if __name__ == "__main__":
    scene.main()
