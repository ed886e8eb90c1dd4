#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What the API means: identity, versions, deletion, dry runs, field validation, forms of answers, paging, subresources."""

import base64
import os
import re
import subprocess
import sys
import time
from urllib.parse import quote as percent

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import (PARTIAL, PARTIAL_LIST, TABLE, Client, causes, config_map, is_status, pod, run_story,  # noqa: E402
                    said, together)

NS = "/api/v1/namespaces/default"
CM, PODS, SVC = NS + "/configmaps", NS + "/pods", NS + "/services"
APPS = "/apis/apps/v1/namespaces/default"
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
TIME = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


def deployment(name, replicas=1):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}}


def meta(answer):
    return answer.json()["metadata"]


def version(answer):
    return int(meta(answer)["resourceVersion"])


def names(answer):
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def identity(c):
    first = c.post(CM, {"metadata": {"generateName": "gen-"}})
    tap.is_(first.status, 201, "create: generateName")
    tap.like(meta(first)["name"], "^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$", "create: the name gets five safe letters")
    tap.like(meta(first)["uid"], UUID, "create: a uid")
    tap.like(meta(first)["creationTimestamp"], TIME, "create: a creationTimestamp")
    tap.is_(first.json()["apiVersion"] + first.json()["kind"], "v1ConfigMap", "create: kind and apiVersion are filled in")
    given = c.post(CM, {"metadata": {"name": "own", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z",
                                     "resourceVersion": "", "selfLink": "/x", "generation": 7}})
    tap.ok(given.status == 201 and re.match(UUID, meta(given)["uid"]), "create: a uid of the client's is not taken", given.body)
    tap.ok(meta(given)["creationTimestamp"] > "2020", "create: nor its creationTimestamp")
    tap.ok("selfLink" not in meta(given), "create: nor its selfLink")
    tap.like(said(c.post(CM, {"metadata": {"name": "own2", "resourceVersion": "5"}})),
                               "resourceVersion should not be set on objects to be created", "create: no resourceVersion")
    is_status(c.post(CM, config_map("own")), 409, "AlreadyExists", '^configmaps "own" already exists$',
              "create: twice is AlreadyExists")
    is_status(c.post(CM, {"metadata": {}}), 422, "Invalid", "name or generateName is required", "create: without a name")
    is_status(c.post(CM, config_map("Upper_Case")), 422, "Invalid",
              'ConfigMap "Upper_Case" is invalid: metadata.name: Invalid value: "Upper_Case": a lowercase RFC 1123 subdomain',
              "create: a bad name is Invalid")
    is_status(c.post(CM, {"metadata": {"name": "x", "namespace": "other"}}), 400, "BadRequest",
              "the namespace of the provided object does not match the namespace sent on the request",
              "create: another namespace than the path's")
    is_status(c.post("/api/v1/namespaces/nosuch/configmaps", config_map("x")), 404, "NotFound",
              '^namespaces "nosuch" not found$', "create: in no namespace")
    tap.ok(version(given) > version(first), "create: resourceVersion is one growing counter")


def generation(c):
    url = APPS + "/deployments/gen"
    made = c.post(APPS + "/deployments", deployment("gen"))
    tap.is_(meta(made).get("generation"), 1, "generation: 1 at first")
    tap.is_(meta(c.patch(url, {"spec": {"replicas": 3}}))["generation"], 2, "generation: grows with spec")
    tap.is_(meta(c.patch(url, {"metadata": {"labels": {"a": "b"}}}))["generation"], 2, "generation: not with labels")
    tap.is_(meta(c.patch(url + "/status", {"status": {"replicas": 3}}))["generation"], 2, "generation: not with status")
    same = c.get(url)
    again = c.patch(url, {"spec": {"replicas": 3}})
    tap.is_((again.status, version(again)), (200, version(same)), "an update that changes nothing makes no revision")
    stale = same.json()
    c.patch(url, {"spec": {"replicas": 4}})
    stale["spec"]["replicas"] = 9
    is_status(c.put(url, stale), 409, "Conflict",
              '^Operation cannot be fulfilled on deployments.apps "gen": the object has been modified; please apply your '
              'changes to the latest version and try again$', "a stale resourceVersion is a Conflict")
    tap.is_(c.get(url).json()["spec"]["replicas"], 4, "and changes nothing")
    is_status(c.patch(url, {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 5}}), 409, "Conflict",
              "the object has been modified", "also in a patch that names a resourceVersion")
    del stale["metadata"]["resourceVersion"]
    tap.is_(c.put(url, stale).status, 200, "an update without resourceVersion is unconditional")
    stale["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    is_status(c.put(url, stale), 409, "Conflict", "Precondition failed: UID in precondition: 0{8}-.*, UID in object meta: ",
              "an update with another uid is a Conflict")
    is_status(c.put(APPS + "/deployments/other", deployment("gen")), 400, "BadRequest",
              r"the name of the object \(gen\) does not match the name on the URL \(other\)", "PUT: name and URL agree")
    is_status(c.put(APPS + "/deployments/none", deployment("none")), 404, "NotFound",
              '^deployments.apps "none" not found$', "PUT: of nothing")
    kept = c.put(url, {**deployment("gen", 9), "status": {"replicas": 77}}).json()
    tap.is_(kept["status"].get("replicas"), 3, "PUT: status is not changed")
    kept = c.put(url + "/status", {**deployment("gen", 1), "status": {"replicas": 5}}).json()
    tap.is_((kept["spec"]["replicas"], kept["status"]["replicas"]), (9, 5), "PUT on status: only status is changed")


def deletion(c):
    c.post(CM, {"metadata": {"name": "fin", "finalizers": ["example.com/hold"]}})
    held = c.delete(CM + "/fin")
    tap.ok(held.status == 200 and held.json()["kind"] == "ConfigMap" and meta(held).get("deletionTimestamp"),
           "finalizers: deletion only marks", held.body)
    tap.is_(meta(held).get("deletionGracePeriodSeconds"), 0, "finalizers: grace 0")
    tap.is_(c.get(CM + "/fin").status, 200, "finalizers: it is still there")
    is_status(c.patch(CM + "/fin", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}), 422, "Invalid",
              "Forbidden: no new finalizers can be added if the object is being deleted",
              "finalizers: none can be added now")
    gone = c.patch(CM + "/fin", {"metadata": {"finalizers": None}})
    tap.is_((gone.status, c.get(CM + "/fin").status), (200, 404), "finalizers: removing the last one ends it")
    is_status(c.delete(CM + "/fin"), 404, "NotFound", '^configmaps "fin" not found$', "delete: of nothing")

    uid = meta(c.post(CM, config_map("pre")))["uid"]
    is_status(c.delete(CM + "/pre", {"preconditions": {"uid": "wrong"}}), 409, "Conflict",
              f'Operation cannot be fulfilled on configmaps "pre": Precondition failed: UID in precondition: wrong, '
              f'UID in object meta: {uid}', "preconditions: uid")
    is_status(c.delete(CM + "/pre", {"preconditions": {"resourceVersion": "1"}}), 409, "Conflict",
              "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: ",
              "preconditions: resourceVersion")
    done = c.delete(CM + "/pre", {"preconditions": {"uid": uid}})
    tap.is_((done.json()["kind"], done.json()["status"], done.json()["details"]["uid"]), ("Status", "Success", uid),
            "delete: answers Status Success with the uid")

    for policy, want in (("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"]), ("Background", None)):
        name = "pp-" + policy.lower()
        c.post(APPS + "/deployments", deployment(name))
        c.delete(APPS + "/deployments/" + name, {"propagationPolicy": policy})
        left = c.get(APPS + "/deployments/" + name)
        got = meta(left).get("finalizers") if left.status == 200 else None
        tap.is_(got, want, f"propagationPolicy {policy}: finalizers")
    tap.is_(c.delete(APPS + "/deployments/gen?propagationPolicy=Foreground").json()["metadata"].get("finalizers"),
            ["foregroundDeletion"], "propagationPolicy in the query")
    is_status(c.delete(CM + "/own", {"propagationPolicy": "Sideways"}), 422, "Invalid",
              'invalid: propagationPolicy: Unsupported value: "Sideways": supported values: ', "propagationPolicy: unknown")
    is_status(c.delete(CM + "/own", {"propagationPolicy": "Orphan", "orphanDependents": True}), 422, "Invalid",
              "orphanDependents and deletionPropagation cannot be both set", "propagationPolicy with orphanDependents")

    c.post(PODS, pod("free"))
    tap.is_((c.delete(PODS + "/free").status, c.get(PODS + "/free").status), (200, 404), "a pod without a node goes at once")
    c.post(PODS, pod("bound", nodeName="n1"))
    ending = c.delete(PODS + "/bound")
    tap.is_((ending.status, meta(ending).get("deletionGracePeriodSeconds")), (200, 30), "a pod on a node ends gracefully")
    tap.ok(meta(ending)["deletionTimestamp"] > meta(ending)["creationTimestamp"], "its deletionTimestamp lies ahead")
    tap.is_(meta(c.delete(PODS + "/bound", {"gracePeriodSeconds": 5}))["deletionGracePeriodSeconds"], 5, "grace can be shortened")
    tap.is_(meta(c.delete(PODS + "/bound", {"gracePeriodSeconds": 60}))["deletionGracePeriodSeconds"], 5, "but not lengthened")
    tap.is_((c.delete(PODS + "/bound", {"gracePeriodSeconds": 0}).status, c.get(PODS + "/bound").status), (200, 404),
            "grace 0 ends it")
    is_status(c.delete(CM + "/own", {"kind": "ConfigMap", "apiVersion": "v1"}), 400, "BadRequest",
              "cannot be converted to DeleteOptions", "delete: a body of another kind")


def dry_run(c):
    made = c.post(CM + "?dryRun=All", config_map("dry"))
    tap.ok(made.status == 201 and re.match(UUID, meta(made)["uid"]), "dryRun: create answers the object", made.body)
    tap.ok("resourceVersion" not in meta(made) or meta(made)["resourceVersion"] == "", "dryRun: it has no resourceVersion",
           meta(made))
    tap.is_(c.get(CM + "/dry").status, 404, "dryRun: create leaves nothing")
    tap.is_(c.patch(CM + "/own?dryRun=All", {"data": {"a": "b"}}).json()["data"], {"a": "b"}, "dryRun: patch answers the change")
    tap.ok("data" not in c.get(CM + "/own").json(), "dryRun: patch leaves nothing")
    tap.is_(c.delete(CM + "/own?dryRun=All").status, 200, "dryRun: delete")
    tap.is_(c.get(CM + "/own").status, 200, "dryRun: delete leaves it")
    tap.is_(c.delete(CM + "/own", {"dryRun": ["All"]}).status, 200, "dryRun: delete, in the body")
    tap.is_(c.delete(CM + "?dryRun=All").status, 200, "dryRun: deletecollection")
    tap.is_(c.get(CM + "/own").status, 200, "dryRun: deletes leave it")
    port = {"spec": {"type": "NodePort", "clusterIP": "10.96.77.1", "ports": [{"port": 80, "nodePort": 31234}]}}
    dry = c.post(SVC + "?dryRun=All", {"metadata": {"name": "s"}, **port})
    tap.is_((dry.status, dry.json().get("spec", {}).get("clusterIP")), (201, "10.96.77.1"), "dryRun: a Service")
    tap.is_(c.post(SVC, {"metadata": {"name": "s2"}, **port}).status, 201, "dryRun: left no address and no node port taken")
    c.delete(SVC + "/s2")
    c.post(SVC + "?dryRun=All", {"metadata": {"name": "s3"}, "spec": {"ports": [{"port": 1}]}})
    tap.is_([i["metadata"]["name"] for i in c.get("/apis/networking.k8s.io/v1/ipaddresses").json()["items"]], ["10.96.0.1"],
            "dryRun: no IPAddress is left")
    tap.like(
        said(c.post(CM + "?dryRun=Some", config_map("dry"))), 'dryRun: Unsupported value: (\\[?"Some"\\]?|"Some")',
        "dryRun: an unknown value")


def field_validation(c):
    unknown = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fv", "nonsense": 1}, "dta": {"a": "b"}}
    is_status(c.post(CM + "?fieldValidation=Strict", unknown), 400, "BadRequest",
              r'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field '
              r'"dta", unknown field "metadata.nonsense"|unknown field "metadata.nonsense", unknown field "dta"',
              "fieldValidation Strict: unknown fields")
    is_status(c.post(CM + "?fieldValidation=Strict", b'{"metadata":{"name":"fv"},"data":{"a":"1","a":"2"}}'), 400,
              "BadRequest", 'strict decoding error: duplicate field "data.a"', "fieldValidation Strict: a duplicate field")
    warned = c.post(CM + "?fieldValidation=Warn", unknown)
    tap.is_(warned.status, 201, "fieldValidation Warn: is taken")
    tap.is_(sorted(warned.headers.get_all("Warning") or []), ['299 - "unknown field \\"dta\\""',
            '299 - "unknown field \\"metadata.nonsense\\""'], "fieldValidation Warn: a Warning each")
    tap.ok("dta" not in warned.json() and "nonsense" not in meta(warned), "unknown fields are pruned")
    c.delete(CM + "/fv")
    tap.is_(len(c.post(CM, unknown).headers.get_all("Warning") or []), 2, "fieldValidation: Warn is the default")
    c.delete(CM + "/fv")
    silent = c.post(CM + "?fieldValidation=Ignore", unknown)
    tap.is_((silent.status, silent.headers.get_all("Warning")), (201, None), "fieldValidation Ignore: no word")
    tap.like(said(c.post(CM + "?fieldValidation=Loud", config_map("fv2"))),
                      'fieldValidation: (Unsupported|Invalid) value: "Loud"', "fieldValidation: an unknown value")
    for kind in ("merge", "strategic"):
        is_status(c.patch(CM + "/fv?fieldValidation=Strict", {"spec": 1}, kind), 400, "BadRequest",
                  'strict decoding error: unknown field "spec"', f"fieldValidation Strict: {kind} patch")


def rules(c):
    c.post(CM, {"metadata": {"name": "imm"}, "immutable": True, "data": {"a": "b"}})
    is_status(c.patch(CM + "/imm", {"data": {"a": "c"}}), 422, "Invalid",
              'ConfigMap "imm" is invalid: data: Forbidden: field is immutable when `immutable` is set', "an immutable ConfigMap")
    is_status(c.patch(CM + "/imm", {"immutable": False}), 422, "Invalid",
              "immutable: Forbidden: field is immutable when `immutable` is set", "an immutable ConfigMap stays so")
    c.post(APPS + "/deployments", deployment("sel"))
    is_status(c.patch(APPS + "/deployments/sel", {"spec": {"selector": {"matchLabels": {"app": "x"}},
                                                           "template": {"metadata": {"labels": {"app": "x"}}}}}),
              422, "Invalid", 'spec.selector: Invalid value: .*: field is immutable', "a Deployment's selector is immutable")
    bad = deployment("bad")
    bad["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    is_status(c.post(APPS + "/deployments", bad), 422, "Invalid",
              'spec.template.metadata.labels: Invalid value: .*`selector` does not match template `labels`',
              "a Deployment's selector fits its template")
    c.post(PODS, pod("p"))
    is_status(c.patch(PODS + "/p", {"spec": {"nodeName": "n9"}}), 422, "Invalid",
              "spec: Forbidden: pod updates may not change fields other than ", "a Pod's spec is immutable")
    tap.is_(c.patch(PODS + "/p", {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}, "strategic").status, 200,
            "but for images")
    is_status(c.patch(PODS + "/p", {"metadata": {"name": "q"}}), 400, "BadRequest",
              r"the name of the object \(q\) does not match the name on the URL \(p\)", "a name does not change")
    is_status(c.post(SVC, {"metadata": {"name": "1bad"}, "spec": {"ports": [{"port": 1}]}}), 422, "Invalid",
              "metadata.name: Invalid value: \"1bad\": a DNS-1035 label must", "a Service's name is an RFC 1035 label")
    tap.is_(causes(c.post(PODS, {"metadata": {"name": "none"}, "spec": {"containers": []}})),
            [("FieldValueRequired", "spec.containers", "Required value")], "causes name field and reason")
    is_status(c.post(CM, config_map("big", k="x" * 1048577)), 422, "Invalid",
              'ConfigMap "big" is invalid: \\[\\]: Too long: may not be more than 1048576 bytes', "size: data of a ConfigMap")
    is_status(c.post(CM, {"metadata": {"name": "ann", "annotations": {"a": "x" * 262145}}}), 422, "Invalid",
              "metadata.annotations: Too long: may not be more than 262144 bytes", "size: annotations")
    is_status(c.post(CM, config_map("lab", {"a": "b c"})), 422, "Invalid",
              'metadata.labels\\[a\\]: Invalid value: "b c": a valid label must be', "labels: a bad value")
    is_status(c.post(CM, config_map("lab", {"a/b/c": "d"})), 422, "Invalid",
              'metadata.labels: Invalid value: "a/b/c": a valid label key must consist of', "labels: a bad key")
    is_status(c.post(CM, config_map("lab", {"a": 1})), 400, "BadRequest", "", "labels: a number")


def forms(c):
    partial = c.get(CM + "/imm", PARTIAL)
    tap.is_((partial.json()["kind"], partial.json()["apiVersion"], "data" in partial.json()),
            ("PartialObjectMetadata", "meta.k8s.io/v1", False), "PartialObjectMetadata")
    many = c.get(CM, PARTIAL_LIST).json()
    tap.is_((many["kind"], all("data" not in i for i in many["items"]), bool(many["metadata"]["resourceVersion"])),
            ("PartialObjectMetadataList", True, True), "PartialObjectMetadataList")
    table = c.get(CM, TABLE).json()
    tap.is_((table["kind"], table["apiVersion"], table["columnDefinitions"][0]["name"]),
            ("Table", "meta.k8s.io/v1", "Name"), "Table")
    tap.is_(len(table["rows"][0]["cells"]), len(table["columnDefinitions"]), "Table: a cell for each column")
    tap.is_(table["rows"][0]["object"]["kind"], "PartialObjectMetadata", "Table: rows carry their metadata")
    tap.ok("object" not in c.get(CM + "?includeObject=None", TABLE).json()["rows"][0] or
           c.get(CM + "?includeObject=None", TABLE).json()["rows"][0]["object"] is None, "Table: includeObject=None")
    tap.is_(c.get(CM + "?includeObject=Object", TABLE).json()["rows"][0]["object"]["kind"], "ConfigMap",
            "Table: includeObject=Object")
    tap.is_(c.get(CM + "/imm", TABLE).json()["rows"][0]["cells"][0], "imm", "Table: of one object")
    tap.is_(c.get(CM + "/imm", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").json()["kind"], "Table",
            "Accept: the first that is known")
    tap.is_(c.get(CM + "/imm", "application/vnd.kubernetes.protobuf,application/json").json()["kind"], "ConfigMap",
            "Accept: JSON when protobuf is asked first")
    is_status(c.get(CM + "/imm", "text/html"), 406, "NotAcceptable",
              "^only the following media types are accepted: application/json", "Accept: none known is 406")
    zipped = c.request("GET", "/api/v1/namespaces/default/configmaps/imm", headers={"Accept-Encoding": "gzip"})
    tap.is_(zipped.headers.get("Content-Encoding"), None, "a small answer is not compressed")
    c.post(CM, config_map("large", k="x" * 200000))
    zipped = c.request("GET", CM, headers={"Accept-Encoding": "gzip"})
    tap.is_(zipped.headers.get("Content-Encoding"), "gzip", "a large list is, when asked for")
    tap.ok(len(zipped.body) < 20000, "and so it is small", len(zipped.body))
    tap.is_(c.get(CM + "/large?pretty=true").body.count(b"\n") > 5, True, "pretty=true")


def selectors(c):
    for name, labels in (("l1", {"app": "a", "tier": "1"}), ("l2", {"app": "b", "tier": "2"}), ("l3", {"tier": "3"}),
                         ("l4", {"app": ""})):
        c.post(NS + "/secrets", {"metadata": {"name": name, "labels": labels}})
    for selector, want in (("app=a", "l1"), ("app==a", "l1"), ("app!=a", "l2 l3 l4"), ("app in (a,b)", "l1 l2"),
                           ("app notin (a,b)", "l3 l4"), ("app", "l1 l2 l4"), ("!app", "l3"), ("app=", "l4"),
                           ("tier>1", "l2 l3"), ("tier<2", "l1"), ("app,tier=2", "l2"), ("app in (a),tier notin (2)", "l1"),
                           ("nosuch=x", ""), ("", "l1 l2 l3 l4")):
        answer = c.get(NS + "/secrets?labelSelector=" + quote(selector))
        tap.is_(" ".join(names(answer)) if answer.status == 200 else said(answer), want, f"labelSelector: {selector}")
    for selector in ("a b", "app in (a", "=", "app=a,,", "a/b/c=d", "app in a", "x=" + "y" * 64):
        is_status(c.get(NS + "/secrets?labelSelector=" + quote(selector)), 400, "BadRequest", ".", f"labelSelector: {selector[:20]}")
    c.post(PODS, pod("f1", nodeName="n1", serviceAccountName="default"))
    c.patch(PODS + "/f1/status", {"status": {"phase": "Running", "podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}})
    c.post(PODS, pod("f2", nodeName="n2", restartPolicy="Never"))
    for path, selector, want in (
            (PODS, "metadata.name=f1", "f1"), (PODS, "spec.nodeName=n1", "f1"), (PODS, "spec.nodeName!=n1", "f2 p"),
            (PODS, "status.phase=Running", "f1"), (PODS, "status.phase!=Running,spec.nodeName=n2", "f2"),
            (PODS, "spec.restartPolicy=Never", "f2"), (PODS, "status.podIP=10.0.0.9", "f1"),
            (PODS, "spec.schedulerName=default-scheduler", "f1 f2 p"), (PODS, "spec.serviceAccountName=default", None),
            (PODS, "spec.hostNetwork=false", "f1 f2 p"), (PODS, "status.nominatedNodeName=", "f1 f2 p"),
            (NS + "/secrets", "type=Opaque", "l1 l2 l3 l4"), (NS + "/secrets", "metadata.name=l1,type=Opaque", "l1"),
            ("/api/v1/namespaces", "status.phase=Active", "default kube-node-lease kube-public kube-system"),
            ("/api/v1/namespaces", "metadata.name=default", "default"),
            (SVC, "spec.type=ClusterIP", "kubernetes"), (SVC, "spec.clusterIP=10.96.0.1", "kubernetes"),
            ("/api/v1/pods", "metadata.namespace=default", "f1 f2 p"),
            (APPS + "/deployments", "metadata.name=sel", "sel"), ("/api/v1/nodes", "spec.unschedulable=false", "")):
        answer = c.get(path + "?fieldSelector=" + quote(selector))
        got = " ".join(names(answer)) if answer.status == 200 else said(answer)
        if want is None:
            tap.is_(answer.status, 200, f"fieldSelector: {selector}")
        else:
            tap.is_(got, want, f"fieldSelector: {path.rsplit('/', 1)[1]} {selector}")
    is_status(c.get(PODS + "?fieldSelector=spec.nope%3D1"), 400, "BadRequest",
              'field label not supported: spec.nope|"spec.nope" is not a known field selector',
              "fieldSelector: an unknown field of pods")
    is_status(c.get(CM + "?fieldSelector=data.x%3D1"), 400, "BadRequest",
              '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
              "fieldSelector: an unknown field of others")
    is_status(c.get(PODS + "?fieldSelector=status.phase"), 400, "BadRequest", "invalid selector", "fieldSelector: no operator")
    c.delete(NS + "/secrets?labelSelector=app")
    tap.is_(names(c.get(NS + "/secrets")), ["l3"], "deletecollection: by labels")
    gone = c.delete(PODS + "?fieldSelector=spec.restartPolicy%3DNever", {"gracePeriodSeconds": 0})
    tap.is_((gone.status, gone.json().get("kind"), c.get(PODS + "/f2").status), (200, "PodList", 404),
            "deletecollection: by fields, answers the list")


def quote(text):
    return percent(text, safe="")


def paging(server, c):
    for i in range(25):
        c.post(NS + "/serviceaccounts", {"metadata": {"name": f"sa-{i:02}"}})
    first = c.get(NS + "/serviceaccounts?limit=10").json()
    tap.is_((len(first["items"]), first["metadata"].get("remainingItemCount")), (10, 15), "limit: a page, and how many remain")
    c.post(NS + "/serviceaccounts", {"metadata": {"name": "sa-22b"}})
    c.delete(NS + "/serviceaccounts/sa-15")
    c.patch(NS + "/serviceaccounts/sa-16", {"metadata": {"labels": {"new": "yes"}}})
    second = c.get(NS + "/serviceaccounts?limit=10&continue=" + quote(first["metadata"]["continue"])).json()
    third = c.get(NS + "/serviceaccounts?limit=10&continue=" + quote(second["metadata"]["continue"])).json()
    seen = [i["metadata"]["name"] for page in (first, second, third) for i in page["items"]]
    tap.is_(seen, [f"sa-{i:02}" for i in range(25)], "continue: every page is of the first one's revision")
    tap.is_({p["metadata"]["resourceVersion"] for p in (first, second, third)}, {first["metadata"]["resourceVersion"]},
            "continue: with its resourceVersion")
    tap.ok("continue" not in third["metadata"], "continue: none on the last page")
    tap.ok("labels" not in second["items"][6]["metadata"], "continue: old contents too", second["items"][6])
    is_status(c.get(NS + "/serviceaccounts?limit=10&resourceVersion=5&continue=" + quote(first["metadata"]["continue"])), 400,
              "BadRequest", "specifying resource version is not allowed when using continue",
              "continue: with resourceVersion")
    for token in ("nonsense", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "A" * 5000):
        is_status(c.get(NS + "/serviceaccounts?limit=1&continue=" + token), 400, "BadRequest", "continue",
                  f"continue: {token[:12]}")
    is_status(c.get(NS + "/serviceaccounts?limit=x"), 400, "BadRequest", ".", "limit: not a number")
    server.stop()
    server.arguments = ("--history", "1s")
    server.start()
    c.close()
    first = c.get(NS + "/serviceaccounts?limit=10").json()
    late = None
    for i in range(100):
        c.patch(NS + "/serviceaccounts/sa-20", {"metadata": {"labels": {"n": str(i)}}})
        late = c.get(NS + "/serviceaccounts?limit=10&continue=" + quote(first["metadata"]["continue"]))
        if late.status != 200:
            break
        time.sleep(0.1)
    is_status(late, 410, "Expired", "The provided continue parameter is too old to display a consistent list result",
              "continue: past compaction is 410 Expired")
    onward = c.get(NS + "/serviceaccounts?limit=30&continue=" + quote(late.json()["metadata"]["continue"])).json()
    rest = {x["metadata"]["name"]: x["metadata"].get("labels", {}) for x in onward["items"]}
    tap.ok("sa-10" in rest and "sa-09" not in rest, "continue: the 410 offers to go on behind the last key", rest)
    tap.is_(("sa-15" in rest, "sa-22b" in rest, rest["sa-20"].get("n")), (False, True, str(i)),
            "continue: with what is there now")


def list_versions(c):
    now = c.get(CM).json()["metadata"]["resourceVersion"]
    for query, code in ((f"resourceVersion=0", 200), (f"resourceVersion={now}", 200),
                        (f"resourceVersion={now}&resourceVersionMatch=NotOlderThan", 200),
                        (f"resourceVersion={now}&resourceVersionMatch=Exact", 200),
                        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", 200),
                        ("resourceVersionMatch=Exact", 422), ("resourceVersion=0&resourceVersionMatch=Exact", 422),
                        (f"resourceVersion={now}&resourceVersionMatch=Nonsense", 422),
                        ("resourceVersion=abc", 400), ("sendInitialEvents=true", 422),
                        ("resourceVersion=99999999", 504)):
        answer = c.get(CM + "?" + query)
        tap.is_(answer.status, code, f"list: {query if now not in query else query.replace(now, 'NOW')}")
        if code == 422:
            tap.like(said(answer), '422 Invalid: ListOptions.meta.k8s.io "" is invalid: ', "list: and who says so")
    future = c.get(CM + "?resourceVersion=99999999")
    is_status(future, 504, "Timeout", "Too large resource version: 99999999, current: ", "list: a future resourceVersion")
    tap.is_(causes(future)[0][0] if causes(future) else None, "ResourceVersionTooLarge", "list: and its cause")
    old = c.post(CM, config_map("hist", a="1"))
    c.patch(CM + "/hist", {"data": {"a": "2"}})
    exact = c.get(f"{CM}?resourceVersionMatch=Exact&resourceVersion={version(old)}&limit=500")
    got = {i["metadata"]["name"]: i.get("data") for i in exact.json().get("items", [])}
    tap.is_(got.get("hist"), {"a": "1"}, "list: Exact shows the past")


def pods_subresources(c):
    c.post(PODS, pod("b1"))
    bind = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "b1"}, "target": {"kind": "Node", "name": "node-7"}}
    done = c.post(PODS + "/b1/binding", bind)
    tap.is_((done.status, done.json().get("status")), (201, "Success"), "binding: Status Success")
    bound = c.get(PODS + "/b1").json()
    tap.is_(bound["spec"].get("nodeName"), "node-7", "binding: sets the node")
    cond = {x["type"]: x["status"] for x in bound["status"].get("conditions", [])}
    tap.is_(cond.get("PodScheduled"), "True", "binding: sets PodScheduled")
    is_status(c.post(PODS + "/b1/binding", bind), 409, "Conflict",
              'Operation cannot be fulfilled on pods/binding "b1": pod b1 is already assigned to node "node-7"',
              "binding: twice is a Conflict")
    is_status(c.post(PODS + "/none/binding", {**bind, "metadata": {"name": "none"}}), 404, "NotFound", 'pods "none" not found',
              "binding: no such pod")
    is_status(c.post(PODS + "/b1/binding", {**bind, "target": {"kind": "Rack", "name": "x"}}), 422, "Invalid", "target.kind",
              "binding: to something else than a node")
    c.patch(PODS + "/b1/status", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
    c.patch(PODS + "/b1", {"metadata": {"labels": {"app": "guarded"}}})
    c.post("/apis/policy/v1/namespaces/default/poddisruptionbudgets",
           {"metadata": {"name": "guard"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}})
    evict = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "b1"}}
    pdb = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/guard"
    c.patch(pdb + "/status", {"status": {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1,
                                         "desiredHealthy": 1, "expectedPods": 1}})
    refused = c.post(PODS + "/b1/eviction", evict)
    is_status(refused, 429, "TooManyRequests", "^Cannot evict pod as it would violate the pod's disruption budget\\.$",
              "eviction: refused by the budget")
    tap.is_(causes(refused)[0][0] if causes(refused) else None, "DisruptionBudget", "eviction: and its cause")
    c.patch(pdb + "/status", {"status": {"disruptionsAllowed": 1}})
    tap.is_(c.post(PODS + "/b1/eviction?dryRun=All", evict).status, 201, "eviction: dry run")
    tap.ok("deletionTimestamp" not in meta(c.get(PODS + "/b1")), "eviction: dry run leaves it")
    tap.is_(c.post(PODS + "/b1/eviction", {**evict, "deleteOptions": {"gracePeriodSeconds": 0}}).status, 201,
            "eviction: allowed")
    tap.is_(c.get(PODS + "/b1").status, 404, "eviction: deletes")
    after = c.get(pdb).json()["status"]
    tap.is_((after["disruptionsAllowed"], list(after.get("disruptedPods", {}))), (0, ["b1"]), "eviction: counts in the budget")
    c.post(PODS, pod("e1"))
    eph = c.patch(PODS + "/e1/ephemeralcontainers",
                  {"spec": {"ephemeralContainers": [{"name": "dbg", "image": "busybox"}]}}, "strategic")
    tap.ok(eph.status == 200 and eph.json()["spec"]["ephemeralContainers"][0]["name"] == "dbg", "ephemeralcontainers", eph.body)
    is_status(c.patch(PODS + "/e1", {"spec": {"ephemeralContainers": [{"name": "d2", "image": "b"}]}}, "strategic"), 422,
              "Invalid", "pod updates may not", "ephemeralcontainers: only by the subresource")
    c.patch(PODS + "/e1/status", {"spec": {"nodeName": "z"}, "status": {"phase": "Failed"}})
    now = c.get(PODS + "/e1").json()
    tap.is_((now["spec"].get("nodeName"), now["status"]["phase"]), (None, "Failed"), "status: changes status only")
    c.patch(PODS + "/e1", {"status": {"phase": "Running"}})
    tap.is_(c.get(PODS + "/e1").json()["status"]["phase"], "Failed", "status: is not changed without the subresource")


def namespaces(c):
    made = c.post("/api/v1/namespaces", {"metadata": {"name": "team"}}).json()
    tap.is_((made["spec"], made["status"]["phase"], made["metadata"]["labels"]),
            ({"finalizers": ["kubernetes"]}, "Active", {"kubernetes.io/metadata.name": "team"}), "namespace: defaults")
    ended = c.delete("/api/v1/namespaces/team")
    tap.is_((ended.status, ended.json().get("status", {}).get("phase")), (200, "Terminating"), "namespace: deletion marks it")
    refused = c.post("/api/v1/namespaces/team/configmaps", config_map("late"))
    is_status(refused, 403, "Forbidden", 'configmaps "late" is forbidden: unable to create new content in namespace team because '
              "it is being terminated", "namespace: takes nothing new while it ends")
    tap.is_(refused.json()["details"].get("causes"),
            [{"reason": "NamespaceTerminating", "message": "namespace team is being terminated", "field": "metadata.namespace"}],
            "namespace: tells controllers why")
    is_status(c.delete("/api/v1/namespaces/default"), 403, "Forbidden", "this namespace may not be deleted",
              "namespace: default stays")
    body = c.get("/api/v1/namespaces/team").json()
    body["spec"]["finalizers"] = []
    tap.is_(c.put("/api/v1/namespaces/team/finalize", body).status, 200, "namespace: finalize")
    tap.is_(c.get("/api/v1/namespaces/team").status, 404, "namespace: is gone with its last finalizer")
    tap.ok(c.delete("/api/v1/namespaces?labelSelector=a").status == 405, "namespace: no deletecollection")


def scale(c):
    url = APPS + "/deployments/sel/scale"
    got = c.get(url).json()
    tap.is_((got["kind"], got["apiVersion"], got["spec"], got["status"].get("selector")),
            ("Scale", "autoscaling/v1", {"replicas": 1}, "app=sel"), "scale: get")
    tap.is_(c.patch(url, {"spec": {"replicas": 4}}).json()["spec"]["replicas"], 4, "scale: patch")
    tap.is_(c.get(APPS + "/deployments/sel").json()["spec"]["replicas"], 4, "scale: changes the Deployment")
    got["spec"]["replicas"] = 5
    is_status(c.put(url, got), 409, "Conflict", "the object has been modified", "scale: a stale put is a Conflict")
    del got["metadata"]["resourceVersion"]
    tap.is_(c.put(url, got).json()["spec"]["replicas"], 5, "scale: put")
    got["spec"]["replicas"] = -1
    is_status(c.put(url, got), 422, "Invalid", "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
              "scale: never below 0")
    v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sel"}
    c.post(v1, {"metadata": {"name": "h"}, "spec": {"maxReplicas": 5, "scaleTargetRef": ref, "targetCPUUtilizationPercentage": 70}})
    two = c.get(v2 + "/h").json()
    tap.is_(two["spec"]["metrics"], [{"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}], "autoscaling: v1 read as v2")
    tap.is_(two["spec"]["minReplicas"], 1, "autoscaling: minReplicas is 1 by default")
    c.patch(v2 + "/h", {"spec": {"metrics": [{"type": "Resource", "resource": {
        "name": "memory", "target": {"type": "AverageValue", "averageValue": "100Mi"}}}]}})
    one = c.get(v1 + "/h").json()
    tap.ok("targetCPUUtilizationPercentage" not in one["spec"] and
           "autoscaling.alpha.kubernetes.io/metrics" in one["metadata"]["annotations"], "autoscaling: v2 read as v1", one)
    tap.is_(c.put(v1 + "/h", one).status, 200, "autoscaling: and written back")
    tap.is_(c.get(v2 + "/h").json()["spec"]["metrics"][0]["resource"]["name"], "memory", "autoscaling: nothing is lost by v1")
    tap.is_(c.get(v2).json()["kind"], "HorizontalPodAutoscalerList", "autoscaling: list v2")


def events(c):
    c.post(NS + "/events", {"metadata": {"name": "ev"}, "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
                            "reason": "Pulled", "message": "took long", "type": "Normal", "count": 3,
                            "source": {"component": "kubelet", "host": "n1"}})
    new = c.get("/apis/events.k8s.io/v1/namespaces/default/events/ev").json()
    tap.is_((new["apiVersion"], new["regarding"]["name"], new["note"], new["deprecatedCount"], new["deprecatedSource"]["host"]),
            ("events.k8s.io/v1", "p", "took long", 3, "n1"), "events: core read as events.k8s.io")
    made = c.post("/apis/events.k8s.io/v1/namespaces/default/events", {
        "metadata": {"name": "ev2"}, "regarding": {"kind": "Pod", "namespace": "default", "name": "q"}, "reason": "Started",
        "note": "runs", "type": "Normal", "action": "Starting", "reportingController": "example.com/k", "reportingInstance": "k-1",
        "eventTime": "2026-01-02T03:04:05.678901Z"})
    tap.is_(made.status, 201, "events: by the new group")
    old = c.get(NS + "/events/ev2").json()
    tap.is_((old["involvedObject"]["name"], old["message"], old["reportingComponent"], old["eventTime"]),
            ("q", "runs", "example.com/k", "2026-01-02T03:04:05.678901Z"), "events: read as core")
    tap.is_(names(c.get(NS + "/events?fieldSelector=involvedObject.name%3Dp,involvedObject.kind%3DPod,reason%3DPulled")), ["ev"],
            "events: fields of the involved object")
    tap.is_(names(c.get("/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name%3Dq")), ["ev2"],
            "events: fields of regarding")


def reviews(c):
    mine = c.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}).json()
    tap.ok("system:masters" in mine["status"]["userInfo"]["groups"], "who am I: groups of the certificate", mine)
    tap.ok("system:authenticated" in mine["status"]["userInfo"]["groups"], "who am I: and authenticated")
    url = "/apis/authorization.k8s.io/v1/"
    may = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}
    yes = c.post(url + "selfsubjectaccessreviews", may)
    tap.is_((yes.status, yes.json()["status"]["allowed"]), (201, True), "SelfSubjectAccessReview: the admin may")
    no = c.post(url + "subjectaccessreviews", {"spec": {"user": "eve", **may["spec"]}})
    tap.is_((no.status, no.json()["status"]["allowed"]), (201, False), "SubjectAccessReview: another may not")
    both = {"user": "eve", "nonResourceAttributes": {"path": "/", "verb": "get"}, **may["spec"]}
    is_status(c.post(url + "subjectaccessreviews", {"spec": both}), 422, "Invalid",
              "cannot be specified in combination with resourceAttributes", "SubjectAccessReview: one question at a time")
    local = {"metadata": {"namespace": "default"}, "spec": {"user": "eve", "resourceAttributes": {
        "namespace": "default", "verb": "get", "resource": "pods"}}}
    tap.is_(c.post(url + "namespaces/default/localsubjectaccessreviews", local).json()["status"]["allowed"], False,
            "LocalSubjectAccessReview")
    what = c.post(url + "selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    tap.is_((what.status, what.json()["status"]["resourceRules"][-1]["verbs"]), (201, ["*"]), "SelfSubjectRulesReview")


def impersonation(c):
    def as_(user, *groups):
        path, names = "/apis/authentication.k8s.io/v1/selfsubjectreviews", {"Impersonate-User": user}
        if groups:
            names["Impersonate-Group"] = groups[0]
        return c.request("POST", path, {}, headers=names)

    who = as_("jane", "devs").json().get("status", {}).get("userInfo")
    tap.is_(who, {"username": "jane", "groups": ["devs", "system:authenticated"]}, "impersonation: user and group")
    who = as_("system:serviceaccount:team:bot").json().get("status", {}).get("userInfo", {})
    tap.is_(who.get("groups"), ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"],
            "impersonation: a service account's groups")
    is_status(c.request("GET", "/api/v1/nodes", headers={"Impersonate-User": "jane"}), 403, "Forbidden",
              '^nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope$',
              "impersonation: with that user's rights")
    is_status(c.request("GET", "/api/v1/nodes", headers={"Impersonate-Group": "system:masters"}), 400, "BadRequest",
              "without Impersonate-User", "impersonation: a group without a user")


def certificates(c):
    key = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                          "/dev/null", "-subj", "/O=dev/CN=jane"], capture_output=True, check=True).stdout
    url = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"request": base64.b64encode(key).decode(), "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"], "username": "forged"}
    made = c.post(url, {"metadata": {"name": "jane"}, "spec": spec})
    tap.is_(made.status, 201, "CSR: create")
    tap.ok(made.json()["spec"]["username"] != "forged" and "system:masters" in made.json()["spec"]["groups"],
           "CSR: carries who asked", made.json()["spec"])
    body = made.json()
    body["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "Test", "message": "fine"}]}
    done = c.put(url + "/jane/approval", body)
    tap.is_((done.status, [x["type"] for x in done.json().get("status", {}).get("conditions", [])]), (200, ["Approved"]),
            "CSR: approval")
    tap.like(said(c.put(url + "/jane/approval", {**done.json(), "status": {}})), "422 Invalid: .*Approved",
             "CSR: approval cannot be taken back")
    is_status(c.post(url, {"metadata": {"name": "bad"}, "spec": {**spec, "request": "bm90IGEgcmVxdWVzdA=="}}), 422, "Invalid",
              "spec.request: Invalid value", "CSR: not a request")


def addresses(c):
    is_status(c.get("/api/v1/nonsense"), 404, "NotFound", "^the server could not find the requested resource$", "404: resource")
    is_status(c.get("/apis/no.such/v1/things"), 404, "NotFound", "^the server could not find the requested resource$", "404: group")
    is_status(c.get(CM + "/nope"), 404, "NotFound", '^configmaps "nope" not found$', "404: object")
    tap.is_(c.get(CM + "/nope").json()["details"], {"name": "nope", "kind": "configmaps"}, "404: details")
    is_status(c.get(APPS + "/deployments/nope"), 404, "NotFound", '^deployments.apps "nope" not found$', "404: with its group")
    is_status(c.get(PODS + "/p/nonsense"), 404, "NotFound", "could not find the requested resource", "404: subresource")
    is_status(c.post(CM + "/own", {}), 405, "MethodNotAllowed",
              "^the server does not allow this method on the requested resource$", "405: POST on an object")
    is_status(c.put(CM, {}), 405, "MethodNotAllowed", "^the server does not allow this method", "405: PUT on a collection")
    is_status(c.patch(CM, {}), 405, "MethodNotAllowed", "^the server does not allow this method", "405: PATCH on a collection")
    is_status(c.get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"), 405, "MethodNotAllowed", ".", "405: GET of a review")
    is_status(c.request("POST", CM, b"a=b", "application/x-www-form-urlencoded"), 415, "UnsupportedMediaType",
              "^the body of the request was in an unknown format - accepted media types include: application/json, "
              "application/yaml, application/vnd.kubernetes.protobuf$", "415: a body of another type")
    is_status(c.request("PATCH", CM + "/own", b"{}", "application/json"), 415, "UnsupportedMediaType",
              "accepted media types include: application/json-patch\\+json, application/merge-patch\\+json", "415: a patch as JSON")
    is_status(c.post(CM, config_map("huge", k="x" * (3 * 1024 * 1024))), 413, "RequestEntityTooLarge",
              "limit is 3145728", "413: more than 3 MiB")
    is_status(c.request("BREW", CM), 405, "MethodNotAllowed", ".", "405: an unknown method")
    is_status(c.post(CM, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}), 400, "BadRequest",
              "Secret in version \"v1\" cannot be handled as a ConfigMap", "400: another kind than the path's")
    is_status(c.post(CM, {"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "x"}}), 400, "BadRequest",
              "ConfigMap in version \"v2\" cannot be handled as a ConfigMap", "400: another version than the path's")
    tap.is_(c.request("HEAD", CM).status in (200, 405), True, "HEAD is answered")


def managed_fields(c):
    made = c.post(CM + "?fieldManager=tool", config_map("mf", a="1"))
    entry = meta(made)["managedFields"][0]
    tap.is_((entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsType"], entry["fieldsV1"]),
            ("tool", "Update", "v1", "FieldsV1", {"f:data": {".": {}, "f:a": {}}}), "managedFields: of a create")
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mf"}, "data": {"a": "2", "b": "3"}}
    clash = c.patch(CM + "/mf?fieldManager=ops", applied, "apply")
    is_status(clash, 409, "Conflict", '^Apply failed with 1 conflict: conflict with "tool" using v1: .data.a$', "apply: conflict")
    tap.is_(causes(clash), [("FieldManagerConflict", ".data.a", 'conflict with "tool" using v1')], "apply: its cause")
    forced = c.patch(CM + "/mf?fieldManager=ops&force=true", applied, "apply")
    tap.is_(forced.json()["data"], {"a": "2", "b": "3"}, "apply: force")
    tap.is_([(e["manager"], e["operation"]) for e in meta(forced)["managedFields"]], [("ops", "Apply"), ("tool", "Update")],
            "apply: both managers are shown")
    del applied["data"]["b"]
    tap.is_(c.patch(CM + "/mf?fieldManager=ops", applied, "apply").json()["data"], {"a": "2"}, "apply: drops what it had and drops")
    tap.like(
        said(c.patch(CM + "/mf", applied, "apply")), "fieldManager.*is required for apply patch", "apply: fieldManager is required")
    c.patch(APPS + "/deployments/sel/status?fieldManager=ctl", {"status": {"replicas": 2}})
    entries = meta(c.get(APPS + "/deployments/sel"))["managedFields"]
    tap.is_([e.get("subresource") for e in entries if e["manager"] == "ctl"], ["status"], "managedFields: name the subresource")
    tap.is_([e.get("subresource") for e in entries if e.get("subresource") == "scale"], ["scale"] if any(
        e.get("subresource") == "scale" for e in entries) else [], "managedFields: scale is shown at most once")
    new = c.patch(CM + "/ssa?fieldManager=ops", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}}, "apply")
    tap.is_(new.status, 201, "apply: creates")


def racing(server, c):
    url = CM + "/race"
    c.post(CM, config_map("race", n="0"))

    def count(_):
        mine, done = Client(server), 0
        while done < 10:
            body = mine.get(url).json()
            body["data"]["n"] = str(int(body["data"]["n"]) + 1)
            done += mine.put(url, body).status == 200
        return done

    together(8, count)
    tap.is_(c.get(url).json()["data"]["n"], "80", "optimistic concurrency: 8 writers count to 80")
    results = together(8, lambda i: Client(server).post(CM, config_map("once", who=str(i))).status)
    tap.is_(sorted(results), [201] + [409] * 7, "of 8 creates of one name one wins")


def main():
    with apiserver.Server() as server:
        c = Client(server)
        for story in (identity, generation, deletion, dry_run, field_validation, rules, forms, selectors, list_versions,
                      pods_subresources, namespaces, scale, events, reviews, impersonation, certificates, managed_fields, addresses):
            run_story(story, c)
        run_story(racing, server, c)
        run_story(paging, server, c)
    tap.done()


main()
