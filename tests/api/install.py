#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""`make install`: programs, documents, and systemd units whose words the programs understand; and the units' way to be told
that a program is ready."""

import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import apiserver
import tap


def install(folder):
    done = subprocess.run(["make", "-s", "-C", apiserver.TOP, f"O={os.path.relpath(apiserver.BUILD, apiserver.TOP)}", "install", f"DESTDIR={folder}", "PREFIX=/usr"],
                          capture_output=True, text=True, check=False)
    tap.is_(done.returncode, 0, "make install DESTDIR=... PREFIX=/usr")
    if done.returncode:
        tap.diag(done.stderr)


def check_unit(folder, path):
    name = os.path.basename(path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    tap.ok("@" not in re.sub(r"=~?@|\s@", "", text), f"{name}: nothing is left to fill in", text)
    words = re.search(r"^ExecStart=(.*)$", text, re.M).group(1).split()
    program = folder + words[0]
    tap.ok(os.access(program, os.X_OK), f"{name}: {words[0]} is installed")
    page = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    for flag in filter(lambda word: word.startswith("--"), words + re.findall(r"--[a-z-]+", text)):
        tap.ok(flag in page, f"{name}: {flag} is a flag")
    for document in re.findall(r"file:(\S+)", text):
        tap.ok(os.path.exists(folder + document), f"{name}: {document} is installed")


def verify(folder, units):
    """systemd's own opinion, where there is a systemd."""
    if not shutil.which("systemd-analyze"):
        tap.skip("systemd reads the units", "systemd-analyze is not on this machine")
        return
    with tempfile.TemporaryDirectory(prefix="fl-units.") as copies:
        for path in units:
            with open(path, encoding="utf-8") as file, open(f"{copies}/{os.path.basename(path)}", "w", encoding="utf-8") as copy:
                copy.write(file.read().replace("=/usr/bin/fairlead", f"={folder}/usr/bin/fairlead"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *glob.glob(f"{copies}/*")], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if "fairlead" in line]
        tap.is_(complaints, [], "systemd reads the units without a complaint")


def ready_is_told(folder):
    with tempfile.TemporaryDirectory(prefix="fl-notify.") as own, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"{own}/notify")
        sock.settimeout(10)
        server = subprocess.Popen([f"{folder}/usr/bin/fairlead-apiserver", "--data-dir", f"{own}/data", "--bind-address", "127.0.0.1",
                                   "--secure-port", "0"], env={"NOTIFY_SOCKET": f"{own}/notify"}, stderr=subprocess.DEVNULL)
        try:
            tap.like(sock.recv(1000).decode(), "READY=1", "the API server tells that it is ready")
            manager = subprocess.Popen([f"{folder}/usr/bin/fairlead-controller-manager", "--kubeconfig",
                                        f"{own}/data/pki/controller-manager.kubeconfig", "--listen", "127.0.0.1:0"],
                                       env={"NOTIFY_SOCKET": f"{own}/notify"}, stderr=subprocess.DEVNULL)
            tap.like(sock.recv(1000).decode(), "READY=1", "so does the controller manager")
            manager.terminate()
            tap.like(sock.recv(1000).decode(), "STOPPING=1", "and that it is about to end")
            manager.wait(10)
        finally:
            server.terminate()
            server.wait(10)


def main():
    with tempfile.TemporaryDirectory(prefix="fl-install.") as folder:
        install(folder)
        units = sorted(glob.glob(f"{folder}/usr/lib/systemd/system/*.service"))
        tap.is_([os.path.basename(u) for u in units],
                [f"fairlead-{n}.service" for n in ("agent", "apiserver", "controller-manager", "kubelet", "scheduler")], "there is a unit for each program")
        for path in units:
            check_unit(folder, path)
        verify(folder, units)
        ready_is_told(folder)
    tap.done()


if __name__ == "__main__":
    main()
