#!/usr/bin/env python3
"""Breaks small clusters in every way that cases.py lists, looks for the sentence that tells it, and does what it says.

    tests/broken/run.py --binary target/debug/ringwall [--sample N | NAME ...] [--jobs N] [--keep] [--dir DIR]

For each case: the nodes start; each sentence must appear where the table says (the log of a node, the answer of its
HTTP, `ringwall doctor` in its home); `doctor` must find an error in the homes that the table names. Then the cure runs,
as commands, and every node must be a member of one cluster, with nothing left for `doctor` to complain of. At last
everything that was printed is searched for names of the program's insides. --sample runs N cases, others for each
commit. Standard library only; openssl and keytool are used where the table says so. Exit status 1 when something is
not as it must be.
"""

import argparse
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import BARE_ELSEWHERE, CASES, NO_MESSAGE, RUN_ELSEWHERE  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "broken-cluster"
# As long as a busy machine may need; nothing waits longer than the sentence takes.
PATIENCE = 120


class Wrong(Exception):
    """Something is not as the table says."""


TAKEN, TAKEN_LOCK = set(), threading.Lock()


def free_ports(count):
    """Ports that nobody listens at, none of them twice in a run. Below those that the system gives to who dials: one
    of them would be taken by any connection before the node starts."""
    ports = []
    with TAKEN_LOCK:
        while len(ports) < count:
            port = random.randrange(10240, 32000)
            with socket.socket() as held:
                try:
                    held.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in TAKEN:
                TAKEN.add(port)
                ports.append(port)
    return ports


def brief(text):
    """The last lines that are no news of a start, each once."""
    last = {}
    for line in text.splitlines():
        if " INFO " not in line and "bootstrap check" not in line and "too low" not in line:
            last[re.sub(r"^\S+Z", "", line)] = line
    return "\n".join(line[:2500] for line in list(last.values())[-8:])


class Node:
    def __init__(self, cluster, name, http_port, transport_port):
        self.cluster, self.name = cluster, name
        self.home = cluster.directory / name
        self.log = cluster.directory / f"{name}.out"
        self.http_port, self.transport_port = http_port, transport_port
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.home / "bin" / "elasticsearch"], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self.cluster.environment,
                                            **self.cluster.as_user(self))

    def stop(self):
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def logged(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def doctor(self):
        """Returns exit status and text."""
        done = subprocess.run([self.cluster.binary, "doctor"], cwd=self.home, stdin=subprocess.DEVNULL,
                              env={**self.cluster.environment, "ES_HOME": str(self.home)},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def ask(self, path):
        """Returns status and text of an answer; the text tells why there is none."""
        yml = (self.home / "config" / "elasticsearch.yml").read_text()
        has_tls = "xpack.security.http.ssl.enabled: true" in yml
        for tls in (ssl._create_unverified_context(),) if has_tls else (None,):
            try:
                if tls is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
                else:
                    connection = http.client.HTTPSConnection("127.0.0.1", self.http_port, timeout=20, context=tls)
                token = base64.b64encode(f"elastic:{PASSWORD}".encode()).decode()
                connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
                response = connection.getresponse()
                return response.status, response.read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
        return 0, problem


class Cluster:
    """The nodes of one case, each with a home of its own in a directory of the case."""

    def __init__(self, binary, directory, case):
        self.binary, self.directory, self.case = str(binary), directory, case
        directory.mkdir(parents=True)
        ports = free_ports(2 * len(case.nodes) + 1)
        self.nodes = {name: Node(self, name, ports[2 * n], ports[2 * n + 1]) for n, name in enumerate(case.nodes)}
        self.environment = {**os.environ, "ringwall": self.binary, "spare_port": str(ports[-1]),
                            "password": PASSWORD, "here": str(directory), "BASH_ENV": str(HERE / "words.sh"),
                            "nodes": " ".join(self.nodes)}
        for node in self.nodes.values():
            self.environment[f"{node.name}_http"] = str(node.http_port)
            self.environment[f"{node.name}_transport"] = str(node.transport_port)
        self.printed = []

    def as_user(self, node):
        if not self.case.user or node.name != "es01":
            return {}
        entry = pwd.getpwnam(self.case.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def shell(self, script, **more):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.directory, stdin=subprocess.DEVNULL,
                              env={**self.environment, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        self.printed.append(("shell", done.stdout))
        return done

    def must(self, script, **more):
        done = self.shell(script, **more)
        if done.returncode:
            raise Wrong(f"status {done.returncode} of\n{script}\n{done.stdout}")

    def lay_out(self):
        self.must("lay_out")
        self.must(self.case.fault)

    def read(self, place):
        """Returns what is to be read at a place such as `es01 log`."""
        name, where = place.split()
        node = self.nodes[name]
        if where == "log":
            return node.logged()
        if where == "doctor":
            return node.doctor()[1]
        if where == "health":
            status, text = node.ask("/_cluster/health?timeout=0s&master_timeout=0s")
            return f"{status} {text}"
        if where == "report":
            return node.ask("/_health_report")[1]
        raise ValueError(place)

    def await_sentence(self, place, pattern):
        deadline, text = time.time() + PATIENCE, ""
        while time.time() < deadline:
            text = self.read(place)
            found = re.search(pattern, text, re.DOTALL)
            if found:
                if not place.endswith("log"):
                    self.printed.append((place, text))
                return found
            time.sleep(0.2)
        raise Wrong(f"{place} does not say /{pattern}/ but:\n{brief(text)}")

    def await_members(self):
        wanted, deadline, last = sorted(self.nodes), time.time() + PATIENCE, {}
        for node in self.nodes.values():
            while True:
                status, text = node.ask("/_cat/nodes?h=name&s=name")
                if status == 200 and text.split() == wanted:
                    break
                if time.time() > deadline:
                    raise Wrong(f"after the cure {node.name} has not {wanted}: {status} {text}\n"
                                f"{node.logged()[-3000:]}")
                time.sleep(0.2)

    def run(self):
        case = self.case
        self.lay_out()
        for node in self.nodes.values():
            if node.name not in case.stopped + case.later:
                node.start()
        for name in case.later:
            self.await_sentence("es01 health", "^200 ")
            self.nodes[name].start()
        said = {}
        if case.act:
            for name in self.nodes:
                if name not in case.stopped:
                    self.await_sentence(f"{name} health", r"^\d\d+ ")
            self.must(case.act)
            for name in case.then:
                self.nodes[name].start()
        for place, pattern in case.says:
            found = self.await_sentence(place, pattern)
            said.update({key: value for key, value in found.groupdict().items() if value})
        for name in case.doctor:
            status, text = self.nodes[name].doctor()
            self.printed.append((f"{name} doctor", text))
            if status != 1:
                raise Wrong(f"doctor is green at {name} (status {status}):\n{text}")
        for place, pattern in case.never:
            if re.search(pattern, self.read(place), re.DOTALL):
                raise Wrong(f"{place} must not say /{pattern}/:\n{self.read(place)[-6000:]}")
        for name in case.restart:
            self.nodes[name].stop()
        self.must(case.cure, **said)
        RAN.update(shape(command) for name, command in said.items() if name.startswith("run"))
        for name in case.restart:
            self.nodes[name].start()
        self.await_members()
        for node in self.nodes.values():
            self.await_healthy(node)
        for place, pattern in case.gone:
            if re.search(pattern, self.read(place), re.DOTALL):
                raise Wrong(f"after the cure {place} still says /{pattern}/:\n{brief(self.read(place))}")

    def await_healthy(self, node):
        """A reload or an election may still be under way."""
        deadline = time.time() + PATIENCE
        while True:
            status, text = node.doctor()
            if status == 0:
                self.printed.append((f"{node.name} doctor", text))
                return
            if time.time() > deadline:
                raise Wrong(f"after the cure doctor complains at {node.name}:\n{text}")
            time.sleep(0.5)

    def stop(self):
        for node in self.nodes.values():
            node.stop()
            self.printed.append((f"{node.name} log", node.logged()))


# Shapes of the commands that cures have run.
RAN = set()
COMMAND = re.compile(r"`((?:elasticsearch-[a-z-]+|bin/elasticsearch|ringwall|openssl|keytool|base64|printf|chown|chmod|ip|man|curl|"
                     r"ulimit|sysctl)\b[^`]*)`")
# A command without backticks, which no test would see: a tool with one of its commands or an option.
BARE = re.compile(r"\b(?:elasticsearch-[a-z-]+|ringwall|bin/elasticsearch) (?:--?[a-z]|(?:ca|cert|csr|http|renew|rotate|inspect|check|"
                  r"create|list|show|add|set|import|remove|upgrade|passwd|useradd|userdel|roles|delete|auto|interactive|init|"
                  r"doctor|nodes|quickstart|settings|certutil|keystore)\b)|"
                  r"\b(?:openssl|keytool) [a-z0-9]+ -|\b(?:chmod|chown|curl|ulimit|sysctl) -")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def shape(command):
    """The program and, where it has several, which of its commands."""
    words = command.split()
    many = words[0].startswith(("elasticsearch-", "ringwall", "openssl", "keytool")) and len(words) > 1
    return " ".join(words[:2] if many else words[:1])


def commands_in_sources(crates):
    """The commands that messages print, by their shapes, with where they stand."""
    found = {}
    for path, text in sources(crates):
        for command in COMMAND.findall(text):
            found.setdefault(shape(command), []).append(f"{path.name}: {command}")
    return found


def sources(crates):
    """Each file of the program with its text, without comments and tests."""
    for path in sorted(crates.glob("*/src/**/*.rs")):
        if "tests" in path.stem:
            continue
        lines = [line for line in path.read_text().splitlines() if not line.strip().startswith("//")]
        # A text that goes on in the next line.
        yield path, re.sub(r"\\\n\s*", "", "\n".join(lines).split("#[cfg(test)]")[0])


def look_for_bare_commands(crates):
    """A command that stands without backticks is in an example of --help, which examples.py runs, or in a text whose test
    is named."""
    found = []
    for path, text in sources(crates):
        for literal in LITERAL.findall(text):
            bare = None if "Examples:" in literal else BARE.search(re.sub(r"`[^`]*`", "", literal))
            if bare and path.name not in BARE_ELSEWHERE:
                found.append(f"{path.name} has [{bare.group(0)}] without backticks: [{literal[:200]}]")
    return found


def names_a_test(place):
    """Whether the test that is said to run a command has the words that do so."""
    file, words = place
    path = HERE.parents[1] / file
    return path.is_file() and words in path.read_text()


def look_for_commands_never_run():
    """Each command that a message prints is run by a case as it was printed, or by the test that is named."""
    printed = commands_in_sources(HERE.parents[1] / "crates")
    return [f"no test runs [{name}], which is printed by {', '.join(places)}"
            for name, places in printed.items() if name not in RAN and name not in RUN_ELSEWHERE]


def look_over_tables():
    """What can be said of commands without running any."""
    crates = HERE.parents[1] / "crates"
    printed = commands_in_sources(crates)
    texts = {path.name for path, _ in sources(crates)}
    wrong = [f"RUN_ELSEWHERE has [{name}], which nothing prints" for name in RUN_ELSEWHERE if name not in printed]
    wrong += [f"BARE_ELSEWHERE has [{name}], which is no file" for name in BARE_ELSEWHERE if name not in texts]
    wrong += [f"[{name}] is not run by {place}" for table in (RUN_ELSEWHERE, BARE_ELSEWHERE)
              for name, place in table.items() if not names_a_test(place)]
    return wrong + look_for_bare_commands(crates)


def look_for_insides(case, printed):
    """No message holds a name of the program's insides."""
    found = []
    for place, text in printed:
        for pattern in NO_MESSAGE:
            for line in text.splitlines():
                # Ids and keys are of random letters.
                match = re.search(pattern, re.sub(r"(?<![\w-])(?:[\w-]{22}|[\w-]{43})(?![\w-])", "ID", line))
                if match:
                    found.append(f"{place} has [{match.group(0)}]: {line[:600]}")
    if found:
        raise Wrong("names of the insides:\n" + "\n".join(sorted(set(found))[:20]))


def play(case, binary, root, keep):
    """Returns what is wrong, or None."""
    begun = time.time()
    cluster = Cluster(binary, root / case.name, case)
    try:
        try:
            cluster.run()
        finally:
            cluster.stop()
        look_for_insides(case, cluster.printed)
        print(f"ok   {case.name} ({time.time() - begun:.0f} s): {case.about}", flush=True)
        return None
    except Exception as error:
        told = str(error) if isinstance(error, Wrong) else traceback.format_exc()
        print(f"FAIL {case.name}: {case.about}\n{told}\n", flush=True)
        return told
    finally:
        if not keep:
            shutil.rmtree(cluster.directory, ignore_errors=True)


def sample(all_of_them, number, what):
    """Some of them, others for each commit."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, stdout=subprocess.PIPE).stdout
    seed = hashlib.sha256(head).hexdigest()[:8]
    print(f"{number} of {len(all_of_them)} {what}, seed {seed}")
    return random.Random(seed).sample(all_of_them, min(number, len(all_of_them)))


def chosen(args):
    cases = [case for case in CASES if all(shutil.which(tool) for tool in case.tools)]
    for case in CASES:
        if case not in cases:
            print(f"SKIPPED {case.name}: needs {' and '.join(case.tools)}")
    if os.geteuid() != 0:
        for case in [case for case in cases if case.user]:
            print(f"SKIPPED {case.name}: needs root")
        cases = [case for case in cases if not case.user]
    if args.names:
        unknown = set(args.names) - {case.name for case in CASES}
        if unknown:
            raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
        return [case for case in cases if case.name in args.names]
    if args.sample:
        return sample(cases, args.sample, "cases")
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds that a sentence may take to appear")
    parser.add_argument("--keep", action="store_true", help="leave the homes where they are")
    parser.add_argument("--dir", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    globals()["PATIENCE"] = args.patience
    root = args.dir or pathlib.Path(tempfile.mkdtemp(prefix="broken-"))
    # The node of another user must get at its home.
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    cases = chosen(args)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        wrong = [told for told in pool.map(lambda case: play(case, args.binary.resolve(), root, args.keep), cases)
                 if told]
    if not args.keep and not args.dir:
        shutil.rmtree(root, ignore_errors=True)
    for problem in look_over_tables() + ([] if args.names or args.sample else look_for_commands_never_run()):
        print(f"FAIL commands: {problem}")
        wrong.append(problem)
    print(json.dumps({"cases": len(cases), "failed": len(wrong)}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
