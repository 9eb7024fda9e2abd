#!/usr/bin/env python3
"""Sends a node searches that are made to cost much, one by one and then all at once, and measures how
long each takes and what a second client notices meanwhile.

Usage: tests/abuse/search.py --binary PATH [--patience S] [--seconds S] [--only NAME]

Starts a node of its own with `ringwall quickstart` and stops it at the end. Prints a line for each
request: its name, the status of the answer (0: none within the patience; the client hangs up) and the
seconds. Then what a second client waits for a search of one document, alone and while all requests
run at once, again and again. Ends with status 1 when searches that nobody waits for any more still
run 20 seconds later, as `GET /_tasks` tells.
"""

import argparse
import base64
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

DOCUMENTS = 20_000


class Node:
    def __init__(self, binary, port):
        self.directory = tempfile.mkdtemp(prefix="ringwall-abuse-")
        made = os.path.join(self.directory, "homes", "quickstart.json")
        log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(
            [binary, "quickstart", "--nodes", "1", "--dir", os.path.dirname(made), "--http-port", str(port)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.time() + 180
        while not os.path.exists(made):
            if self.process.poll() is not None or time.time() > deadline:
                raise SystemExit(f"quickstart failed, see {log.name}")
            time.sleep(0.1)
        with open(made) as file:
            made = json.load(file)
        self.address = made["nodes"][0]["http"].split("://")[-1].rstrip("/")
        self.tls = ssl.create_default_context(cafile=made["ca"])
        token = f"{made['username']}:{made['password']}".encode()
        self.headers = {
            "Authorization": "Basic " + base64.b64encode(token).decode(), "Content-Type": "application/json"}

    def connect(self, timeout):
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=self.tls)

    def send(self, method, path, body=None, timeout=60, connection=None):
        """Returns status, answer and seconds; status 0 when there was no answer in time."""
        own = connection is None
        connection = connection or self.connect(timeout)
        body = body if body is None or isinstance(body, str) else json.dumps(body)
        begun = time.time()
        try:
            connection.request(method, path, body=body, headers=self.headers)
            response = connection.getresponse()
            return response.status, response.read(), time.time() - begun
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, b"", time.time() - begun
        finally:
            if own:
                connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def fill(node):
    """Documents with a word of their own each, and one very long text."""
    mapping = {"settings": {"number_of_replicas": 0}, "mappings": {"properties": {
        "t": {"type": "text"}, "k": {"type": "keyword"}, "d": {"type": "date"}, "n": {"type": "long"},
        "m": {"type": "keyword"}}}}
    status, answer, _ = node.send("PUT", "/abuse", mapping)
    assert status == 200, answer
    for start in range(0, DOCUMENTS, 2_000):
        lines = []
        for i in range(start, start + 2_000):
            word = f"{(i * 0x9E3779B97F4A7C15) % (1 << 64):016x}"
            lines.append('{"index":{}}')
            lines.append(json.dumps({
                "t": f"common words {word}", "k": word, "d": i * 60_000, "n": i,
                "m": [f"v{(i + j) % 300}" for j in range(20)]}))
        status, answer, _ = node.send("POST", "/abuse/_bulk", "\n".join(lines) + "\n", 120)
        assert status == 200 and b'"errors":false' in answer, answer[:300]
    long_text = {"t": " ".join(f"w{i % 3}" for i in range(4_000))}
    status, answer, _ = node.send("PUT", "/abuse/_doc/long?refresh=true", long_text)
    assert status == 201, answer


def requests():
    def search(query, **more):
        return {"size": 0, "query": query, **more}

    def nested(levels):
        query = {"match_all": {}}
        for _ in range(levels):
            query = {"bool": {"must": [query]}}
        return query

    sub = {"terms": {"field": "m", "size": 300}}
    for _ in range(3):
        sub = {"terms": {"field": "m", "size": 300}, "aggs": {"a": sub}}
    many = 100_000
    return {
        "simple_query_string, 1e5 (": search({"simple_query_string": {"query": "(" * many}}),
        "simple_query_string, 1e5 (\"": search({"simple_query_string": {"query": "(\"" * many}}),
        "simple_query_string, 1e5 -": search({"simple_query_string": {"query": "-" * many}}),
        "query_string, 1e5 (": search({"query_string": {"query": "(" * many}}),
        "query_string, 1e5 words": search({"query_string": {"query": "a " * many}}),
        "query_string, 1e5 \\": search({"query_string": {"query": "\\a" * many, "fields": ["t"]}}),
        "match, 1e5 words": search({"match": {"t": "a " * many}}),
        "match_phrase, 4000 words, slop": search(
            {"match_phrase": {"t": {"query": " ".join(f"w{i % 3}" for i in range(4_000)), "slop": 100}}}),
        "match_phrase, 2000 words, slop": search(
            {"match_phrase": {"t": {"query": " ".join(f"w{i % 2}" for i in range(2_000)), "slop": 100}}}),
        "2000 regexps": search({"bool": {"should": [
            {"regexp": {"k": f".*{i % 16:x}.*{i // 16 % 16:x}?.*[0-9a-f]{{2,5}}.*"}} for i in range(2_000)]}}),
        "2000 wildcards": search({"bool": {"should": [
            {"wildcard": {"k": f"*{i % 16:x}*{i // 16 % 16:x}*{i // 256 % 16:x}*"}} for i in range(2_000)]}}),
        "500 fuzzy": search({"bool": {"should": [
            {"fuzzy": {"k": {"value": f"{i:016x}", "fuzziness": 2}}} for i in range(500)]}}),
        "1e5 clauses": search({"bool": {"should": [{"term": {"n": i}} for i in range(many)]}}),
        "60000 dates": search({"terms": {"d": [i * 60_000 for i in range(60_000)]}}),
        "100000 terms": search({"terms": {"n": list(range(many))}}),
        "date math, 1e5 steps": search({"range": {"d": {"gte": "now" + "+1d" * many}}}),
        "minimum_should_match, 1e5 rules": search(
            {"match": {"t": {"query": "a b", "minimum_should_match": "1<1 " * many}}}),
        "50 levels": search(nested(50)),
        "terms in terms in terms in terms": search({"match_all": {}}, aggs={"a": sub}),
        "1000 filters of regexps": search({"match_all": {}}, aggs={"f": {"filters": {"filters": [
            {"regexp": {"k": f".*{i % 16:x}.*[0-9a-f]{{2,5}}.*"}} for i in range(1_000)]}}}),
    }


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


def second_client(node, seconds):
    """What a client waits that searches for one document, again and again."""
    connection, times, failed = node.connect(120), [], 0
    end = time.time() + seconds
    while time.time() < end:
        query = {"query": {"term": {"n": len(times) % DOCUMENTS}}}
        status, _, took = node.send("POST", "/abuse/_search", query, connection=connection)
        times.append(took)
        failed += status != 200
        if status == 0:
            connection = node.connect(120)
        time.sleep(0.02)
    connection.close()
    return (f"{len(times)} searches, {failed} failed, p50 {percentile(times, .5):.1f} ms, "
            f"p99 {percentile(times, .99):.1f} ms, longest {max(times) * 1000:.0f} ms")


def still_running(node, within):
    """Waits until no search runs; returns those that do when the time is up."""
    end = time.time() + within
    while True:
        status, answer, _ = node.send("GET", "/_tasks?actions=indices:data/read/search*&group_by=none", timeout=120)
        if status != 200:
            return [f"GET /_tasks: {status} {answer[:200]}"]
        tasks = json.loads(answer)["tasks"]
        if not tasks or time.time() > end:
            return tasks
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--port", type=int, default=19480)
    parser.add_argument("--patience", type=float, default=10, help="seconds that each request is waited for")
    parser.add_argument("--seconds", type=float, default=30, help="how long all run at once")
    parser.add_argument("--only", help="requests whose names have this in them")
    args = parser.parse_args()
    node = Node(args.binary, args.port)
    try:
        fill(node)
        sent = {name: body for name, body in requests().items() if not args.only or args.only in name}
        for name, body in sent.items():
            status, answer, took = node.send("POST", "/abuse/_search", body, args.patience)
            reason = ""
            if status >= 400:
                error = json.loads(answer)["error"]
                reason = (error.get("root_cause") or [error])[0].get("reason", "")[:90]
            print(f"{name:36} {status:4} {took:8.2f} s  {reason}", flush=True)
        left = still_running(node, 20)
        print(f"still running after hang-ups: {len(left)}", flush=True)
        print("second client, alone:   ", second_client(node, min(10, args.seconds)), flush=True)
        stop = threading.Event()

        def abuse(body):
            while not stop.is_set():
                node.send("POST", "/abuse/_search", body, args.patience)

        threads = [threading.Thread(target=abuse, args=(body,), daemon=True) for body in sent.values()]
        for thread in threads:
            thread.start()
        time.sleep(2)
        print("second client, amid all:", second_client(node, args.seconds), flush=True)
        stop.set()
        for thread in threads:
            thread.join(args.patience + 30)
        left_all = still_running(node, 20)
        print(f"still running at the end: {len(left_all)}")
        return 1 if left or left_all else 0
    finally:
        node.stop()


if __name__ == "__main__":
    sys.exit(main())
