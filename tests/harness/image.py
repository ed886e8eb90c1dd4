# SPDX-License-Identifier: Apache-2.0
"""Container images made by hand: OCI layouts and archives, with busybox, with a static program of the test's own, or with
anything else in their layers (also what no tool would write).

    image.busybox("/tmp/x/layout", "v1", Cmd=["sh"])             # an OCI layout; pods may say oci:/tmp/x/layout:v1
    image.drop("/var/lib/fairlead/images", "docker.io/library/demo:1", "/tmp/x/layout")   # or have it by an ordinary name
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.parse

FOLDERS = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var")
PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:1234:55::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = b"root:x:0:\nextra:x:77:app\n"


def entry(name, data=b"", kind=tarfile.REGTYPE, **fields):
    """A member of a layer: its header and its bytes. fields are those of tarfile.TarInfo (mode, linkname, uid, devmajor, ...)."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(data), 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name, **fields):
    return entry(name, kind=tarfile.DIRTYPE, **fields)


def link(name, to, **fields):
    return entry(name, kind=tarfile.SYMTYPE, linkname=to, **fields)


def hardlink(name, to, **fields):
    return entry(name, kind=tarfile.LNKTYPE, linkname=to, **fields)


def layer(*entries):
    """A tar's bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put(layout, data, media_type):
    os.makedirs(f"{layout}/blobs/sha256", exist_ok=True)
    with open(f"{layout}/blobs/sha256/{digest(data)[7:]}", "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def configuration(layers, architecture="amd64", **config):
    return {"architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]}}


def replace(path, text):
    """So that whoever reads it meanwhile reads the one or the other."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def write(layout, layers, tag="latest", config=None, packed=True, **fields):
    """Adds an image to an OCI layout (a folder that is made when it is not there). layers: tars. config: the whole
    configuration (a dict, or bytes to have them as they are), else fields become its "config" (Cmd=, Env=, ...).
    Returns its id, the digest of its configuration."""
    whole = config if config is not None else configuration(layers, **fields)
    whole = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
    kind = "application/vnd.oci.image."
    blobs = [put(layout, gzip.compress(x, 1, mtime=0) if packed else x, kind + "layer.v1.tar" + ("+gzip" if packed else ""))
             for x in layers]
    manifest = {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": put(layout, whole, kind + "config.v1+json"),
                "layers": blobs}
    descriptor = put(layout, json.dumps(manifest).encode(), kind + "manifest.v1+json")
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": tag}
    index = {"schemaVersion": 2, "manifests": []}
    if os.path.exists(f"{layout}/index.json"):
        with open(f"{layout}/index.json", encoding="utf-8") as file:
            index = json.load(file)
    index["manifests"] = [m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] != tag]
    index["manifests"].append(descriptor)
    replace(f"{layout}/index.json", json.dumps(index))
    replace(f"{layout}/oci-layout", '{"imageLayoutVersion": "1.0.0"}')
    return digest(whole)


def base(*more):
    """The layer of every useful image here: the usual folders, users, and what more says."""
    folders = [folder(f"{name}/", mode=0o1777 if name == "tmp" else 0o755) for name in FOLDERS]
    return layer(folder("./"), *folders, entry("etc/passwd", PASSWD), entry("etc/group", GROUP), *more)


def busybox_layer():
    with open("/bin/busybox", "rb") as file:
        program = file.read()
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    return base(entry("bin/busybox", program, mode=0o755), *(link(f"bin/{a}", "busybox") for a in applets if a != "busybox"))


def busybox(layout, tag="latest", *more, **config):
    """An image with Debian's static busybox. more: further layers."""
    config = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], **config}
    return write(layout, [busybox_layer(), *more], tag, **config)


def compiled(source):
    """The bytes of a static program, of C's text."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["gcc", "-static", "-O1", "-s", "-x", "c", "-", "-o", f"{work}/program"], input=source.encode(), check=True)
        with open(f"{work}/program", "rb") as file:
            return file.read()


def program(layout, tag, source, **config):
    """An image with one static program, /bin/program, made of C's text."""
    config = {"Entrypoint": ["/bin/program"], **config}
    return write(layout, [base(entry("bin/program", compiled(source), mode=0o755))], tag, **config)


def archive(layout, path):
    """An oci-archive of a layout."""
    with tarfile.open(path, "w") as tar:
        for name in ("oci-layout", "index.json", "blobs"):
            tar.add(f"{layout}/{name}", arcname=name)


def docker_archive(path, layers, name, **config):
    """What `docker save` writes. Returns the image's id in Docker's own terms."""
    whole = json.dumps(configuration(layers, **config)).encode()
    files = {f"{digest(whole)[7:]}.json": whole, **{f"{digest(x)[7:]}.tar": x for x in layers}}
    files["manifest.json"] = json.dumps([{"Config": f"{digest(whole)[7:]}.json", "RepoTags": [name],
                                          "Layers": [f"{digest(x)[7:]}.tar" for x in layers]}]).encode()
    with open(path, "wb") as file:
        file.write(layer(*(entry(n, data) for n, data in files.items())))
    return digest(whole)


def load_name(reference, end=".tar"):
    """What a file in <images>/load is called that shall become the image of that name."""
    return urllib.parse.quote(reference, safe="") + end


def drop(images, reference, layout):
    """Has a kubelet with that folder of images load the only image of a layout under an ordinary name. It need not run; the
    file is gone when it is done."""
    os.makedirs(f"{images}/load", mode=0o700, exist_ok=True)
    final = f"{images}/load/{load_name(reference)}"
    archive(layout, f"{images}/load/.{os.getpid()}.tar")
    os.rename(f"{images}/load/.{os.getpid()}.tar", final)
    return final


def push(layout, tag, name, *options):
    """Into a registry ("127.0.0.1:5000/demo:1")."""
    subprocess.run(["skopeo", "copy", "-q", *options, f"oci:{layout}:{tag}", f"docker://{name}"], check=True)


def available():
    return all(shutil.which(name) for name in ("skopeo", "umoci")) and os.path.exists("/bin/busybox")
