# SPDX-License-Identifier: Apache-2.0
"""Runs a test program in a process group of its own, bounded in time, and leaves nothing of the group behind."""

import os
import signal
import subprocess
import threading
import time

_groups = set()
_lock = threading.Lock()


def group_alive(pgid):
    """True when a process of the group still runs. One that has ended and is not yet waited for does not count: an orphan's
    end is waited for by pid 1, which may take its time."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                state, _, group = file.read().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(group) == pgid and state not in "ZX":
            return True
    return False


def end_group(pgid, patience_s=2.0):
    """SIGTERM, time to clean up, SIGKILL."""
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 1.0)):
        try:
            os.killpg(pgid, number)
        except ProcessLookupError:
            return
        end = time.monotonic() + wait_s
        while group_alive(pgid) and time.monotonic() < end:
            time.sleep(0.02)


def end_all():
    """For an interrupted run."""
    with _lock:
        groups = list(_groups)
    for pgid in groups:
        end_group(pgid)


def left_behind(pgid, grace_s=1.0):
    """True when processes of an ended program are still there after a grace."""
    end = time.monotonic() + grace_s
    while group_alive(pgid):
        if time.monotonic() > end:
            return True
        time.sleep(0.02)
    return False


def run(argv, log_path, timeout_s, env=None, cwd=None):
    """Output goes to log_path. Returns (exit code, complaint): the complaint is None, or what went wrong besides the
    exit code (a timeout, processes left running)."""
    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    with open(log_path, "wb") as log:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env,
                                 cwd=cwd, start_new_session=True)
        with _lock:
            _groups.add(child.pid)
        complaint = None
        try:
            code = child.wait(timeout=timeout_s)
            if left_behind(child.pid):
                complaint = "left processes running"
        except subprocess.TimeoutExpired:
            complaint = f"no end after {timeout_s:.0f} s"
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(timeout=3)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            code = child.returncode or 1
        finally:
            end_group(child.pid)
            with _lock:
                _groups.discard(child.pid)
    return code, complaint
