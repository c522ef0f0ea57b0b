"""The scripts of test/varnish: varnishtest plays the origin and the clients of an edge.

Each script gets two macros, ${origin} to listen at and ${edge} to connect to.
"""

import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.node import Weir
from support.scene import REPOSITORY, SLOWNESS, free_port

SCRIPTS = sorted(glob.glob(os.path.join(REPOSITORY, "test", "varnish", "*.vtc")))
SECONDS = 30


class Varnishtest(scene.SceneTest):
    def check(self, script):
        origin = free_port()
        options = {"origin.eject": "100ms", "origin.eject_max": "100ms", "health.check": "off"}
        edge = Weir(self.scene, "edge", upstreams={"origin": {"http": origin}}, options=options)
        macros = ["-D", f"origin=127.0.0.1:{origin}", "-D", f"edge=127.0.0.1:{edge.http}"]
        limits = ["-t", int(SECONDS * SLOWNESS)]
        argv = ["varnishtest", *limits, *macros, script]
        status, text = self.scene.run("varnishtest", argv, (SECONDS + 5) * SLOWNESS, env={"TMPDIR": "/tmp"})
        self.assertEqual(0, status, text)
        self.assertIn(" passed (", text)


def add(script):
    name = os.path.splitext(os.path.basename(script))[0]
    setattr(Varnishtest, f"test_{name}", lambda self: self.check(script))


for path in SCRIPTS:
    add(path)

if __name__ == "__main__":
    scene.main()
