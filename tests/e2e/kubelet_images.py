#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""The kubelet's images: from registries and from the disk to a container's root, kept, shared, and collected."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import image  # noqa: E402
import imagelab  # noqa: E402
import registry  # noqa: E402
import tap  # noqa: E402


def tree_bytes(folder):
    return int(subprocess.run(["du", "-sx", "-B1", folder], capture_output=True, text=True, check=True).stdout.split()[0])


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def settled(driver, want, what):
    """What is left in the folder, once the trash is out."""
    until(lambda: driver.things() == want, 10)
    tap.is_(driver.things(), want, what)


def from_the_disk(lab):
    layout = lab.path("layout")
    busybox = image.busybox(layout, "v1", Cmd=["sh", "-c", "id"], Entrypoint=["/bin/env"], User="app:extra", WorkingDir="/tmp",
                            StopSignal="SIGQUIT", Volumes={"/data": {}}, Labels={"who": "us"}, ExposedPorts={"80/tcp": {}})
    image.busybox(layout, "v2", image.layer(image.entry("hello", b"2")))
    image.archive(layout, lab.path("both.tar"))
    docker = image.docker_archive(lab.path("docker.tar"), [image.base(image.entry("hello", b"docker"))], "x/y:1", Cmd=["/hello"])
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout}:v2", f"dir:{lab.path('dir')}"], check=True)
    d = lab.driver(diskFolder=lab.folder)
    got = d.good("pull", reference=f"oci:{layout}:v1")
    told = {key: got[key] for key in ("id", "entrypoint", "cmd", "env", "user", "cwd", "stopSignal", "volumes", "labels")}
    tap.is_(told, {"id": busybox, "entrypoint": ["/bin/env"], "cmd": ["sh", "-c", "id"], "env": ["PATH=/bin"], "user": "app:extra",
                   "cwd": "/tmp", "stopSignal": 3, "volumes": ["/data"], "labels": {"who": "us"}},
            "an OCI layout is an image with its configuration")
    tap.is_(d.find(f"oci:{layout}:v1")["id"], busybox, "and is found by the name that it was pulled by")
    tap.is_(d.find(busybox)["id"], busybox, "and by its id")
    second = d.good("pull", reference=f"oci-archive:{lab.path('both.tar')}:v2")
    tap.ok(open(f"{second['rootfs']}/hello", encoding="utf-8").read() == "2" and os.path.islink(f"{second['rootfs']}/bin/sh"),
           "an archive's image has all of its layers")
    tap.ok(abs(second["bytes"] - tree_bytes(second["rootfs"])) < 1500000, "its size was measured", second)
    got = d.good("pull", reference=f"docker-archive:{lab.path('docker.tar')}")
    tap.ok(got["cmd"] == ["/hello"] and got["id"].startswith("sha256:") and docker, "so does what docker save writes")
    tap.is_(d.good("pull", reference=f"dir:{lab.path('dir')}")["id"], second["id"], "and a folder of skopeo's")
    names = d.find(second["id"])["tags"]
    tap.is_(sorted(names), sorted([f"oci-archive:{lab.path('both.tar')}:v2", f"dir:{lab.path('dir')}"]),
            "which is the same image, by another name")
    bad = d.pull(f"oci:{layout}:v9")
    tap.ok(bad["outcome"] == "refused" and "has no image of that name" in bad["message"], "a tag that a layout lacks is named", bad)
    bad = d.pull(f"oci-archive:{lab.path('nothing.tar')}")
    tap.ok(bad["outcome"] == "refused" and "not found on the disk" in bad["message"], "so is a file that is not there", bad)
    bad = d.pull("oci:/etc:v1")
    tap.ok(bad["outcome"] == "refused" and "--image-disk-folder" in bad["message"], "what lies elsewhere is refused", bad)
    bad = d.pull("UPPER")
    tap.is_((bad["outcome"], bad["message"]), ("invalid name", "couldn't parse image reference \"UPPER\": invalid reference format: "
                                               "repository name (UPPER) must be lowercase"), "a bad name is refused in Kubernetes' words")
    tap.ok(d.pull("docker.io/library/nosuch")["outcome"] == "unavailable", "no network is told apart from no such image")
    settled(d, {"records": 3, "rootfs": 3, "tmp": 0, "trash": 0, "blobs/sha256": 9}, "nothing of a pull is left beside the images")
    d.end()


def by_ordinary_names(lab):
    d = lab.driver()
    path = image.drop(d.folder, "docker.io/library/demo:1", lab.path("one"))
    tap.ok(until(lambda: d.find("demo:1")), "an archive that is moved into load/ becomes an image of an ordinary name", d.said)
    tap.ok(until(lambda: not os.path.exists(path)), "and is gone then")
    shutil.copytree(lab.path("one"), f"{d.folder}/load/.copying")
    os.rename(f"{d.folder}/load/.copying", f"{d.folder}/load/{image.load_name('quay.example/a/b:2', '.oci')}")
    tap.ok(until(lambda: d.find("quay.example/a/b:2")), "so does a folder with a layout", d.said)
    tap.is_(sorted(d.find("demo:1")["tags"]), ["docker.io/library/demo:1", "quay.example/a/b:2"], "one image has both names")
    tap.is_(d.good("load", source=f"oci:{lab.path('one')}:v1", reference="demo:3")["tags"][0], "docker.io/library/demo:3",
            "what is loaded by a request has the name that was asked for")
    bad = d.ask("load", source="docker://demo:1", reference="demo:4")
    tap.ok(bad["outcome"] == "invalid name" and "on the disk" in bad["message"], "only what is on the disk can be loaded", bad)
    failed = f"{d.folder}/load/failed"
    for name, content in (("docker.io%2Fbad%3A1.tar", "no tar"), ("noend", "x"), ("UPPER.tar", "x"), ("a:b.tar", "x")):
        with open(f"{d.folder}/load/.new", "w", encoding="utf-8") as file:
            file.write(content)
        os.rename(f"{d.folder}/load/.new", f"{d.folder}/load/{name}")
        tap.ok(until(lambda n=name: os.path.exists(f"{failed}/{n}.txt")), f"{name} goes to failed/", os.listdir(failed))
    reasons = {n: open(f"{failed}/{n}.txt", encoding="utf-8").read() for n in ("noend", "UPPER.tar", "docker.io%2Fbad%3A1.tar")}
    tap.ok("NAME.tar" in reasons["noend"] and "lowercase" in reasons["UPPER.tar"] and "docker.io/library/bad:1" in
           reasons["docker.io%2Fbad%3A1.tar"], "with the reason beside it", reasons)
    d.end()
    image.drop(d.folder, "later:1", lab.path("one"))
    d.again()
    tag = d.send("pull", reference="later:1")
    tap.is_(d.wait(tag)["outcome"], "pulled", "a pull of what lies in load/ waits for it, and asks no network")
    d.end()


def from_a_registry(lab, reg):
    d = lab.driver(registriesConf=lab.write("plain.conf", registry.insecure(reg)))
    image.push(lab.path("one"), "v1", f"{reg.address}/demo:1", *reg.push_options())
    image.push(lab.path("two"), "v1", f"{reg.address}/demo:2", *reg.push_options())
    name = f"{reg.address}/demo"
    begin = len(reg.log())
    tags = [d.send("pull", reference=f"{name}:1") for _ in range(10)]
    answers = [d.wait(t) for t in tags]
    asked = [line for line in reg.log()[begin:] if "/manifests/" in line]
    tap.ok(all(a["outcome"] == "pulled" for a in answers), "ten wait for one pull", answers)
    tap.is_(len(asked), 2, "of which the registry hears once: the tag, and what it stands for")
    tap.diag(f"a pull of busybox took {answers[0]['us'] / 1000:.0f} ms")
    first = answers[0]["image"]
    tap.ok(first["digests"][0].startswith(f"{name}@sha256:") and first["tags"] == [f"{name}:1"], "its digest is known", first)
    begin = len(reg.log())
    again = d.pull(f"{name}:1")
    tap.is_([line for line in reg.log()[begin:] if "/blobs/" in line], [], "pulled again, nothing is transferred")
    tap.diag(f"a pull of what is there took {again['us'] / 1000:.0f} ms")
    tap.is_(d.good("pull", reference=first["digests"][0])["id"], first["id"], "it can be asked for by its digest")
    tap.is_(d.find(f"{name}:ignored@{first['digests'][0].split('@')[1]}")["id"], first["id"], "and is found by tag and digest")
    second = d.good("pull", reference=f"{name}:2")
    image.push(lab.path("two"), "v1", f"{name}:1", *reg.push_options())
    tap.is_(d.good("pull", reference=f"{name}:1")["id"], second["id"], "a tag that has moved moves here, too")
    old = d.find(first["id"])
    tap.is_((old["tags"], old["digests"]), ([], first["digests"]), "and the image that had it keeps its digest alone")
    bad = d.pull(f"{name}:nope")
    tap.is_((bad["outcome"], bad["message"]), ("refused", f"{name}:nope: not found"), "a tag that is not there")
    until(lambda: not helpers())
    time.sleep(0.05)  # until their ends were heard of
    files = open_files(d)
    for tag in [d.send("pull", reference=f"{name}:{i}") for i in (1, "nope", 2) for _ in range(8)]:
        d.wait(tag)
    until(lambda: not helpers() and open_files(d) == files)
    tap.is_(open_files(d), files, "pulls leave no files open")
    tap.is_(helpers(), [], "and no processes")
    d.kill()
    d.again()
    kept = {i["id"]: (sorted(i["tags"]), i["digests"]) for i in d.images()}
    tap.is_(kept, {first["id"]: ([], first["digests"]), second["id"]: (sorted([f"{name}:1", f"{name}:2"]), second["digests"])},
            "after kill -9 all of it is known again")
    d.end()
    plain = lab.driver()
    bad = plain.pull(f"{name}:1")
    tap.ok(bad["outcome"] == "unavailable" and "no TLS" in bad["message"], "plain HTTP is spoken only where registries.conf says so", bad)
    plain.end()
    mirrored = lab.driver(registriesConf=lab.write("mirror.conf", registry.mirror("docker.io/library", reg)))
    image.push(lab.path("one"), "v1", f"{reg.address}/mirrored:1", *reg.push_options())
    tap.is_(mirrored.good("pull", reference="mirrored:1")["tags"], ["docker.io/library/mirrored:1"], "a mirror is asked instead")
    mirrored.end()


def with_credentials(lab, reg):
    """skopeo is watched: what it is told, and how safe the secret lies meanwhile."""
    seen = lab.path("seen")
    spy = lab.write("skopeo", "#!/bin/sh\n"
                    f"echo \"$*\" >>{seen}; for a; do case $a in */auth.json) stat -c '%a %U' $a >>{seen};"
                    f" stat -c 'folder %a' $(dirname $a)/.. >>{seen};; esac; done\nexec /usr/bin/skopeo \"$@\"\n")
    os.chmod(spy, 0o755)
    image.push(lab.path("one"), "v1", f"{reg.address}/secret:1", *reg.push_options("ann"))
    d = lab.driver(certFolder=reg.ca, skopeo=spy)
    name = f"{reg.address}/secret:1"
    denied = d.pull(name)
    tap.ok(denied["outcome"] == "refused" and "pull access denied" in denied["message"], "without credentials it is denied", denied)
    denied = d.pull(name, credentials=[["ann", "wrong"]])
    tap.ok(denied["outcome"] == "refused" and "denied" in denied["message"], "with wrong ones, too", denied)
    tap.ok("wrong" not in denied["message"], "and the message does not tell them")
    pulled = d.pull(name, credentials=[["bob", "x"], ["ann", "pass:word"], ["never", "tried"]])
    tap.is_(pulled["outcome"], "pulled", "the right ones among several are found")
    d.ask("collect")
    both = [d.send("pull", reference=name, credentials=c) for c in ([["ann", "pass:word"]], [["eve", "x"]], [["ann", "pass:word"]])]
    tap.is_([d.wait(t)["outcome"] for t in both], ["pulled", "refused", "pulled"],
            "who has other credentials gets nothing by a pull that is under way, nor what it has left here")
    text = open(seen, encoding="utf-8").read()
    tap.ok("pass:word" not in text and "--creds" not in text, "no password is on a command line")
    modes = {line for line in text.splitlines() if line.startswith(("600 ", "folder "))}
    tap.is_(modes, {"600 root", "folder 700"}, "the file that has it is root's alone, in a closed folder")
    until(lambda: d.things()["trash"] == 0)
    left = subprocess.run(["grep", "-rl", "auths", d.folder], capture_output=True, text=True, check=False).stdout
    tap.is_(left, "", "and is gone afterwards")
    d.end()
    d = lab.driver()
    bad = d.pull(name, credentials=[["ann", "pass:word"]])
    tap.ok(bad["outcome"] == "unavailable" and "certificate is not trusted: x509" in bad["message"],
           "a registry whose CA is not known is not trusted", bad)
    d.end()


def mounted(lab):
    layout = lab.path("mounted")
    image.write(layout, [image.base(image.folder("./", mode=0o751), image.entry("suid", b"x", mode=0o4755),
                                    image.entry("a,b:c", b"odd"))], "v1")
    d = lab.driver()
    got = d.good("pull", reference=f"oci:{layout}:v1")
    times = []
    for i in range(20):
        folders = {key: lab.path(f"c,{i}/{key}") for key in ("upper", "work", "target")}
        for path in folders.values():
            os.makedirs(path, mode=0o700)
        answer = d.ask("mount", id=got["id"], **folders)
        times.append(answer["mountUs"])
    tap.is_(answer["result"], 0, "an image is mounted")
    tap.diag(f"a mount took {min(times)} us at least, {sorted(times)[10]} us in the middle")
    target = lab.path("c,3/target")
    tap.is_(stat.S_IMODE(os.stat(target).st_mode), 0o751, "its root looks as the image's")
    with open(f"{target}/etc/passwd", "w", encoding="utf-8") as file:
        file.write("mine")
    tap.is_((open(f"{lab.path('c,4/target')}/etc/passwd", "rb").read(), open(f"{got['rootfs']}/etc/passwd", "rb").read()),
            (image.PASSWD, image.PASSWD), "what one container writes is its own")
    outside = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "ls", got["rootfs"]], capture_output=True, text=True,
                             check=False)
    tap.ok(outside.returncode != 0 and "denied" in outside.stderr, "nobody else on the node reaches what the image brings")
    tap.is_(d.ask("collect")["freed"], 0, "what is mounted is not collected")
    bad = d.ask("mount", id="sha256:" + "0" * 64, **folders)
    tap.ok(bad["result"] < 0 and "not on this node" in bad["message"], "an image that is not there is named", bad)
    subprocess.run(["umount", *(lab.path(f"c,{i}/target") for i in range(20))], check=True)
    d.end()


def collected(lab):
    base = image.base(image.entry("shared", os.urandom(300000)))
    ids = {}
    for name in ("a", "b", "c"):
        ids[name] = image.write(lab.path("gc"), [base, image.layer(image.entry("own", os.urandom(200000)))], name)
    d = lab.driver()
    for name in ("b", "a", "c"):
        d.good("pull", reference=f"oci:{lab.path('gc')}:{name}")
        time.sleep(0.02)
    until(lambda: d.things()["trash"] == 0)
    tap.is_(d.things()["blobs/sha256"], 10, "three images share a layer")
    tap.is_(d.ask("collect", minAge=3600)["freed"], 0, "what is too young stays")
    before = tree_bytes(d.folder)
    freed = d.ask("collect", bytes=1, inUse=[ids["b"]])["freed"]
    tap.is_(sorted(i["id"] for i in d.images()), sorted([ids["b"], ids["c"]]), "the longest unused that is not in use goes first")
    until(lambda: d.things()["trash"] == 0)
    gone = before - tree_bytes(d.folder)
    tap.ok(freed > 600000 and abs(freed - gone) < 20000, "and so much was freed", (freed, gone))
    tap.is_(d.things()["blobs/sha256"], 7, "what others share stays")
    for key in ("upper", "work", "target"):
        os.makedirs(lab.path(f"use/{key}"))
    d.ask("mount", id=ids["b"], **{key: lab.path(f"use/{key}") for key in ("upper", "work", "target")})
    subprocess.run(["umount", lab.path("use/target")], check=True)
    d.kill()
    d.again()
    d.ask("collect", bytes=1)
    tap.is_([i["id"] for i in d.images()], [ids["b"]], "when it was used outlives kill -9")
    d.ask("collect")
    settled(d, {"records": 0, "rootfs": 0, "tmp": 0, "trash": 0, "blobs/sha256": 0}, "in the end nothing is left")
    tap.is_(d.good("pull", reference=f"oci:{lab.path('gc')}:a")["id"], ids["a"], "and can be pulled again")
    d.end()


def killed_anywhere(lab):
    """kill -9 at moments all over a pull; the next one finds all or nothing."""
    layout = lab.path("kill")
    wanted = image.write(layout, [image.base(image.entry("big", os.urandom(6000000)), *(image.entry(f"f{i}", b"x") for i in range(300)))], "v1")
    d = lab.driver()
    begin = time.monotonic()
    d.good("pull", reference=f"oci:{layout}:v1")
    whole = time.monotonic() - begin
    d.ask("collect")
    halves = 0
    for i in range(12):
        d.send("pull", reference=f"oci:{layout}:v1")
        time.sleep(whole * 1.05 * i / 12)
        d.kill()
        d.again()
        found = d.images()
        if found:
            files = sum(len(f) for _, _, f in os.walk(found[0]["rootfs"]))
            halves += found[0]["id"] != wanted or files != 303
            d.ask("collect")
        halves += d.ask("list").get("images") != []
    tap.is_(halves, 0, "killed at twelve moments of a pull, an image was there whole or not at all")
    tap.ok(not any("skopeo" in c or "umoci" in c for c in commands()), "and its programs died with it", commands())
    until(lambda: d.things()["trash"] == 0 and d.things()["tmp"] == 0)
    tap.is_(d.good("pull", reference=f"oci:{layout}:v1")["id"], wanted, "the next pull is a whole one")
    d.ask("collect")
    settled(d, {"records": 0, "rootfs": 0, "tmp": 0, "trash": 0, "blobs/sha256": 0}, "and nothing of the others is left")
    d.end()


def killed_loads(lab):
    d = lab.driver()
    for i in range(6):
        path = image.drop(d.folder, f"killed:{i}", lab.path("two"))
        time.sleep(0.03 * i)
        d.kill()
        d.again()
        if not (until(lambda n=i: d.find(f"killed:{n}")) and until(lambda p=path: not os.path.exists(p))):
            break
    tap.is_(len(d.images()[0]["tags"]), 6, "killed while it loads, it loads again")
    tap.is_(os.listdir(f"{d.folder}/load"), ["failed"], "and leaves nothing in load/")
    d.end()


def open_files(driver):
    return len(os.listdir(f"/proc/{driver.process.pid}/fd"))


def helpers():
    return [c for c in commands() if c.endswith(("skopeo", "umoci", "/rm"))]


def commands():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                found.append(file.read().split(b"\0")[0].decode())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def bad_records(lab):
    d = lab.driver()
    for name in ("one", "two"):
        d.good("load", source=f"oci:{lab.path(name)}:v1", reference=f"{name}:1")
    keep, spoil = d.find("one:1"), d.find("two:1")
    d.end()
    records = f"{d.folder}/records"
    path = f"{records}/{spoil['id'][7:]}.json"
    good = open(path, encoding="utf-8").read()
    for text, where in (("{\"id\":", "unexpected end of JSON"), ("[]", "id"), (good.replace('"rootfs":"', '"rootfs":"../'), "rootfs"),
                        (good.replace('"Cmd":[', '"Cmd":[7,'), "config.Cmd[0]: a string is expected, not a number"),
                        (good.replace("docker.io/library/two:1", "two:1"), "tags[0]"), ("", "unexpected end of JSON"),
                        (good.replace(spoil["id"], keep["id"]), "whose record is")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        d.again()
        until(lambda: any("level=error" in line for line in d.said), 2)
        said = [i["id"] for i in d.images()], [line for line in d.said if "level=error" in line]
        tap.ok(said[0] == [keep["id"]] and len(said[1]) == 1 and spoil["id"][7:] in said[1][0] and where in said[1][0],
               f"a record with {text[:20]!r}... is named and left out", said)
        d.end()
    d.again()
    d.good("load", source=f"oci:{lab.path('two')}:v1", reference="two:1")
    tap.is_(len(d.images()), 2, "and its image can be had again")
    other = subprocess.run([os.path.join(imagelab.BUILD, "kubelet_images"), json.dumps({"folder": d.folder})], capture_output=True,
                           text=True, check=False)
    tap.ok(other.returncode == 1 and "another process" in other.stderr, "one process at a time has the folder", other)
    base = lab.rss(d)
    d.end()
    record = json.loads(open(f"{records}/{keep['id'][7:]}.json", encoding="utf-8").read())
    for i in range(200):
        record["id"], record["tags"] = image.digest(str(i).encode()), [f"docker.io/library/many:{i}"]
        with open(f"{records}/{record['id'][7:]}.json", "w", encoding="utf-8") as file:
            json.dump(record, file)
    d.again()
    tap.is_(len(d.images()), 202, "two hundred more are known")
    tap.diag(f"RSS of the driver: {base} KiB with 2 images, {lab.rss(d)} KiB with 202")
    tap.ok(lab.rss(d) - base < 2048, "and cost less than 2 MB of memory", (base, lab.rss(d)))
    d.end()


def story(lab):
    image.busybox(lab.path("one"), "v1")
    image.busybox(lab.path("two"), "v1", image.layer(image.entry("two", b"2")))
    from_the_disk(lab)
    by_ordinary_names(lab)
    with registry.Registry(lab.path("plain"), "127.0.0.21") as plain:
        from_a_registry(lab, plain)
    with registry.Registry(lab.path("tls"), "127.0.0.22", tls=True, users={"ann": "pass:word"}) as tls:
        with_credentials(lab, tls)
    mounted(lab)
    collected(lab)
    killed_anywhere(lab)
    killed_loads(lab)
    bad_records(lab)


imagelab.main(story, registry.available)
