#!/usr/bin/env python3
"""Changes what a cluster of three nodes trusts while clients read and write, and counts the requests that fail.

    tests/trust/run.py --binary target/release/ringwall [--only leaf,ca,withdraw,rolling,idle]

leaf      every node gets a new certificate of the same CA
ca        the CA is replaced (certutil rotate)
withdraw  one node's name is taken out of the trust: it must be out within a bound, and the data stay whole
rolling   a cluster without TLS between its nodes gets it node by node
idle      10,000 idle connections and 1,000 handshakes that never end against both ports of a node

Clients behave as the official ones: a request without an answer, or answered 502, 503 or 504, goes to the next node, at
most three times in all. Standard library only. Exit status 1 when something is not as it must be.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from cluster import Cluster  # noqa: E402

SSL = "xpack.security.transport.ssl"
FAILURES = []


def check(name, good, text):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)
    if not good:
        FAILURES.append(name)


class Load:
    """Reads and writes until told to stop."""

    def __init__(self, cluster, index, threads=4):
        self.cluster, self.index = cluster, index
        self.lock = threading.Lock()
        self.done, self.retried, self.failed, self.written = 0, 0, [], 0
        self.slowest = 0.0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, worker):
        chance, connections, number = random.Random(worker), {}, 0
        while not self.stopping.is_set():
            number += 1
            if number % 3:
                request = ("PUT", f"/{self.index}/_doc/{worker}-{number}", {"n": number, "worker": worker})
            else:
                request = ("POST", f"/{self.index}/_search", {"query": {"term": {"worker": worker}}, "size": 3})
            begun = time.time()
            problem, tries = self.send(request, connections, chance)
            with self.lock:
                self.done += 1
                self.retried += tries - 1
                self.slowest = max(self.slowest, time.time() - begun)
                if problem:
                    self.failed.append(problem)
                elif number % 3:
                    self.written += 1

    def send(self, request, connections, chance):
        """Returns why the request failed, if it did, and how often it was sent."""
        problem, nodes = None, list(self.cluster.nodes)
        chance.shuffle(nodes)
        for tries, node in enumerate(nodes, 1):
            try:
                connection = connections.get(node.name)
                if connection is None:
                    connection = connections[node.name] = node.connect(30)
                status, body = node.request(*request, connection)
            except (OSError, http.client.HTTPException) as error:
                connections.pop(node.name, None)
                problem = f"{node.name}: {error!r}"
                continue
            if status in (200, 201):
                return None, tries
            problem = f"{node.name}: {status} {json.dumps(body)[:300]}"
            if status not in (502, 503, 504):
                break
        return problem, tries

    def stop(self, name, must_not_fail=True):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        text = (f"{self.done} requests, {len(self.failed)} failed, {self.retried} sent again, "
                f"slowest {self.slowest * 1000:.0f} ms")
        if self.failed:
            text += f"; first: {self.failed[0]}"
        check(name, not self.failed or not must_not_fail, text)
        return self.written


def ask(cluster, path, method="GET", body=None, node=0):
    status, answer = cluster.nodes[node].request(method, path, body)
    if status != 200:
        raise SystemExit(f"{method} {path}: {status} {answer}")
    return answer


def counted(cluster, index):
    ask(cluster, f"/{index}/_refresh", "POST")
    return ask(cluster, f"/{index}/_count")["count"]


def make_index(cluster, index):
    body = {"settings": {"number_of_shards": 3, "number_of_replicas": 1},
            "mappings": {"properties": {"worker": {"type": "integer"}}}}
    ask(cluster, f"/{index}", "PUT", body)
    cluster.wait_for("green", nodes=3)


def own(cluster):
    """Serial number of each node's transport certificate, by name."""
    found = {}
    for node in ask(cluster, "/_ssl/nodes")["nodes"].values():
        context = next(context for context in node["contexts"] if context["name"] == SSL)
        row = next(row for row in context["certificates"] if row["has_private_key"])
        found[node["name"]] = (row["serial_number"], row["issuer"])
    return found


def until(what, holds, within=60):
    begun = time.time()
    while time.time() - begun < within:
        try:
            if holds():
                return time.time() - begun
        except (OSError, http.client.HTTPException, SystemExit):
            pass
        time.sleep(0.1)
    check(what, False, f"not so within {within} s")
    return within


def settings_of(node):
    return os.path.join(node.home, "config", "elasticsearch.yml")


def edit(node, **changes):
    """Sets lines of elasticsearch.yml (None takes one out); keys with underscores for dots after ssl_."""
    path = settings_of(node)
    lines = open(path).read().splitlines()
    for key, value in changes.items():
        key = f"{SSL}." + key
        lines = [line for line in lines if not line.startswith(f"{key}:")]
        if value is not None:
            lines.append(f"{key}: {value}")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


def restart(cluster, node):
    node.process.terminate()
    node.process.wait(60)
    node.start()
    cluster.wait_for("green", nodes=3, within=120)


def store_of(node):
    """The node's PKCS#12 file and its password, out of its settings and keystore."""
    for line in open(settings_of(node)):
        if line.strip().startswith(f"{SSL}.keystore.path:"):
            path = line.split(":", 1)[1].strip().strip('"')
            break
    else:
        raise SystemExit(f"no keystore in {settings_of(node)}")
    shown = subprocess.run(
        [os.path.join(node.home, "bin", "elasticsearch-keystore"), "show", f"{SSL}.keystore.secure_password"],
        capture_output=True, text=True)
    return os.path.join(node.home, "config", path), shown.stdout.strip()


def leaf(cluster, binary, directory):
    make_index(cluster, "leaf")
    load = Load(cluster, "leaf")
    time.sleep(1)
    before = own(cluster)
    with open(os.path.join(cluster.directory, "state.json")) as file:
        ca_password = json.load(file)["ca_password"]
    authority = os.path.join(cluster.directory, "ca", "elastic-stack-ca.p12")
    for node in cluster.nodes:
        path, password = store_of(node)
        with open(os.path.join(directory, "pass"), "w") as file:
            file.write(password + "\n")
        subprocess.run([binary, "certutil", "renew", "--ca", authority, "--ca-pass", ca_password,
                        "--pass-file", os.path.join(directory, "pass"), path], check=True, capture_output=True)
    took = until("new certificates", lambda: all(own(cluster)[name] != before[name] for name in before))
    time.sleep(2)
    written = load.stop("leaf rotation on each node")
    check("leaf: documents", counted(cluster, "leaf") == written, f"{written} acknowledged, all new after {took:.1f} s")


def ca(cluster, binary, directory):
    make_index(cluster, "ca")
    new = os.path.join(directory, "new-ca.p12")
    subprocess.run([binary, "certutil", "ca", "--silent", "--ca-dn", "CN=next", "--out", new, "--pass", ""], check=True)
    pem = subprocess.run(["openssl", "pkcs12", "-in", new, "-passin", "pass:", "-nokeys"], check=True,
                         capture_output=True, text=True).stdout
    # Nodes show clients the same certificates: clients get the new CA first.
    cluster.tls.load_verify_locations(cadata=pem)
    with open(os.path.join(directory, "elastic"), "w") as file:
        import base64
        file.write(base64.b64decode(cluster.authorization.split()[1]).decode().split(":", 1)[1] + "\n")
    load = Load(cluster, "ca")
    time.sleep(1)
    begun = time.time()
    command = [binary, "certutil", "rotate", "--ca", new, "--ca-pass", "", "--all", "--yes",
               "--url", f"https://{cluster.nodes[0].address}", "--user-pass-file", os.path.join(directory, "elastic")]
    for node in cluster.nodes:
        command += ["--home", node.home]
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.time() - begun
    time.sleep(2)
    written = load.stop("CA rotation")
    check("ca: tool", done.returncode == 0, f"{took:.1f} s {done.stderr.strip()[-300:] if done.returncode else ''}")
    issuers = {issuer for _, issuer in own(cluster).values()}
    check("ca: every node", issuers == {"CN=next"}, f"issuers {issuers}")
    check("ca: documents", counted(cluster, "ca") == written, f"{written} acknowledged")


def withdraw(cluster, binary, directory):
    names = [node.name for node in cluster.nodes]
    for node in cluster.nodes:
        with open(os.path.join(node.home, "config", "trust.yml"), "w") as file:
            file.write(f"trust.subject_name: {json.dumps(names)}\n")
        edit(node, **{"trust_restrictions.path": "trust.yml",
                      "trust_restrictions.x509_fields": "subjectAltName.dnsName"})
        restart(cluster, node)
    make_index(cluster, "withdraw")
    load = Load(cluster, "withdraw")
    time.sleep(2)
    outcast, staying = cluster.nodes[2], cluster.nodes[:2]
    for node in staying:
        path = os.path.join(node.home, "config", "trust.yml")
        with open(path + ".new", "w") as file:
            file.write(f"trust.subject_name: {json.dumps(names[:2])}\n")
        os.replace(path + ".new", path)

    def is_out():
        return all(node.request("GET", "/_cluster/health?master_timeout=1s", timeout=5)[1]["number_of_nodes"] == 2
                   for node in staying)

    took = until("the withdrawn node is out", is_out)
    # 5 s until the files are looked at, 5 s grace, fault detection.
    check("withdraw: bound", took <= 15, f"out after {took:.1f} s")
    cluster.nodes = staying
    time.sleep(5)
    written = load.stop("withdrawal of one node", must_not_fail=False)
    found = counted(cluster, "withdraw")
    check("withdraw: data", found >= written, f"{written} acknowledged, {found} found on the two that stay")
    cluster.nodes = staying + [outcast]
    for node in cluster.nodes:
        with open(os.path.join(node.home, "config", "trust.yml"), "w") as file:
            file.write(f"trust.subject_name: {json.dumps(names)}\n")
    check("withdraw: return", cluster.wait_for("green", nodes=3) < 60, "let in again, it is back")


def rolling(cluster, binary, directory):
    cluster.stop()
    for node in cluster.nodes:
        edit(node, **{"enabled": "false", "trust_restrictions.path": None, "trust_restrictions.x509_fields": None})
    cluster.start()
    cluster.wait_for("green", nodes=3)
    make_index(cluster, "rolling")
    load = Load(cluster, "rolling")
    time.sleep(1)
    for node in cluster.nodes:
        edit(node, **{"enabled": "true", "dual_stack.enabled": "true"})
        restart(cluster, node)
    report = ask(cluster, "/_health_report/transport_tls")["indicators"]["transport_tls"]
    check("rolling: health tells", report["status"] == "yellow", report["symptom"])
    ask(cluster, "/_cluster/settings", "PUT", {"persistent": {f"{SSL}.dual_stack.enabled": False}})
    for node in cluster.nodes:
        edit(node, **{"dual_stack.enabled": None})
        restart(cluster, node)
    time.sleep(1)
    written = load.stop("rolling TLS enablement")
    report = ask(cluster, "/_health_report/transport_tls")["indicators"]["transport_tls"]
    check("rolling: encrypted", report["status"] == "green", report["symptom"])
    check("rolling: documents", counted(cluster, "rolling") == written, f"{written} acknowledged")


def memory(node):
    with open(f"/proc/{node.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def idle(cluster, binary, directory):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    many = min(10_000, hard - 3_000)
    node = cluster.nodes[0]
    for name, address in (("http", node.address), ("transport", node.transport)):
        host, port = address.split("://")[-1].rsplit(":", 1)
        before = memory(node)
        sockets, refused = [], 0
        for _ in range(many):
            try:
                sockets.append(socket.create_connection((host, int(port)), timeout=10))
            except OSError:
                refused += 1
        slow = []
        for _ in range(1_000):
            try:
                one = socket.create_connection((host, int(port)), timeout=10)
                # The beginning of a ClientHello that never ends.
                one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                slow.append(one)
            except OSError:
                refused += 1
        after = memory(node)
        begun, worst, served = time.time(), 0.0, 0
        while time.time() - begun < 5:
            sent = time.time()
            # Connections that exist and other nodes go on; this one asks through another node where HTTP is full.
            health = ask(cluster, "/_cluster/health", node=1)
            worst = max(worst, time.time() - sent)
            served += 1
            if health["number_of_nodes"] != 3:
                check(f"idle {name}: nodes", False, f"{health['number_of_nodes']} nodes")
                break
        shed = until(f"idle {name}: a new client is served", lambda: ask(cluster, "/_cluster/health", node=0), within=60)
        peak = max(after, memory(node))
        for one in sockets + slow:
            one.close()
        check(f"idle {name}", peak - before < 400_000,
              f"{len(sockets)} idle and {len(slow)} slow connections, {refused} refused; memory {before // 1024} MiB -> "
              f"{peak // 1024} MiB; meanwhile {served} requests, slowest {worst * 1000:.0f} ms, 3 nodes; a new client of the "
              f"node itself after {shed:.1f} s")
        time.sleep(1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


SCENARIOS = {"leaf": leaf, "ca": ca, "withdraw": withdraw, "rolling": rolling, "idle": idle}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default="target/release/ringwall")
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--http-port", type=int, default=0)
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    for name in arguments.only.split(","):
        directory = tempfile.mkdtemp(prefix="ringwall-trust-")
        cluster = Cluster(binary, os.path.join(directory, "cluster"), arguments.http_port)
        # Ports stay over restarts.
        cluster.start()
        try:
            cluster.wait_for("green", nodes=3)
            SCENARIOS[name](cluster, binary, directory)
        finally:
            cluster.stop()
        if not FAILURES:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"left: {directory}", flush=True)
    sys.exit(1 if FAILURES else 0)


if __name__ == "__main__":
    main()
