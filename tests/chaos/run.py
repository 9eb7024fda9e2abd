#!/usr/bin/env python3
"""Kills, stops and cuts off nodes while writers are at work, and looks for every acknowledged write.

    tests/chaos/run.py --binary target/release/ringwall [--rounds 10] [--seed N]

Standard library only. Prints one line a round; exit status 1 when an acknowledged write is missing.
"""

import argparse
import http.client
import random
import signal
import tempfile
import threading
import time

from cluster import Cluster, SeparateHosts

INDEX = "chaos"


class Writers:
    """Threads that write documents one after the other, each through whichever node answers."""

    def __init__(self, cluster, count):
        self.cluster = cluster
        self.lock = threading.Lock()
        self.acknowledged = {}
        self.last = time.time()
        self.longest = 0.0
        self.refused = 0
        self.broken = 0
        # A node that clients have given up: what it costs the others is measured.
        self.avoid = None
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, writer):
        connections = {}
        number = 0
        chance = random.Random(writer)
        while not self.stopping.is_set():
            number += 1
            ident = f"{writer}-{number}"
            node = chance.choice([node for node in self.cluster.nodes if node is not self.avoid])
            try:
                connection = connections.get(node.name)
                if connection is None:
                    connection = connections[node.name] = node.connect(20)
                status, _ = node.request(
                    "PUT", f"/{INDEX}/_doc/{ident}?timeout=15s", {"n": number, "writer": writer}, connection)
            except (OSError, http.client.HTTPException):
                with self.lock:
                    self.broken += 1
                connections.pop(node.name, None)
                time.sleep(0.02)
                continue
            with self.lock:
                if status in (200, 201):
                    now = time.time()
                    self.longest = max(self.longest, now - self.last)
                    self.last = now
                    self.acknowledged[ident] = number
                else:
                    self.refused += 1

    def mark(self):
        """Begins a new measurement of the longest pause."""
        with self.lock:
            self.longest = 0.0
            self.last = time.time()

    def pause(self):
        with self.lock:
            return max(self.longest, time.time() - self.last)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


def missing(cluster, acknowledged):
    """Asks every running node for every acknowledged document, by id and by search."""
    lost = set()
    idents = list(acknowledged.items())
    for node in cluster.nodes:
        if not node.running():
            continue
        for begin in range(0, len(idents), 2000):
            part = idents[begin:begin + 2000]
            _, answer = node.request(
                "POST", f"/{INDEX}/_mget", {"ids": [ident for ident, _ in part]}, timeout=60)
            for (ident, number), doc in zip(part, answer["docs"]):
                if "error" in doc:
                    raise SystemExit(f"{node.name} cannot read {ident}: {doc}")
                if not doc.get("found") or doc["_source"]["n"] != number:
                    lost.add(ident)
        node.request("POST", f"/{INDEX}/_refresh")
        _, count = node.request("GET", f"/{INDEX}/_count")
        if count["count"] < len(acknowledged):
            lost.add(f"search on {node.name} finds {count['count']} of {len(acknowledged)}")
    return lost


def report(what, writers, cluster, seconds):
    with writers.lock:
        acknowledged = dict(writers.acknowledged)
    lost = missing(cluster, acknowledged)
    print(f"{what}: {len(acknowledged)} acknowledged, {len(lost)} missing, "
          f"longest pause of writes {writers.pause():.2f} s, {seconds}", flush=True)
    if lost:
        raise SystemExit(f"LOST: {sorted(lost)[:20]}")


def kill_one(cluster, chance, writers):
    writers.mark()
    time.sleep(1)
    node = chance.choice(cluster.nodes)
    was_master = master(cluster) == node.name
    node.signal(signal.SIGKILL)
    other = next(n for n in cluster.nodes if n is not node)
    yellow = cluster.wait_for("yellow", via=other)
    time.sleep(1)
    node.start()
    green = cluster.wait_for("green", nodes=len(cluster.nodes), via=node)
    name = f"{node.name}{' (master)' if was_master else ''}"
    report(f"kill -9 {name}", writers, cluster, f"yellow after {yellow:.1f} s, green {green:.1f} s after return")


def kill_all(cluster, _chance, writers):
    writers.mark()
    time.sleep(1)
    for node in cluster.nodes:
        node.process.send_signal(signal.SIGKILL)
    for node in cluster.nodes:
        node.process.wait()
    cluster.start()
    green = cluster.wait_for("green", nodes=len(cluster.nodes))
    report("kill -9 of all", writers, cluster, f"green {green:.1f} s after the start")


def freeze(cluster, chance, writers):
    writers.mark()
    node = chance.choice(cluster.nodes)
    was_master = master(cluster) == node.name
    writers.avoid = node
    time.sleep(0.5)
    writers.mark()
    node.signal(signal.SIGSTOP)
    time.sleep(10)
    node.signal(signal.SIGCONT)
    writers.avoid = None
    green = cluster.wait_for("green", nodes=len(cluster.nodes))
    name = f"{node.name}{' (master)' if was_master else ''}"
    report(f"SIGSTOP of {name} for 10 s", writers, cluster, f"green {green:.1f} s later")


def cut(cluster, chance, writers):
    writers.mark()
    node = chance.choice(cluster.nodes)
    was_master = master(cluster) == node.name
    writers.avoid = node
    time.sleep(0.5)
    writers.mark()
    cluster.cut(node, True)
    time.sleep(20)
    pause = writers.pause()
    cluster.cut(node, False)
    writers.avoid = None
    green = cluster.wait_for("green", nodes=len(cluster.nodes))
    name = f"{node.name}{' (master)' if was_master else ''}"
    report(f"{name} cut off for 20 s", writers, cluster,
           f"pause while cut off {pause:.2f} s, green {green:.1f} s later")


def rotate(cluster, _chance, writers):
    """New certificates on every node in turn, under load: no request may fail."""
    writers.mark()
    with writers.lock:
        before = (writers.refused, writers.broken)
    seconds = []
    for node in cluster.nodes:
        old = node.certificate()
        cluster.replace_certificate(node)
        begun = time.time()
        while node.certificate() == old:
            if time.time() - begun > 15:
                raise SystemExit(f"{node.name} still shows its old certificate")
            time.sleep(0.1)
        seconds.append(f"{time.time() - begun:.1f}")
    time.sleep(2)
    with writers.lock:
        after = (writers.refused, writers.broken)
    if after != before:
        raise SystemExit(f"requests failed: refused and broken went from {before} to {after}")
    report("certificates replaced", writers, cluster, f"no failed request, new ones shown after {seconds} s")


def master(cluster):
    for node in cluster.nodes:
        try:
            _, rows = node.request("GET", "/_cat/nodes?format=json&h=name,master", timeout=5)
        except (OSError, http.client.HTTPException):
            continue
        return next((row["name"] for row in rows if row["master"] == "*"), None)
    return None


SCENARIOS = {"kill-one": kill_one, "kill-all": kill_all, "freeze": freeze}
# These need `--separate-hosts`.
NETWORK_SCENARIOS = {"cut": cut, "rotate": rotate}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/ringwall")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--dir", help="keep the cluster here; default: a temporary directory")
    parser.add_argument("--separate-hosts", action="store_true",
                        help="a network namespace for each node (Linux, root)")
    parser.add_argument("scenario", nargs="*", help=", ".join([*SCENARIOS, *NETWORK_SCENARIOS]))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        scenarios = dict(SCENARIOS, **(NETWORK_SCENARIOS if args.separate_hosts else {}))
        kind = SeparateHosts if args.separate_hosts else Cluster
        cluster = kind(args.binary, args.dir or f"{temporary}/cluster", args.http_port)
        cluster.start()
        try:
            cluster.wait_for("green", nodes=len(cluster.nodes))
            cluster.nodes[0].request("DELETE", f"/{INDEX}")
            status, answer = cluster.nodes[0].request(
                "PUT", f"/{INDEX}", {"settings": {"number_of_shards": 3, "number_of_replicas": 1}})
            if status != 200:
                raise SystemExit(answer)
            cluster.wait_for("green", nodes=len(cluster.nodes))
            writers = Writers(cluster, 4)
            for scenario in args.scenario or list(scenarios):
                for _ in range(args.rounds):
                    scenarios[scenario](cluster, chance, writers)
            writers.stop()
            report("at the end", writers, cluster, f"{writers.refused} writes were answered with an error")
        finally:
            cluster.stop()


main()
