"""The cache's tier on disk: warm after kill -9, and never in the way when the disk is damaged, full or gone."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.node import Weir, request
from support.scene import SLOWNESS, wait_until
from support.scripted_origin import ScriptedOrigin

COUNT, SIZE = 40, 100_000


def body_of(path):
    """Different for each, and nothing like another's."""
    seed = path.encode() + b"\0"
    return (seed * (SIZE // len(seed) + 1))[:SIZE]


class DiskCache(scene.SceneTest):
    def setUp(self):
        self.origin = ScriptedOrigin(
            self.scene, lambda asked: asked.give(body_of(asked.path), Cache_Control="max-age=3600")
        )
        self.folder = self.scene.path("cache")
        os.mkdir(self.folder)
        self.paths = [f"/live/a-{number}.m4s" for number in range(COUNT)]

    def edge(self, **more):
        # Requests are counted.
        options = {"health.check": "off", "cache.path": self.folder, "cache.disk": "64MiB"}
        options.update({"cache.memory": "256MiB", **more})
        self.node = Weir(self.scene, "edge", upstreams={"origin": self.origin.as_upstream()}, options=options)
        return self.node

    def lookups(self, result):
        return self.node.metric("weir_disk_cache_lookups_total", f'result="{result}"')

    def get_all(self, paths=None):
        """Everything comes, and right; how each came."""
        said = []
        for path in paths or self.paths:
            status, headers, body = request(self.node.http, "GET", path)
            self.assertEqual((200, True), (status, body == body_of(path)), path)
            said.append(headers["Cache-Status"])
        return said

    def fill(self):
        self.edge()
        for said in self.get_all():
            self.assertIn("fwd=uri-miss; stored", said)
        wait_until(
            lambda: self.node.metric("weir_disk_cache_entries") == COUNT, "all is written", 20 * SLOWNESS
        )

    def again(self):
        self.node.process.kill()
        self.origin.asked.clear()
        self.node.start()

    def data_file(self):
        sizes = {}
        for parent, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(parent, name)
                sizes[path] = os.path.getsize(path)
        return max(sizes, key=sizes.get)

    def test_an_edge_that_was_killed_is_warm_when_it_starts_again(self):
        self.fill()
        self.again()
        for said in self.get_all():
            self.assertIn("; hit", said)
        self.assertEqual([], self.origin.asked)
        self.assertEqual(COUNT, self.lookups("hit"))
        self.assertEqual(COUNT, self.node.metric("weir_cache_tier_hits_total"))
        # From memory by now, ranges too; and the disk is not asked again.
        status, headers, body = request(self.node.http, "GET", self.paths[0], headers={"Range": "bytes=5-9"})
        self.assertEqual((206, body_of(self.paths[0])[5:10]), (status, body))
        self.assertIn("; hit", headers["Cache-Status"])
        self.assertEqual(COUNT, self.lookups("hit"))

    def test_what_is_damaged_on_disk_is_fetched_again_and_the_rest_is_not(self):
        self.fill()
        self.node.process.kill()
        broken = self.paths[7]
        with open(self.data_file(), "r+b") as file:
            data = file.read()
            at = data.index(body_of(broken)[1000:2000])
            file.seek(at + 500)
            file.write(b"\xff")
        self.again()
        self.get_all()
        self.assertEqual([broken], self.origin.asked)
        self.assertEqual(1, self.lookups("corrupt"))
        self.assertEqual(COUNT - 1, self.lookups("hit"))

    def test_a_file_of_rubbish_costs_hits_and_nothing_else(self):
        self.fill()
        self.node.process.kill()
        with open(self.data_file(), "r+b") as file:
            file.write(os.urandom(64 * 1024))
        self.again()
        self.get_all()
        self.assertEqual(COUNT, len(self.origin.asked))
        for said in self.get_all():
            self.assertIn("; hit; ttl=", said)
        self.assertGreater(self.node.metric("weir_disk_cache_errors_total"), 0)

    def test_a_disk_that_is_smaller_than_its_traffic_evicts(self):
        self.edge(**{"cache.disk": "16MiB"})
        paths = [f"/live/b-{number}.m4s" for number in range(300)]  # 30 MB
        self.get_all(paths)
        wait_until(
            lambda: self.node.metric("weir_disk_cache_evictions_total") > 50, "old ones go", 20 * SLOWNESS
        )
        self.assertLess(self.node.metric("weir_disk_cache_bytes"), 16 << 20)
        self.assertEqual(1, self.node.metric("weir_disk_cache_up"))
        self.node.process.stop()  # which writes what waits
        self.again()
        newest = self.get_all(paths[-20:])
        self.assertEqual([True] * 20, ["; hit" in said for said in newest])

    @unittest.skipUnless(os.geteuid() == 0, "mounts a small disk, as root")
    def test_a_full_disk_leaves_memory_and_is_told(self):
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", self.folder], check=False)
        if mounted.returncode != 0:
            self.skipTest("no mounting here")
        self.scene.at_end(lambda: subprocess.run(["umount", "--lazy", self.folder], check=True))
        with open(os.path.join(self.folder, "else"), "wb") as file:
            file.write(bytes(12 << 20))  # somebody else's
        self.edge()
        paths = [f"/live/c-{number}.m4s" for number in range(300)]
        self.get_all(paths)
        wait_until(lambda: self.node.metric("weir_disk_cache_errors_total") > 0, "told", 20 * SLOWNESS)
        for said in self.get_all(paths):
            self.assertIn("; hit; ttl=", said)
        self.assertEqual(len(paths), len(self.origin.asked))

    def test_a_folder_that_cannot_be_written_leaves_memory(self):
        os.rmdir(self.folder)
        with open(self.folder, "wb"):
            pass
        self.edge()
        self.get_all()
        for said in self.get_all():
            self.assertIn("; hit; ttl=", said)
        self.assertEqual(0, self.node.metric("weir_disk_cache_up"))
        self.assertGreater(self.node.metric("weir_disk_cache_errors_total"), 0)


if __name__ == "__main__":
    scene.main()
