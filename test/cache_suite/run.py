"""Runs the npm package http-cache-tests (https://cache-tests.fyi) against an edge, and judges the result: at
least 150 of its required tests pass, and none fails that nginx, Varnish, Traffic Server and Squid all pass.

    WEIR_BINARY=build/release/weir python3 test/cache_suite/run.py
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from support import npm
from support.node import Weir
from support.scene import Scene, accepts, free_port, wait_until

LEAST = 150
SECONDS = 200
KINDS = ("required", "optimal", "check")
PEERS = {"nginx": "nginx", "varnish": "Varnish", "trafficserver": "Traffic Server", "squid": "Squid"}
OTHERS = {"apache": "Apache httpd"}
NODE = ["node", "--no-warnings"]
LIST_TESTS = """
import tests from './tests/index.mjs'
import surrogate from './tests/surrogate-control.mjs'
const all = [...tests, surrogate].flatMap(suite => suite.tests).filter(test => !test.browser_only)
console.log(JSON.stringify(all.map(test => [test.id, test.kind || 'required'])))
"""


def kinds_of(package):
    """{test id: what kind it is of}"""
    argv = [*NODE, "--input-type=module", "-e", LIST_TESTS]
    listed = subprocess.run(argv, cwd=package, check=True, capture_output=True, timeout=30)
    return dict(json.loads(listed.stdout))


def run_suite(scene, package):
    """{test id: True, or why it failed}"""
    port = free_port()
    environment = {
        "npm_config_protocol": "http",
        "npm_config_port": str(port),
        "npm_config_pidfile": scene.path("server.pid"),
        "npm_package_config_id": "",
    }
    scene.start("origin", [*NODE, "server/server.mjs"], env=environment, cwd=package)
    wait_until(lambda: accepts(port), "the suite's server listens", 10)
    options = {"log.level": "warn", "health.check": "off"}  # its server counts requests
    edge = Weir(scene, "edge", upstreams={"origin": {"http": port}}, options=options)
    environment["npm_config_base"] = f"http://127.0.0.1:{edge.http}"
    with open(scene.path("result.json"), "w+") as result:
        suite = scene.start("suite", [*NODE, "cli.mjs"], env=environment, cwd=package, stdout=result)
        assert suite.wait(SECONDS) == 0, suite.text()
        result.seek(0)
        return json.load(result)


def published(package, peer):
    with open(os.path.join(package, "results", f"{peer}.json")) as file:
        return json.load(file)


def table(kinds, results):
    """The passed tests of each, as docs/benchmarks.md shows them."""
    totals = [f"{kind}, of {list(kinds.values()).count(kind)}" for kind in KINDS]
    lines = [f"|  | {' | '.join(totals)} |", "| --- | --- | --- | --- |"]
    for name, result in results.items():
        passed = [kinds[test] for test in kinds if result.get(test) is True]
        lines.append(f"| {name} | {' | '.join(str(passed.count(kind)) for kind in KINDS)} |")
    return "\n".join(lines)


def main():
    package = npm.package("http-cache-tests")
    kinds = kinds_of(package)
    scene = Scene()
    try:
        ours = run_suite(scene, package)
    finally:
        scene.end()
        scene.remove()
    peers = {title: published(package, name) for name, title in PEERS.items()}
    others = {title: published(package, name) for name, title in OTHERS.items()}
    print(table(kinds, {"weir": ours, **peers, **others}))

    failed = [test for test in kinds if ours.get(test) is not True]
    required = [test for test, kind in kinds.items() if kind == "required"]
    alone = [test for test in failed if all(peer.get(test) is True for peer in peers.values())]
    for test in failed:
        if test in required:
            print(f"failed: {test}: {ours.get(test)}")
    if alone:
        print("failed by weir alone:", *alone)
    passed = len(set(required) - set(failed))
    print(f"{passed} of {len(required)} required tests pass, {LEAST} must")
    return 0 if passed >= LEAST and not alone else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as error:
        sys.exit(f"http-cache-tests: {error}")
