#!/usr/bin/env python3
"""Measures whole nodes: start-up, joining, bulk indexing, searching, memory, TLS handshakes.

    benches/run.py [--binary target/release/ringwall] [--only start,bulk,...] [--json FILE]

Standard library only; handshakes need `openssl`. Data is generated with a fixed seed, texts come from the shipped
corpus. Clients run on the same machine, so that their processor time is part of what is measured.
"""

import argparse
import base64
import gzip
import http.client
import json
import os
import random
import shutil
import signal
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "..", "corpus", "addresses.ndjson.gz")
PASSWORD = "bench-password"
AUTHORIZATION = "Basic " + base64.b64encode(f"elastic:{PASSWORD}".encode()).decode()


class Cluster:
    """Nodes on loopback, with or without TLS, with authentication."""

    def __init__(self, binary, directory, count, tls, first_port):
        self.count, self.tls, self.first_port = count, tls, first_port
        self.homes = [os.path.join(directory, f"node-{n}") for n in range(count)]
        self.processes = []

        def run(*words, text=None):
            subprocess.run(words, check=True, input=text, text=True, stdout=subprocess.DEVNULL)

        os.makedirs(directory, exist_ok=True)
        ca = os.path.join(directory, "ca.p12")
        if tls:
            run(binary, "certutil", "ca", "--silent", "--out", ca, "--pass", "")
        for number, home in enumerate(self.homes):
            run(binary, "init", home)
            config = os.path.join(home, "config")
            lines = [
                "cluster.name: bench", f"node.name: node-{number}",
                f"http.port: {self.port(number)}", f"transport.port: {self.port(number) + 100}",
                f"discovery.seed_hosts: {json.dumps([f'127.0.0.1:{self.port(n) + 100}' for n in range(count)])}",
                f"cluster.initial_master_nodes: {json.dumps([f'node-{n}' for n in range(count)])}",
                # `openssl s_time` hangs up in the middle of its last handshake.
                "transport.max_handshake_failures: 1000000",
            ]
            if tls:
                run(binary, "certutil", "cert", "--silent", "--ca", ca, "--ca-pass", "", "--pass", "",
                    "--out", os.path.join(config, "node.p12"), "--ip", "127.0.0.1", "--name", f"node-{number}")
                for layer in ("transport", "http"):
                    prefix = f"xpack.security.{layer}.ssl"
                    lines += [f"{prefix}.enabled: true", f"{prefix}.keystore.path: node.p12",
                              f"{prefix}.truststore.path: node.p12"]
            with open(os.path.join(config, "elasticsearch.yml"), "w") as file:
                file.write("\n".join(lines) + "\n")
            keystore = os.path.join(home, "bin", "elasticsearch-keystore")
            run(keystore, "create")
            run(keystore, "add", "--stdin", "bootstrap.password", text=PASSWORD)

    def port(self, number):
        return self.first_port + number

    def start(self):
        for home in self.homes:
            log = open(os.path.join(home, "logs", "bench.log"), "ab")
            self.processes.append(subprocess.Popen(
                [os.path.join(home, "bin", "elasticsearch")], stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def connect(self, number=0):
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port(number), timeout=120)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port(number), timeout=120, context=context)

    def wait_listening(self):
        import socket
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port(0)), 1).close()
                return
            except OSError:
                time.sleep(0.001)

    def wait_joined(self):
        while True:
            try:
                _, health = request(self.connect(), "GET", "/_cluster/health?master_timeout=1s")
                if health.get("number_of_nodes") == self.count:
                    return
            except OSError:
                pass
            time.sleep(0.005)

    def memory(self):
        """Resident megabytes of each node."""
        found = []
        for process in self.processes:
            with open(f"/proc/{process.pid}/status") as file:
                line = next(line for line in file if line.startswith("VmRSS"))
            found.append(round(int(line.split()[1]) / 1024, 1))
        return found

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(60)
        self.processes = []


def request(connection, method, path, body=None):
    headers = {"Authorization": AUTHORIZATION}
    if body is not None:
        headers["Content-Type"] = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        body = body if isinstance(body, bytes) else json.dumps(body)
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    content = response.read()
    return response.status, json.loads(content) if content else None


def log_bodies(count, chunk=5000):
    """Bulk bodies of web server log lines, about 220 bytes each."""
    chance = random.Random(42)
    bodies, lines = [], []
    for number in range(count):
        line = {
            "@timestamp": 1_700_000_000_000 + number * 37, "status": chance.choice([200, 200, 200, 304, 404, 500]),
            "method": chance.choice(["GET", "POST", "PUT"]), "path": f"/item/{chance.randrange(5000)}",
            "bytes": chance.randrange(100_000), "host": f"web-{chance.randrange(20)}",
            "message": f"request {number} served in {chance.randrange(900)} ms",
        }
        lines.append('{"index":{}}\n' + json.dumps(line) + "\n")
        if len(lines) == chunk:
            bodies.append("".join(lines).encode())
            lines = []
    if lines:
        bodies.append("".join(lines).encode())
    return bodies


LOG_MAPPING = {"properties": {
    "@timestamp": {"type": "date"}, "status": {"type": "integer"}, "method": {"type": "keyword"},
    "path": {"type": "keyword"}, "bytes": {"type": "long"}, "host": {"type": "keyword"},
    "message": {"type": "text"}}}


def text_bodies(copies):
    with gzip.open(CORPUS, "rb") as file:
        lines = file.read().splitlines()
    pairs = [lines[at + 1] for at in range(0, len(lines) - 1, 2)]
    bodies, chunk = [], []
    for document in pairs * copies:
        chunk.append(b'{"index":{}}\n' + document + b"\n")
        if len(chunk) == 1000:
            bodies.append(b"".join(chunk))
            chunk = []
    if chunk:
        bodies.append(b"".join(chunk))
    return bodies, len(pairs) * copies


TEXT_MAPPING = {"properties": {
    "president": {"type": "keyword"}, "party": {"type": "keyword"}, "year": {"type": "integer"},
    "passage": {"type": "integer"}, "words": {"type": "integer"}, "text": {"type": "text"}}}


def bulk(cluster, index, mapping, bodies, replicas=0, shards=1, clients=2):
    """Seconds to index every body, acknowledged."""
    settings = {"number_of_shards": shards, "number_of_replicas": replicas}
    request(cluster.connect(), "DELETE", f"/{index}")
    status, answer = request(cluster.connect(), "PUT", f"/{index}", {"settings": settings, "mappings": mapping})
    if status != 200:
        raise SystemExit(answer)
    request(cluster.connect(), "GET", f"/_cluster/health/{index}?wait_for_status=green&timeout=60s")
    todo = list(bodies)
    lock = threading.Lock()

    def work(number):
        connection = cluster.connect(number % cluster.count)
        while True:
            with lock:
                if not todo:
                    return
                body = todo.pop()
            connection.request("POST", f"/{index}/_bulk?filter_path=errors", body=body, headers={
                "Authorization": AUTHORIZATION, "Content-Type": "application/x-ndjson"})
            answer = json.loads(connection.getresponse().read())
            if answer.get("errors") is not False:
                raise SystemExit(answer)

    begun = time.perf_counter()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return time.perf_counter() - begun


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def bench_start(args, directory):
    cluster = Cluster(args.binary, directory, 1, True, args.port)
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        cluster.start()
        cluster.wait_listening()
        times.append((time.perf_counter() - begun) * 1000)
        cluster.stop()
    return {"start to HTTPS listening, ms (median, max of 10)":
            [round(statistics.median(times)), round(max(times))]}


def bench_join(args, directory):
    cluster = Cluster(args.binary, directory, 3, True, args.port)
    begun = time.perf_counter()
    cluster.start()
    cluster.wait_joined()
    joined = time.perf_counter() - begun
    time.sleep(5)
    idle = cluster.memory()
    cluster.stop()
    return {"three nodes started and joined, s": round(joined, 2), "idle memory per node, MB": idle}


def bench_bulk(args, directory):
    results = {}
    logs = log_bodies(args.logs)
    size = sum(map(len, logs)) / 1e6
    for tls in (True, False):
        for count in (1, 3):
            cluster = Cluster(args.binary, os.path.join(directory, f"{tls}-{count}"), count, tls, args.port)
            cluster.start()
            cluster.wait_joined()
            replicas = 1 if count == 3 else 0
            seconds = bulk(cluster, "logs", LOG_MAPPING, logs, replicas, count)
            name = f"{count} node{'s, 1 replica' if count == 3 else ''}, TLS {'on' if tls else 'off'}"
            results[f"log documents per second, {name}"] = round(args.logs / seconds)
            results[f"log MB per second, {name}"] = round(size / seconds, 1)
            if count == 1:
                texts, documents = text_bodies(4)
                megabytes = sum(map(len, texts)) / 1e6
                seconds = bulk(cluster, "texts", TEXT_MAPPING, texts)
                results[f"text MB per second, {name} ({documents} documents, {megabytes:.0f} MB)"] = \
                    round(megabytes / seconds, 1)
            cluster.stop()
    return results


def bench_search(args, directory):
    cluster = Cluster(args.binary, directory, 3, True, args.port)
    cluster.start()
    cluster.wait_joined()
    texts, documents = text_bodies(1)
    bulk(cluster, "texts", TEXT_MAPPING, texts, replicas=1)
    connection = cluster.connect()
    request(connection, "POST", "/texts/_refresh")
    words = ["peace", "war", "congress", "economy", "liberty", "treasury", "navy", "health", "school", "energy"]
    kinds = {
        "one-term search": lambda word: {"query": {"match": {"text": word}}},
        "phrase search": lambda word: {"query": {"match_phrase": {"text": f"the {word}"}}},
        "terms aggregation over a match": lambda word: {
            "size": 0, "query": {"match": {"text": word}}, "aggs": {"p": {"terms": {"field": "president"}}}},
    }
    results = {"loaded memory per node, MB": cluster.memory()}
    for name, body in kinds.items():
        times = []
        for number in range(2000):
            query = body(words[number % len(words)])
            begun = time.perf_counter()
            status, answer = request(connection, "POST", "/texts/_search", query)
            times.append((time.perf_counter() - begun) * 1000)
            if status != 200 or answer["timed_out"] or answer["_shards"]["failed"]:
                raise SystemExit(answer)
        results[f"{name}, ms (p50, p99 of 2000, {documents} documents)"] = [
            round(percentile(times, 0.5), 2), round(percentile(times, 0.99), 2)]
    results["memory per node after searches, MB"] = cluster.memory()
    cluster.stop()
    return results


def bench_failover(args, directory):
    """From `kill -9` of the master to the next acknowledged write, on a shard whose primary was there."""
    times = []
    for round_number in range(5):
        cluster = Cluster(args.binary, os.path.join(directory, str(round_number)), 3, True, args.port)
        cluster.start()
        cluster.wait_joined()
        settings = {"number_of_shards": 3, "number_of_replicas": 1}
        request(cluster.connect(), "PUT", "/f", {"settings": settings})
        request(cluster.connect(), "GET", "/_cluster/health/f?wait_for_status=green&timeout=60s")
        _, rows = request(cluster.connect(), "GET", "/_cat/nodes?format=json&h=name,master")
        master = int(next(row["name"] for row in rows if row["master"] == "*").split("-")[1])
        other = cluster.connect((master + 1) % 3)
        request(other, "PUT", "/f/_doc/warm", {"n": 0})
        cluster.processes[master].kill()
        begun = time.perf_counter()
        # Every shard: those whose primary was on the master wait for its successor.
        for number in range(20):
            status, answer = request(other, "PUT", f"/f/_doc/{number}", {"n": number})
            if status not in (200, 201):
                raise SystemExit(answer)
        times.append(time.perf_counter() - begun)
        cluster.stop()
    return {"writes to every shard acknowledged after kill -9 of the master, s (5 times)":
            [round(t, 2) for t in times]}


def bench_handshakes(args, directory):
    """Mutual handshakes: openssl's client against a node, and against openssl's server, in the same run."""
    if shutil.which("openssl") is None:
        return {"mutual handshakes per second": "SKIPPED: openssl is not installed"}
    cluster = Cluster(args.binary, directory, 1, True, args.port)
    store = os.path.join(cluster.homes[0], "config", "node.p12")
    certificate, key = os.path.join(directory, "node.crt"), os.path.join(directory, "node.key")
    authority = os.path.join(directory, "ca.crt")
    for options, path in ((["-clcerts", "-nokeys"], certificate), (["-nocerts", "-nodes"], key),
                          (["-cacerts", "-nokeys"], authority)):
        subprocess.run(["openssl", "pkcs12", "-in", store, "-passin", "pass:", "-out", path, *options],
                       check=True, stderr=subprocess.DEVNULL)

    def measure(port):
        out = subprocess.run(
            ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-cert", certificate, "-key", key,
             "-CAfile", authority, "-new", "-time", "5"], capture_output=True, text=True).stdout
        real = [line for line in out.splitlines() if "real seconds" in line]
        if not real:
            raise SystemExit(f"no figure: {out[-200:]}")
        words = real[0].split()
        return int(words[0]) / int(words[3])

    cluster.start()
    cluster.wait_listening()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(args.port + 50), "-cert", certificate, "-key", key, "-CAfile", authority,
         "-Verify", "2", "-verify_return_error", "-quiet", "-num_tickets", "0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.PIPE)
    time.sleep(0.5)
    ours, theirs = [], []
    try:
        for _ in range(3):
            ours.append(measure(args.port + 100))
            theirs.append(measure(args.port + 50))
    finally:
        server.kill()
        server.wait()
        cluster.stop()
    return {"mutual handshakes per second, one openssl client: node's transport port (median of 3)":
            round(statistics.median(ours)),
            "the same against openssl s_server": round(statistics.median(theirs))}


def bench_links(args, directory):
    """Many TLS connections: what an idle one costs, and what a reload costs the requests of others."""
    cluster = Cluster(args.binary, directory, 1, True, args.port)
    cluster.start()
    cluster.wait_joined()
    warm = [cluster.connect() for _ in range(50)]
    for connection in warm:
        connection.connect()
    before = cluster.memory()[0]
    many = args.links
    idle = [cluster.connect() for _ in range(many)]
    for connection in idle:
        connection.connect()
    time.sleep(1)
    after = cluster.memory()[0]
    for connection in idle:
        request(connection, "GET", "/")
    time.sleep(1)
    asked = cluster.memory()[0]
    asking = cluster.connect()

    def latencies(seconds):
        times, ended = [], time.perf_counter() + seconds
        while time.perf_counter() < ended:
            begun = time.perf_counter()
            status, _ = request(asking, "GET", "/")
            times.append((time.perf_counter() - begun) * 1000)
            if status != 200:
                raise SystemExit(status)
        return times

    quiet = latencies(8)
    store = os.path.join(cluster.homes[0], "config", "node.p12")
    subprocess.run([args.binary, "certutil", "cert", "--silent", "--ca", os.path.join(directory, "ca.p12"), "--ca-pass", "",
                    "--pass", "", "--out", store + ".new", "--ip", "127.0.0.1", "--name", "node-0"],
                   check=True, stdout=subprocess.DEVNULL)
    os.replace(store + ".new", store)
    # The files are looked at every five seconds.
    reloading = latencies(8)
    for connection in idle + warm:
        connection.close()
    cluster.stop()
    return {f"memory of one idle TLS connection of {many}, KB": round((after - before) * 1024 / many),
            "the same when each has asked once, KB": round((asked - before) * 1024 / many),
            f"request beside {many} links, quiet, ms (median, 99.9th, max)":
            [round(percentile(quiet, 0.5), 2), round(percentile(quiet, 0.999), 2), round(max(quiet), 2)],
            f"request beside {many} links, TLS files reloaded, ms (median, 99.9th, max)":
            [round(percentile(reloading, 0.5), 2), round(percentile(reloading, 0.999), 2), round(max(reloading), 2)]}


BENCHES = {"start": bench_start, "join": bench_join, "bulk": bench_bulk, "search": bench_search,
           "failover": bench_failover, "handshakes": bench_handshakes, "links": bench_links}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(HERE, "..", "target", "release", "ringwall"))
    parser.add_argument("--only", default=",".join(BENCHES))
    parser.add_argument("--logs", type=int, default=400_000, help="log documents of a bulk run")
    parser.add_argument("--links", type=int, default=1000, help="idle TLS connections")
    parser.add_argument("--port", type=int, default=19700)
    parser.add_argument("--json")
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before", flush=True)
    results = {}
    for name in args.only.split(","):
        with tempfile.TemporaryDirectory() as directory:
            for what, figure in BENCHES[name](args, directory).items():
                results[what] = figure
                print(f"{what}: {figure}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)


main()
