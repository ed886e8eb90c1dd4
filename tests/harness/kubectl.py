# SPDX-License-Identifier: Apache-2.0
"""Real kubectl programs for tests: those that are on this machine, each with a home (and so a discovery cache) of its own.

    k = Kubectl(server, *programs()[0][0])
    k.want("get ns default -o name", "namespace/default")
"""

import os
import re
import shlex
import shutil
import subprocess

import tap
from apiserver import TOP

# Measured with these; whatever else is there is driven, too.
VERSIONS = ("1.20", "1.27", "1.30", "1.32", "1.33")
PLACES = ("/usr/lib/google-cloud-sdk/bin/kubectl.{}", os.path.join(TOP, "build", "kubectl-{}", "kubectl"))
AGE = re.compile(r"(?<![\w.:-])(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|y))+(?![\w.:-])")
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def normalise(text):
    """Ages, times, uids and revisions have no say, nor has the width of columns."""
    lines = []
    for line in text.splitlines():
        line = TIME.sub("TIME", UID.sub("UID", AGE.sub("AGE", line.rstrip())))
        line = re.sub(r'(resourceVersion: )"\d+"', r'\1"N"', line)
        lines.append(re.sub(r"(?<=\S) {2,}", "  ", line))
    return "\n".join(lines).strip("\n")


def version_of(program):
    """(1, 32), or None."""
    done = subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
    match = re.search(r'"major": "(\d+)",\s*"minor": "(\d+)', done.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else None


def programs():
    """[(name, path)], and [(name, reason)] of what is missing. The kubectl of PATH comes first."""
    there, missing = [], []
    path = shutil.which("kubectl")
    if path:
        there.append(("PATH", path))
    for version in VERSIONS:
        found = [p.format(version) for p in PLACES if os.access(p.format(version), os.X_OK)]
        if found:
            there.append((version, found[0]))
        else:
            missing.append((version, f"kubectl {version} is not on this machine"))
    return there, missing


class Kubectl:
    def __init__(self, server, name, path):
        self.server, self.name, self.path = server, name, path
        self.version = version_of(path) or (1, 0)
        self.home = os.path.join(server.tmp, f"home-{name}")
        os.makedirs(self.home, exist_ok=True)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "KUBECONFIG": server.kubeconfig, "LC_ALL": "C.UTF-8"}

    def run(self, words, stdin=None, timeout_s=30, **env):
        """Returns (exit code, output, errors)."""
        argv = [self.path, *(shlex.split(words) if isinstance(words, str) else words)]
        done = subprocess.run(argv, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout_s, env={**self.env, **env}, check=False)
        return done.returncode, done.stdout, done.stderr

    def start(self, words):
        return subprocess.Popen([self.path, *shlex.split(words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=self.env)

    def title(self, words):
        words = words if isinstance(words, str) else " ".join(words)
        return f"{self.name}: {words.split(chr(10))[0][:90]}"

    def want(self, words, text, stdin=None, **env):
        """It succeeds and prints exactly this, but for what normalise takes away."""
        code, output, errors = self.run(words, stdin, **env)
        got, wanted = normalise(output), normalise(text)
        return tap.ok(code == 0 and got == wanted, self.title(words),
                      f"exit code {code}, printed:\n{got}\nwanted:\n{wanted}\nerrors: {errors}")

    def like(self, words, pattern, stdin=None, **env):
        """It succeeds, and prints something like the pattern (over several lines)."""
        code, output, errors = self.run(words, stdin, **env)
        found = re.search(pattern, normalise(output), re.M | re.S)
        return tap.ok(code == 0 and found, self.title(words),
                      f"exit code {code}, printed:\n{normalise(output)}\nwanted: like /{pattern}/\nerrors: {errors}")

    def fails(self, words, pattern, stdin=None, **env):
        """It fails, and its errors are like the pattern."""
        code, output, errors = self.run(words, stdin, **env)
        found = re.search(pattern, errors + output, re.M | re.S)
        return tap.ok(code != 0 and found, self.title(words) + " (refused)",
                      f"exit code {code}, printed:\n{output}\nerrors: {errors}\nwanted: like /{pattern}/")
