#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""Images that mean harm, or that broke on the way: nothing gets out of an image's folder, nothing is left, and it is said why."""

import gzip
import hashlib
import http.server
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import image  # noqa: E402
import imagelab  # noqa: E402
import registry  # noqa: E402
import tap  # noqa: E402

EMPTY = {"records": 0, "rootfs": 0, "tmp": 0, "trash": 0, "blobs/sha256": 0}


def look(folder):
    """All there is below a folder: names, modes, owners, contents."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            full = os.path.join(path, name)
            st = os.lstat(full)
            data = open(full, "rb").read() if stat.S_ISREG(st.st_mode) else b""
            found[full] = (st.st_mode, st.st_uid, st.st_nlink if stat.S_ISREG(st.st_mode) else 0, data)
    return found


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def settles(driver, want, what):
    until(lambda: driver.things() == want, 10)
    tap.is_(driver.things(), want, what)


def escapes(outside):
    """What a layer may try to reach the folder outside (where it has no business), by name."""
    up = "../" * 12 + outside[1:]
    e, lnk, hard = image.entry, image.link, image.hardlink
    return {
        "names with ..": [e(f"{up}/new", b"x"), e("a/../../../../../../new", b"x"), e(f"{up}/keep", b"broken")],
        "absolute names": [e(f"{outside}/new", b"x"), e(f"{outside}/keep", b"broken")],
        "a file through an absolute link": [lnk("out", outside), e("out/new", b"x"), e("out/keep", b"broken")],
        "a file through a relative link": [lnk("out", up), e("out/new", b"x"), e("out/sub/new", b"x")],
        "a link to a link": [lnk("one", outside), lnk("two", "one"), lnk("two/three", "."), e("two/three/new", b"x")],
        "a folder's mode through a link": [lnk("out", outside), image.folder("out/", mode=0o777, uid=1234),
                                           lnk("sub", f"{outside}/sub"), image.folder("sub/", mode=0o777)],
        "a file's mode through a link": [lnk("keep", f"{outside}/keep"), hard("hard", "keep"), e("hard", b"broken", mode=0o777)],
        "hard links": [hard("hard", f"{outside}/keep"), e("hard", b"broken")],
        "hard links with ..": [hard("hard", f"{up}/keep"), e("hard", b"broken")],
        "hard links through links": [lnk("out", outside), hard("hard", "out/keep"), e("hard", b"broken")],
        "whiteouts with ..": [e(f"{up}/.wh.keep"), e(f"{up}/.wh..wh..opq")],
        "whiteouts through links": [lnk("out", outside), e("out/.wh.keep"), e("out/.wh.sub"), e("out/.wh..wh..opq")],
        "a whiteout of ..": [e(".wh..."), e("a/.wh..."), e("x", b"x")],
        "a whiteout of .": [e(".wh.."), e("x", b"x")],
        "a whiteout without a name": [e(".wh."), e("x", b"x")],
        "an opaque root": [e(".wh..wh..opq"), e("x", b"x")],
        "a root that is a link": [lnk(".", outside), e("new", b"x"), e("keep", b"broken")],
        "a root that is a link, by /": [lnk("/", outside), e("new", b"x")],
        "a device through a link": [lnk("out", outside), e("out/disk", kind=tarfile.BLKTYPE, devmajor=8, devminor=0)],
        "names that are no text": [e("\udcff\udcfe\n", b"x"), hard("\udcff\udcfe/hard", "\udcff\x1b[31mnothing")],
        "overlayfs' own attributes": [e("d", b"x", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": outside,
                                                                 "SCHILY.xattr.trusted.overlay.opaque": "y"})],
    }


def contained(lab):
    outside = lab.path("outside")
    os.makedirs(f"{outside}/sub")
    for name in ("keep", "sub/keep"):
        with open(f"{outside}/{name}", "w", encoding="utf-8") as file:
            file.write("as it was")
    os.chmod(outside, 0o711)
    d = lab.driver()
    keep = image.busybox(lab.path("good"), "v1")
    d.good("pull", reference=f"oci:{lab.path('good')}:v1")
    for name in ("trash", "tmp"):
        until(lambda n=name: d.things()[n] == 0)
    before = {**look(outside), **look(f"{d.folder}/rootfs")}
    came = {}
    tags = {}
    for i, (what, entries) in enumerate(escapes(outside).items()):
        image.write(lab.path("bad"), [image.base(), image.layer(*entries)], f"v{i}")
        tags[what] = d.send("pull", reference=f"oci:{lab.path('bad')}:v{i}")
    for what, tag in tags.items():
        answer = d.wait(tag)
        came[what] = answer["outcome"] if answer["outcome"] != "pulled" else "pulled inside"
        good = answer["outcome"] == "pulled" or (answer["outcome"] == "broken" and "cannot be unpacked: " in answer["message"])
        tap.ok(good, f"{what}: {came[what]}", answer)
    others = {i["rootfs"] for i in d.images() if i["id"] != keep}
    after = {**look(outside), **{k: v for k, v in look(f"{d.folder}/rootfs").items()
                                 if not any(k == o or k.startswith(o + "/") for o in others)}}
    changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    tap.is_(changed - {f"{d.folder}/rootfs/."}, set(), "none of them has changed, added or removed anything outside of its own folder")
    linked = [p for o in others for p, v in look(o).items() if v[3] == b"as it was"]
    tap.is_(linked, [], "and none has got hold of a file outside")
    d.ask("collect")
    settles(d, EMPTY, "all of it can be collected")
    d.end()


def whiteouts(lab):
    e = image.entry
    layers = [image.base(e("a/1", b"1"), e("a/2", b"2"), e("b/1", b"1"), e("b/c/1", b"1"), e("gone", b"x"), e("dir/x", b"x")),
              image.layer(e(".wh.gone"), e("a/.wh.1"), e("b/.wh..wh..opq"), e("b/2", b"2"), e(".wh.dir"), e("dir", b"a file now")),
              image.layer(e("gone/again", b"y"))]
    image.write(lab.path("wh"), layers, "v1")
    d = lab.driver()
    root = d.good("pull", reference=f"oci:{lab.path('wh')}:v1")["rootfs"]
    tap.is_([sorted(os.listdir(f"{root}/{p}")) for p in ("a", "b", "gone")], [["2"], ["2"], ["again"]],
            "whiteouts and opaque folders do what they are for")
    tap.is_(open(f"{root}/dir", encoding="utf-8").read(), "a file now", "and a file takes the place of a folder")
    tap.ok(not any(".wh." in f for _, _, files in os.walk(root) for f in files), "none of them is left as a file")
    special = [e("disk", kind=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666), e("su", b"x", mode=0o6755),
               e("pipe", kind=tarfile.FIFOTYPE), e("mem", kind=tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o666)]
    image.write(lab.path("wh"), [image.base(*special)], "v2")
    root = d.good("pull", reference=f"oci:{lab.path('wh')}:v2")["rootfs"]
    tried = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", f"cat {root}/disk {root}/mem; {root}/su"],
                           capture_output=True, text=True, check=False)
    tap.ok(stat.S_ISBLK(os.lstat(f"{root}/disk").st_mode) and tried.stderr.count("denied") == 3 and not tried.stdout,
           "device nodes and set-uid programs are out of reach of the node's users", tried)
    d.end()


def zstd_of(data):
    """A frame of blocks that are not compressed (RFC 8878)."""
    out = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    for at in range(0, len(data), 65536):
        block = data[at:at + 65536]
        out += (len(block) << 3 | (at + 65536 >= len(data))).to_bytes(3, "little") + block
    return out


def crafted(layout, tag, blob, media_type, diff_id, **more):
    """An image with one layer whose bytes are as they are."""
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}, **more}
    image.write(layout, [], tag, config=config)
    kind = "application/vnd.oci.image."
    with open(f"{layout}/index.json", encoding="utf-8") as file:
        index = json.load(file)
    mine = next(m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == tag)
    with open(f"{layout}/blobs/sha256/{mine['digest'][7:]}", encoding="utf-8") as file:
        manifest = json.load(file)
    manifest["layers"] = [image.put(layout, blob, kind + media_type)]
    mine.update(image.put(layout, json.dumps(manifest).encode(), kind + "manifest.v1+json"))
    image.replace(f"{layout}/index.json", json.dumps(index))
    return manifest


def broken(lab):
    layout = lab.path("broken")
    tar = image.base(image.entry("file", os.urandom(50000)))
    packed = gzip.compress(tar, 1)
    gz = "layer.v1.tar+gzip"
    crafted(layout, "cut", packed[:20000], gz, image.digest(tar))
    crafted(layout, "nogzip", b"this is no gzip at all" * 100, gz, image.digest(tar))
    crafted(layout, "notar", gzip.compress(b"this is no tar at all" * 100), gz, image.digest(b"this is no tar at all" * 100))
    crafted(layout, "diffid", packed, gz, image.digest(b"another"))
    crafted(layout, "zstd", zstd_of(tar), "layer.v1.tar+zstd", image.digest(tar))
    missing = crafted(layout, "missing", packed + b"1", gz, image.digest(tar))
    os.unlink(f"{layout}/blobs/sha256/{missing['layers'][0]['digest'][7:]}")
    good = [image.base()]
    for tag, config in (("json", b"{\"architecture\": "), ("list", b"[]"), ("empty", b"")):
        image.write(layout, good, tag, config=config)
    image.write(layout, good, "env", Env=["A=1", 5])
    image.write(layout, good, "envname", Env=["=x"])
    image.write(layout, good, "cmd", Cmd="echo")
    image.write(layout, good, "signal", StopSignal="SIGNOT")
    image.write(layout, good, "volumes", Volumes={"a": {}})
    image.write(layout, good, "nul", User="a\0b")
    image.write(layout, good, "arm", config=image.configuration(good, architecture="arm64"))
    wanted = {"cut": "EOF", "nogzip": "gzip", "notar": "cannot be unpacked", "diffid": "cannot be unpacked",
              "missing": "", "json": "", "list": "", "empty": "", "env": "config.Env[1]: a string is expected, not a number",
              "envname": "config.Env[0]: \"NAME=value\" is expected, not \"=x\"",
              "cmd": "config.Cmd: a list is expected, not a string", "signal": "config.StopSignal: \"SIGNOT\" is no signal",
              "volumes": "config.Volumes: an absolute path is expected, not \"a\"", "nul": "config.User: has a NUL",
              "arm": "the image is for linux/arm64, and this node is linux/"}
    d = lab.driver()
    tags = {tag: d.send("pull", reference=f"oci:{layout}:{tag}") for tag in [*wanted, "zstd"]}
    answers = {tag: d.wait(t) for tag, t in tags.items()}
    for tag, words in wanted.items():
        a = answers[tag]
        tap.ok(a["outcome"] == ("refused" if tag in ("arm", "missing") else "broken") and words in a["message"] and len(a["message"]) < 500,
               f"{tag}: {a['message'].split(':v1')[-1].removeprefix(f'oci:{layout}:')[:90]}", a)
    tap.ok(answers["zstd"]["outcome"] == "pulled" and os.path.getsize(f"{answers['zstd']['image']['rootfs']}/file") == 50000,
           "a layer of zstd is one like others", answers["zstd"])
    d.ask("collect")
    settles(d, EMPTY, "nothing of them is left")
    d.end()


def corrupted_on_the_way(lab, reg):
    layout = lab.path("transit")
    data = image.entry("data", os.urandom(200000))
    image.write(layout, [image.base(data)], "v1")
    image.write(layout, [image.base(data), image.layer(image.entry("more", b"x"))], "v2")
    for tag in ("v1", "v2"):
        image.push(layout, tag, f"{reg.address}/app:{tag}", *reg.push_options())
    d = lab.driver(registriesConf=lab.write("reg.conf", registry.insecure(reg)))
    manifest = json.loads(subprocess.run(["skopeo", "inspect", "--raw", f"oci:{layout}:v1"], capture_output=True, check=True).stdout)
    path = reg.blob(manifest["layers"][0]["digest"])
    original = open(path, "rb").read()
    for what, data in (("one bit of a layer is another", original[:-20] + bytes([original[-20] ^ 1]) + original[-19:]),
                       ("a layer is cut short", original[:50000])):
        with open(path, "wb") as file:
            file.write(data)
        bad = d.pull(f"{reg.address}/app:v1")
        tap.ok(bad["outcome"] in ("broken", "unavailable") and d.images() == [], f"{what} in the registry: {bad['message'][-80:]}", bad)
    settles(d, EMPTY, "what is not what its digest says is not kept")
    with open(path, "wb") as file:
        file.write(original)
    d.good("pull", reference=f"{reg.address}/app:v1")
    mine = f"{d.folder}/blobs/sha256/{manifest['layers'][0]['digest'][7:]}"
    with open(mine, "r+b") as file:
        file.seek(1000)
        file.write(b"spoilt")
    bad = d.pull(f"{reg.address}/app:v2")
    tap.is_(bad["outcome"], "broken", "a blob that broke on this disk is noticed when an image shares it")
    again = d.pull(f"{reg.address}/app:v2")
    tap.is_(again["outcome"], "pulled", "and fetched anew by the next pull")
    d.end()


def too_large(lab):
    layout = lab.path("bomb")
    zeros = image.layer(image.entry("zeros", bytes(200 << 20)))
    image.write(layout, [image.base(), zeros], "v1")
    d = lab.driver(maxBytes=60 << 20)
    bad = d.pull(f"oci:{layout}:v1")
    tap.ok(bad["outcome"] == "broken" and "62914560 bytes that an image may have" in bad["message"],
           "a layer that unpacks to more than an image may have is stopped", bad)
    settles(d, EMPTY, "and leaves nothing behind")
    d.end()
    small = lab.path("small")
    os.makedirs(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "small", small], check=True)
    d = imagelab.Driver(f"{small}/images", reserveBytes=1)
    d.good("load", source=f"oci:{lab.path('good')}:v1", reference="good:1")
    until(lambda: d.things()["trash"] == 0)
    before = subprocess.run(["du", "-s", small], capture_output=True, text=True, check=True).stdout
    full = d.pull(f"oci:{layout}:v1")
    tap.ok(full["outcome"] == "no space" and len(full["message"]) < 300, f"a full disk is one: {full['message'][-50:]}", full)
    settles(d, {"records": 1, "rootfs": 1, "tmp": 0, "trash": 0, "blobs/sha256": 3}, "and gets back what was tried on it")
    tap.is_(subprocess.run(["du", "-s", small], capture_output=True, text=True, check=True).stdout, before, "to the last block")
    d.end()
    d = imagelab.Driver(f"{small}/images", reserveBytes=90 << 20)
    full = d.pull(f"oci:{layout}:v1")
    tap.ok(full["outcome"] == "no space" and "that stay free" in full["message"], "what stays free for others stays free", full)
    d.end()
    subprocess.run(["umount", "-l", small], check=True)  # what is removed may still be being removed


class Endless(http.server.BaseHTTPRequestHandler):
    """A registry whose only layer never ends, or never comes."""

    protocol_version = "HTTP/1.0"
    manifest = b""

    def do_GET(self):  # pylint: disable=invalid-name
        if "/manifests/" in self.path:
            self.answer(self.manifest, "application/vnd.oci.image.manifest.v1+json")
        elif "/blobs/" in self.path:
            self.send_response(200)
            self.end_headers()
            try:
                while "stall" not in self.path:
                    self.wfile.write(b"\0" * 65536)
                time.sleep(30)
            except OSError:
                pass
        else:
            self.answer(b"{}", "application/json")

    do_HEAD = do_GET

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


def bad_registries(lab):
    kind = "application/vnd.oci.image."
    Endless.manifest = json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                                   "config": {"mediaType": kind + "config.v1+json", "digest": image.digest(b"{}"), "size": 2},
                                   "layers": [{"mediaType": kind + "layer.v1.tar+gzip", "digest": image.digest(b"never"),
                                               "size": 1 << 40}]}).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.31", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    silent = socket.create_server(("127.0.0.32", 0))
    conf = lab.write("bad.conf", "".join(f'[[registry]]\nlocation = "{h}:{p}"\ninsecure = true\n' for h, p in
                                         (server.server_address, silent.getsockname())))
    d = lab.driver(registriesConf=conf, maxBytes=60 << 20, stallSeconds=2, progressSeconds=1)
    tags = [d.send("pull", reference=f"{h}:{p}/{what}:1") for (h, p), what in
            ((server.server_address, "endless"), (silent.getsockname(), "x"), (server.server_address, "stall"))]
    endless, mute, stall = (d.wait(t) for t in tags)
    tap.ok(endless["outcome"] == "broken" and "that an image may have" in endless["message"], "a blob without an end is ended", endless)
    tap.ok(mute["outcome"] == "unavailable" and "no byte for 2 s" in mute["message"], "a registry that says nothing is given up", mute)
    tap.ok(stall["outcome"] == "unavailable" and "no byte for 2 s" in stall["message"], "so is one that stops in the middle", stall)
    told = [p for p in d.progress if p["reference"] == f"{server.server_address[0]}:{server.server_address[1]}/stall:1"]
    tap.ok(told and all((p["progress"], p["total"]) == ("pulling", 1 << 40) for p in told),
           "what takes long tells how far it is, and of how much", d.progress)
    h, p = server.server_address
    lie = d.pull(f"{h}:{p}/lie@{image.digest(b'another')}")
    tap.ok(lie["outcome"] == "broken" and "something else" in lie["message"] or "does not match" in lie["message"],
           "a registry that gives another manifest than was asked for is caught", lie)
    settles(d, EMPTY, "they have left nothing")
    d.end()
    server.shutdown()
    silent.close()


def story(lab):
    contained(lab)
    whiteouts(lab)
    broken(lab)
    with registry.Registry(lab.path("reg"), "127.0.0.23") as reg:
        corrupted_on_the_way(lab, reg)
    too_large(lab)
    bad_registries(lab)


imagelab.main(story, registry.available)
