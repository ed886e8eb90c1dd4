#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""schemagen, against small tables that it takes and such as it must refuse, with the line."""

import os
import subprocess
import sys
import tempfile

DEV = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(DEV, "..", "..", "tests", "harness"))

import tap

PACKAGE = "package a.v1 io.a.v1 group=a version=v1\n"
TYPES = PACKAGE + "kind Thing\n        spec Spec\nstruct Spec\n        size *int32\n        names []string set\n"
RESOURCES = "group a v1\nresource things Thing namespaced\n        verbs standard\n        sub status a/v1 Thing get\n"
PROTOBUF = "package a.v1 io.a.v1\nmessage Thing\n        2 spec Spec\nmessage Spec\n        1 size int32\n"

# mode, name, types, resources, protobuf, exit code, what the output says
CASES = [
    ("schema", "good tables give C", TYPES, RESOURCES, PROTOBUF, 0, '{ "size", { .kind = SCHEMA_INT32 }, SCHEMA_POINTER }'),
    ("schema", "a struct by value is always written", TYPES, RESOURCES, PROTOBUF, 0, "SCHEMA_ALWAYS }"),
    ("protobuf", "good messages give C", TYPES, RESOURCES, PROTOBUF, 0, '{ 1, PB_INT, PB_ONE, "size", NULL }'),
    ("schema", "an unknown type", TYPES + "        x Nothing\n", RESOURCES, PROTOBUF, 1, 'types.txt:7: unknown type "Nothing"'),
    ("schema", "an unknown package", TYPES + "        x b.v1.Spec\n", RESOURCES, PROTOBUF, 1, "types.txt:7: unknown type"),
    ("schema", "a field given twice", TYPES + "        size int64\n", RESOURCES, PROTOBUF, 1, 'types.txt:7: Spec has "size" twice'),
    ("schema", "a struct given twice", TYPES + "struct Spec\n", RESOURCES, PROTOBUF, 1, "types.txt:7: io.a.v1.Spec is there already"),
    ("schema", "an unknown mark", TYPES + "        x int32 often\n", RESOURCES, PROTOBUF, 1, 'types.txt:7: unknown mark "often"'),
    ("schema", "a map list without keys", TYPES + "        x []Spec map\n", RESOURCES, PROTOBUF, 1, 'types.txt:7: unknown mark "map"'),
    ("schema", "a set that is no list", TYPES + "        x int32 set\n", RESOURCES, PROTOBUF, 1, 'types.txt:7: "set" is for lists only'),
    ("schema", "a field outside of a struct", PACKAGE + "        x int32\n", RESOURCES, PROTOBUF, 1, "types.txt:2: a field outside"),
    ("schema", "more fields than readers have bits for", TYPES + "".join(f"        x{i} int32\n" for i in range(63)), RESOURCES,
     PROTOBUF, 1, "types.txt:4: Spec has more than 64 fields"),
    ("schema", "a resource of an unknown kind", TYPES, RESOURCES.replace("Thing n", "Thong n"), PROTOBUF, 1,
     "resources.txt:2: types.txt has no kind Thong in a/v1"),
    ("schema", "an unknown verb", TYPES, RESOURCES.replace("standard", "get fetch"), PROTOBUF, 1, 'resources.txt:3: unknown verb "fetch"'),
    ("schema", "a resource without verbs", TYPES, "group a v1\nresource things Thing cluster\n", PROTOBUF, 1,
     "resources.txt:2: things has no verbs"),
    ("schema", "a resource given twice", TYPES, RESOURCES + RESOURCES, PROTOBUF, 1, "resources.txt:6: things given twice"),
    ("protobuf", "a number given twice", TYPES, RESOURCES, PROTOBUF + "        1 names []string\n", 1,
     "protobuf.txt:6: Spec has field 1 twice"),
    ("protobuf", "an unknown message", TYPES, RESOURCES, PROTOBUF + "        2 names Names\n", 1,
     'protobuf.txt:6: unknown message "Names"'),
    ("protobuf", "a field that JSON lacks", TYPES, RESOURCES, PROTOBUF + "        2 weight int32\n", 1,
     'protobuf.txt:6: types.txt has no field "weight" in Spec'),
]


def run(mode, types, resources, protobuf):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("types", types), ("resources", resources), ("protobuf", protobuf)):
            with open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8") as f:
                f.write(text)
        return subprocess.run([sys.executable, os.path.join(DEV, "schemagen.py"), mode, folder], capture_output=True,
                              text=True, check=False)


def main():
    for mode, name, types, resources, protobuf, want, says in CASES:
        done = run(mode, types, resources, protobuf)
        output = done.stdout + done.stderr
        tap.ok(done.returncode == want and says in output, f"{mode}: {name}", f"exit code {done.returncode}\n{output}")
    tap.done()


main()
