#!/usr/bin/env python3
"""Runs the examples that `--help` prints, each as it is printed, in a directory where what it names is there.

    tests/broken/examples.py --binary target/debug/ringwall [--sample N | TEXT ...] [--jobs N] [--keep]

With TEXT only the examples that contain it; --sample runs N of them, others for each commit. An example fails if it ends
with another status than 0. What an example names and a test cannot have (a host, a path below /etc, a pager) is replaced
as REPLACED says; those in LEFT_OUT need more, and name the test that has it. Standard library only.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from run import free_ports, names_a_test, sample

# Examples that are run elsewhere, by a part of their text, with the test and the words of it that do so.
LEFT_OUT = {
    "ringwall quickstart": ("crates/cli/tests/cli/running.rs", '"quickstart"'),
    "bin/elasticsearch --enrollment-token": ("crates/cli/tests/cli/first_start.rs", '"--enrollment-token", &token'),
    "bin/elasticsearch -d -p": ("crates/cli/tests/cli/start.rs", '"-d"'),
    "bin/elasticsearch": ("crates/cli/tests/cli/start.rs", 'tool("elasticsearch")'),
    "elasticsearch-certutil rotate": ("crates/cli/tests/cli/certutil_rotate.rs", '"--dry-run"'),
    "elasticsearch-certutil http --answers": ("crates/cli/tests/cli/certutil_http.rs", '"--answers"'),
    "elasticsearch-reconfigure-node": ("crates/cli/tests/cli/first_start.rs", 'reconfigure(&["--enrollment-token"'),
    "setup-passwords": ("crates/cli/tests/cli/passwords.rs", 'setup, &["auto", "-b"]'),
    "elasticsearch-create-enrollment-token": ("crates/cli/tests/cli/first_start.rs",
                                              'tool("elasticsearch-create-enrollment-token")'),
    "ringwall nodes approve es-4": ("tests/broken/cases.py", "ringwall nodes approve"),
    "ringwall nodes approve ID": ("crates/cli/tests/cli/nodes.rs", 'nodes(&["approve", id, "--key", key])'),
    "ringwall nodes forget": ("crates/cli/tests/cli/nodes.rs", 'nodes(&["forget", id])'),
}

REPLACED = {
    "/etc/elasticsearch": "config",
    "/run/secrets": "secrets",
    "/etc/bash_completion.d/": "",
    "~/.zfunc/": "",
    "~/.config/fish/completions/": "",
    "/usr/local/share/man/man1": "man1",
    "man -l ": "test -s ",
    "es01:9200": "127.0.0.1:$http",
    "es01:9300": "127.0.0.1:$transport",
    "es02:9200": "127.0.0.1:$http",
    "es02:9300": "127.0.0.1:$transport",
    "network.host=10.0.0.5": "network.host=127.0.0.1",
    "| less": "| cat > pages",
    "ringwall nodes list": "ringwall nodes list --url https://127.0.0.1:$http",
}

# What answers the questions, by a part of the example; nothing is asked by the others.
ANSWERS = {
    "certutil ca": "\n\n",
    "certutil cert --ca": "\n\n\n\n\n\n",
    "certutil csr --in": "secret\n" * 4,
    "certutil http": "n\nn\nn\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "certutil renew --ca elastic": "\n\n",
    "inspect elastic": "\n",
    "create -p": "keystore-secret\nkeystore-secret\n",
    "passwd": "keystore-secret\nkeystore-secret\n",
    "keystore add ": "y\nsecret-value\nsecret-value\n",
    "keystore set ": "secret-value\nsecret-value\n",
    "useradd": "ann-password\nann-password\n",
    "users passwd": "ann-password\nann-password\n",
    "reset-password -u kibana_system -i": "y\nkibana-password\nkibana-password\n",
    "reset-password": "y\n",
}

SCENE = r"""
"$ringwall" init . > /dev/null
export PATH=$PWD/bin:$PATH
elasticsearch-certutil ca --silent --key-type ec-p256 --pass '' --out elastic-stack-ca.p12
elasticsearch-certutil ca --silent --key-type ec-p256 --pass ca-secret --out ca.p12
elasticsearch-certutil ca --silent --key-type ec-p256 --pem --out ca.zip
python3 -m zipfile -e ca.zip . && mv ca/ca.* . && rm -r ca ca.zip
echo ca-secret > ca.pass; echo node-secret > node.pass; echo file-secret > pw; echo some-ca-secret > ca-password.txt
elasticsearch-certutil cert --silent --key-type ec-p256 --ca elastic-stack-ca.p12 --ca-pass '' --pass '' --out elastic-certificates.p12
cp elastic-certificates.p12 config/
elasticsearch-certutil cert --silent --key-type ec-p256 --ca ca.p12 --ca-pass ca-secret --pass node-secret --name n1 --out node1.p12
elasticsearch-certutil cert --silent --key-type ec-p256 --pem --ca-cert ca.crt --ca-key ca.key --name node1 --out node1.zip
python3 -m zipfile -e node1.zip . && mv node1/* config/ && rmdir node1 && rm node1.zip
printf 'instances:\n  - name: es01\n    dns: es01.example\n  - name: es02\n    ip: 192.0.2.2\n' > instances.yml
elasticsearch-certutil cert --silent --key-type ec-p256 --ca ca.p12 --ca-pass ca-secret --in instances.yml --pass file-secret --out bundle.zip
elasticsearch-certutil csr --silent --name es01 --key-type ec-p256 --out es01.zip && python3 -m zipfile -e es01.zip . && mv es01/es01.csr . && rm -r es01 es01.zip
mkdir secrets; echo one > secrets/bootstrap.password; echo '{"bootstrap.password": "two-words"}' > secrets.json
echo three-words > secret.txt; echo '{}' > account.json
elasticsearch-keystore create > /dev/null
echo first-password | elasticsearch-keystore add --stdin bootstrap.password
"""

# More, by a part of the example.
BEFORE = {
    "certutil ca": "rm elastic-stack-ca.p12",
    "certutil cert --ca elastic-stack-ca.p12": "rm elastic-certificates.p12",
    "keystore create": "rm config/elasticsearch.keystore",
    "keystore add bootstrap": "elasticsearch-keystore remove bootstrap.password",
    "--password-file old.txt": "echo old-secret > old.txt; echo new-secret > new.txt; chmod 600 *.txt\n"
                               "elasticsearch-keystore --password-file old.txt passwd --new-password-file old.txt 2> /dev/null || "
                               "printf 'old-secret\\nold-secret\\n' | elasticsearch-keystore passwd > /dev/null",
    "has-passwd": "printf 'old-secret\\nold-secret\\n' | elasticsearch-keystore passwd > /dev/null",
    "userdel": "echo ann-password | elasticsearch-users useradd ann --password-file /dev/stdin",
    "users passwd": "echo ann-password > p; elasticsearch-users useradd ann --password-file p",
    "users roles": "echo ann-password > p; elasticsearch-users useradd ann --password-file p",
    "service-tokens delete": "elasticsearch-service-tokens create elastic/kibana my-token > /dev/null\n"
                             "elasticsearch-service-tokens create elastic/kibana token-1 > /dev/null",
    "--pass-file": "chmod 600 *.pass pw ca-password.txt",
    "--password-file pw": "chmod 600 pw",
    "--out ca.p12": "rm ca.p12",
}

# In the home of a node that runs.
RUNNING = ("reset-password", "doctor --peer", "check --url", "nodes list")


def examples(binary):
    """The examples of all commands, continued lines joined, with what is said of them cut off."""
    def walk(words):
        text = subprocess.run([binary, *words, "--help"], stdout=subprocess.PIPE, text=True, check=True,
                              env={**os.environ, "COLUMNS": "400"}).stdout
        found = re.search(r"\nExamples:\n((?:  .*\n?)+)", text)
        lines = found.group(1).rstrip().splitlines() if found else []
        for line in lines:
            starts = re.match(r"  (?:ringwall|elasticsearch-|bin/|printf)", line)
            if starts:
                yield re.split(r"\s{4,}", line.strip())[0]
        commands = re.search(r"\nCommands:\n((?:  .*\n?)+)", text)
        for line in commands.group(1).splitlines() if commands else []:
            word = re.match(r"  (\S+)", line)
            if word and word.group(1) != "help":
                yield from walk([*words, word.group(1)])
    overview = subprocess.run([binary, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    tools = re.search(r"\nCommands\n-*\n?((?:.+\n)+)", overview).group(1)
    for line in tools.splitlines():
        if re.match(r"\s*[a-z]", line):
            yield from walk([line.split()[0]])


def matching(table, example):
    return [value for part, value in table.items() if part in example]


class Running:
    """One secured node, made when the first example needs it."""

    def __init__(self, binary, directory):
        self.directory = directory
        self.http, = free_ports(1)
        self.process = subprocess.Popen(
            [binary, "quickstart", "--nodes", "1", "--dir", directory, "--http-port", str(self.http)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        made, deadline = directory / "quickstart.json", time.time() + 120
        while not made.exists():
            if self.process.poll() is not None or time.time() > deadline:
                raise SystemExit("quickstart failed")
            time.sleep(0.1)
        node = json.loads(made.read_text())["nodes"][0]
        self.home, self.transport = pathlib.Path(node["home"]), node["transport"].rsplit(":", 1)[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Examples:
    """What the examples need, made once."""

    def __init__(self, binary, root):
        self.binary, self.root = binary, root
        self.running, self.lock = None, threading.Lock()
        programs = root / "programs"
        programs.mkdir()
        (programs / "ringwall").symlink_to(binary)
        self.path = f"{programs}:{os.environ['PATH']}"
        self.scene = root / "scene"
        self.scene.mkdir()
        self.prepare(SCENE, self.scene, self.environment(self.scene))

    def environment(self, home, **more):
        return {**os.environ, "ringwall": self.binary, "SECRET": "a-secret", "PATH": f"{home}/bin:{self.path}",
                "ES_HOME": str(home), **more}

    def prepare(self, script, home, environment):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=home, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Unprepared(done.stdout[-1500:])

    def home(self, number):
        home = self.root / str(number)
        shutil.copytree(self.scene, home, symlinks=True)
        return home

    def node(self):
        with self.lock:
            self.running = self.running or Running(self.binary, self.root / "running")
        return self.running

    def play(self, number, example):
        """Returns what is wrong, or None."""
        command = example
        for part, value in REPLACED.items():
            command = command.replace(part, value)
        if any(part in example for part in RUNNING):
            node = self.node()
            home = node.home
            environment = self.environment(home, http=str(node.http), transport=str(node.transport))
        else:
            home = self.home(number)
            environment = self.environment(home)
        try:
            self.prepare("\n".join(matching(BEFORE, example)), home, environment)
        except Unprepared as error:
            return f"cannot be prepared\n{error}"
        answers = (matching(ANSWERS, example) or [""])[0]
        # Without a terminal, so that the answers are asked for on standard input.
        done = subprocess.run(["setsid", "bash", "-euo", "pipefail", "-c", command], cwd=home, env=environment,
                              input=answers, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return f"status {done.returncode}\n{done.stdout[-1500:]}" if done.returncode else None


class Unprepared(Exception):
    """What an example needs cannot be made."""


def look_for_what_is_not_true(found):
    """The tables name examples that there are, and tests that run them."""
    wrong = [f"[{part}] of {name} is in no example"
             for name, table in (("LEFT_OUT", LEFT_OUT), ("BEFORE", BEFORE), ("ANSWERS", ANSWERS), ("REPLACED", REPLACED))
             for part in table if not any(part in example for example in found)]
    return wrong + [f"[{part}] is not run by {place}" for part, place in LEFT_OUT.items() if not names_a_test(place)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("texts", nargs="*")
    args = parser.parse_args()
    binary = str(args.binary.resolve())
    root = pathlib.Path(tempfile.mkdtemp(prefix="examples-"))
    found = list(dict.fromkeys(examples(binary)))
    wrong = look_for_what_is_not_true(found)
    chosen = [example for example in found if not matching(LEFT_OUT, example)]
    if args.texts:
        chosen = [example for example in chosen if any(text in example for text in args.texts)]
    elif args.sample:
        chosen = sample(chosen, args.sample, "examples")
    scene = Examples(binary, root)
    try:
        def play(numbered):
            number, example = numbered
            begun = time.time()
            problem = scene.play(number, example)
            print(f"FAIL {example}: {problem}\n" if problem else f"ok   {example} ({time.time() - begun:.0f} s)", flush=True)
            return problem
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            wrong += [problem for problem in pool.map(play, enumerate(chosen)) if problem]
    finally:
        if scene.running:
            scene.running.stop()
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)
    for problem in look_for_what_is_not_true(found):
        print(f"FAIL {problem}")
    print(json.dumps({"examples": len(chosen), "left_out": len(found) - len(chosen), "failed": len(wrong)}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
