"""Runs the npm package http-cache-tests (https://cache-tests.fyi) against an edge, and judges the result: at
least 150 of its required tests pass, and none fails that nginx, Varnish, Traffic Server and Squid all pass.

    WEIR_BINARY=build/release/weir python3 test/cache_suite/run.py [folder to install the package in]
"""

import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from support.node import Weir
from support.scene import Scene, accepts, free_port, wait_until

PACKAGE = "http-cache-tests@0.4.5"
LEAST = 150
PEERS = ("nginx", "varnish", "trafficserver", "squid")
LIST_TESTS = """
import tests from './tests/index.mjs'
import surrogate from './tests/surrogate-control.mjs'
const all = [...tests, surrogate].flatMap(suite => suite.tests).filter(test => !test.browser_only)
console.log(JSON.stringify(all.map(test => [test.id, test.kind || 'required'])))
"""


def installed(folder):
    subprocess.run(["npm", "install", "--silent", "--prefix", folder, PACKAGE], check=True)
    return os.path.join(folder, "node_modules", "http-cache-tests")


def run_suite(scene, package):
    """{test id: True, or why it failed}"""
    port = free_port()
    environment = {
        "npm_config_protocol": "http",
        "npm_config_port": str(port),
        "npm_config_pidfile": scene.path("server.pid"),
        "npm_package_config_id": "",
    }
    node = ["node", "--no-warnings"]
    scene.start("origin", [*node, "server/server.mjs"], env=environment, cwd=package)
    wait_until(lambda: accepts(port), "the suite's server listens", 10)
    options = {"log.level": "warn", "health.check": "off"}  # its server counts requests
    edge = Weir(scene, "edge", upstreams={"origin": {"http": port}}, options=options)
    environment["npm_config_base"] = f"http://127.0.0.1:{edge.http}"
    with open(scene.path("result.json"), "w+") as result:
        suite = scene.start("suite", [*node, "cli.mjs"], env=environment, cwd=package, stdout=result)
        assert suite.wait(200) == 0, suite.text()
        result.seek(0)
        return json.load(result)


def verdict_of(peer, package):
    with open(os.path.join(package, "results", f"{peer}.json")) as file:
        return json.load(file)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="weir-cache-suite-")
    package = installed(folder)
    listed = subprocess.run(
        ["node", "--no-warnings", "--input-type=module", "-e", LIST_TESTS],
        cwd=package,
        check=True,
        capture_output=True,
    )
    kinds = dict(json.loads(listed.stdout))
    scene = Scene()
    try:
        ours = run_suite(scene, package)
    finally:
        scene.end()
        scene.remove()
    peers = [verdict_of(peer, package) for peer in PEERS]
    passed = {kind: 0 for kind in ("required", "optimal", "check")}
    alone = []
    for test, kind in kinds.items():
        if ours.get(test) is True:
            passed[kind] += 1
        else:
            if kind == "required":
                print(f"failed: {test}: {ours.get(test)}")
            if all(peer.get(test) is True for peer in peers):
                alone.append(test)
    for kind, count in passed.items():
        print(f"{kind}: {count} of {sum(each == kind for each in kinds.values())}")
    if alone:
        print("only we fail:", *alone)
    return 0 if passed["required"] >= LEAST and not alone else 1


if __name__ == "__main__":
    sys.exit(main())
