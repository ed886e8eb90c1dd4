# SPDX-License-Identifier: Apache-2.0
"""The kubelet's images without a kubelet: mount, pid and network namespaces of the test's own (only loopback, no way out) and
the program that drives them (tests/e2e/kubelet_images.c).

    imagelab.main(story)      # story(lab) runs inside; all of it is gone afterwards
"""

import json
import os
import subprocess
import sys
import tempfile
import threading

import image
import tap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("FL_BUILD", os.environ.get("BUILD", "build")))


class Driver:
    """The images in a process that can be killed; requests by tag, many at a time."""

    def __init__(self, folder, **options):
        self.folder, self.options = folder, {"diskFolder": "/", **options, "folder": folder}
        self.answers, self.progress, self.count = {}, [], 0
        self.news = threading.Condition()
        self.start()

    def start(self):
        self.process = subprocess.Popen([os.path.join(BUILD, "kubelet_images"), json.dumps(self.options)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise RuntimeError(f"the driver did not start: {self.process.stderr.read()}")
        self.said = []
        threading.Thread(target=self.read, args=(self.process,), daemon=True).start()
        threading.Thread(target=self.listen, args=(self.process, self.said), daemon=True).start()

    def read(self, process):
        for line in process.stdout:
            answer = json.loads(line)
            with self.news:
                if "progress" in answer:
                    self.progress.append(answer)
                else:
                    self.answers[answer["tag"]] = answer
                self.news.notify_all()

    @staticmethod
    def listen(process, said):
        for line in process.stderr:
            said.append(line)

    def send(self, op, **fields):
        self.count += 1
        self.process.stdin.write(json.dumps({"op": op, "tag": str(self.count), **fields}) + "\n")
        self.process.stdin.flush()
        return str(self.count)

    def wait(self, tag, seconds=60):
        with self.news:
            if not self.news.wait_for(lambda: tag in self.answers, seconds):
                raise TimeoutError(f"no answer to request {tag}; {self.said}")
            return self.answers.pop(tag)

    def ask(self, op, **fields):
        return self.wait(self.send(op, **fields))

    def pull(self, reference, **fields):
        return self.ask("pull", reference=reference, **fields)

    def good(self, op, **fields):
        answer = self.ask(op, **fields)
        if answer.get("outcome") != "pulled":
            raise RuntimeError(f"{op} {fields}: {answer}")
        return answer["image"]

    def find(self, reference):
        return self.ask("find", reference=reference).get("image")

    def images(self):
        return self.ask("list")["images"]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(10)
        if code:
            raise RuntimeError(f"the driver ended with {code}: {self.said}")

    def again(self, **options):
        """A new one on the same folder."""
        self.options.update(options)
        self.start()

    def things(self):
        """What there is in the folder of the images, by kind: counts."""
        def count(below):
            return len(os.listdir(f"{self.folder}/{below}"))
        return {name: count(name) for name in ("records", "rootfs", "tmp", "trash", "blobs/sha256")}


class Lab:
    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def path(self, name):
        return f"{self.folder}/{name}"

    def driver(self, **options):
        self.count += 1
        return Driver(self.path(f"images-{self.count}"), **options)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def rss(self, driver):
        with open(f"/proc/{driver.process.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def inside(folder, story):
    try:
        story(Lab(folder))
        tap.done()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code or 0)
    except BaseException as error:  # pylint: disable=broad-except
        tap.not_ok("the story comes to its end", repr(error))
        import traceback
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


def main(story, more=lambda: True):
    if len(sys.argv) > 2 and sys.argv[1] == "--inside":
        inside(sys.argv[2], story)
    if os.geteuid() != 0:
        tap.skip_all("needs root")
    if not image.available() or not more():
        tap.skip_all("needs skopeo, umoci, docker-registry and busybox-static")
    build = os.path.relpath(BUILD, TOP)
    subprocess.run(["make", "-s", "-C", TOP, f"O={build}", f"{build}/kubelet_images"], stdout=subprocess.DEVNULL, check=True)
    folder = tempfile.mkdtemp(prefix="fl-images-")
    try:
        script = f"mount -t tmpfs -o size=3g lab {folder} && ip link set lo up && exec \"$@\""
        argv = ["unshare", "-m", "-p", "-f", "-n", "--kill-child", "--propagation", "private", "--mount-proc",
                "sh", "-c", script, "sh", sys.executable, "-B", os.path.abspath(sys.argv[0]), "--inside", folder]
        code = subprocess.run(argv, check=False).returncode
    finally:
        os.rmdir(folder)
    sys.exit(code)
