#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Tokens of service accounts: issued, verified here and by others (openssl), refused once what they are bound to is gone; and
what pods get of them."""

import base64
import json
import os
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from kubectl import programs  # noqa: E402

NS = "/api/v1/namespaces/default"
ISSUER = "https://kubernetes.default.svc.cluster.local"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token):
    return json.loads(decode(token.split(".")[1]))


def request_token(server, account="builder", status=201, headers=None, **spec):
    answer = server.post(f"{NS}/serviceaccounts/{account}/token", {"spec": spec}, **(headers or {}))
    if answer.status != status:
        tap.not_ok(f"a token for {account}", answer.body)
    return answer.json()


def bearer(server, token, path):
    """A request without a client certificate."""
    connection = apiserver.http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10,
                                                       context=ssl._create_unverified_context())
    connection.request("GET" if isinstance(path, str) else "POST", path if isinstance(path, str) else path[0],
                       None if isinstance(path, str) else json.dumps(path[1]), {"Authorization": "Bearer " + token})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


WHOAMI = ("/apis/authentication.k8s.io/v1/selfsubjectreviews",
          {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})


def review(server, token, **spec):
    answer = server.post("/apis/authentication.k8s.io/v1/tokenreviews", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, **spec}})
    return answer.json()["status"]


def issuing(server):
    made = request_token(server)
    token, now = made["status"]["token"], time.time()
    claims = claims_of(token)
    account = server.get(f"{NS}/serviceaccounts/builder").json()["metadata"]
    tap.is_((claims["iss"], claims["aud"], claims["sub"]), (ISSUER, [ISSUER], "system:serviceaccount:default:builder"),
            "issuer, audience, subject")
    tap.is_(claims["kubernetes.io"], {"namespace": "default", "serviceaccount": {"name": "builder", "uid": account["uid"]}},
            "namespace and account in Kubernetes' own claim")
    tap.ok(abs(claims["exp"] - now - 3600) < 5 and claims["nbf"] == claims["iat"] and claims["jti"], "an hour, and an id")
    tap.is_((made["kind"], made["spec"]["audiences"], made["spec"]["expirationSeconds"]), ("TokenRequest", [ISSUER], 3600),
            "what was left open is filled in")
    status, who = bearer(server, token, WHOAMI)
    tap.is_((status, who["status"]["userInfo"]), (201, {
        "username": "system:serviceaccount:default:builder",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]}), "the bearer is who it says")
    tap.is_(bearer(server, token, "/api/v1/namespaces/default/pods")[0], 403, "and may what his groups may, which is little")
    for wrong, name in ((token[:-8] + "AAAAAAAA", "another signature"), ("x.y.z", "no token"), ("", "nothing")):
        tap.is_(bearer(server, wrong, "/api")[0], 401, f"{name}: 401")
    answer = server.post(f"{NS}/serviceaccounts/builder/token", {"spec": {"expirationSeconds": 10}})
    tap.like(answer.json()["message"], "may not specify a duration less than 10 minutes", "too short is refused")
    tap.is_(server.post(f"{NS}/serviceaccounts/none/token", {}).json()["message"], 'serviceaccounts "none" not found',
            "no such account")


def reviews(server):
    token = request_token(server, audiences=["vault", ISSUER])["status"]["token"]
    status = review(server, token, audiences=["vault", "other"])
    tap.is_((status["authenticated"], status["audiences"], status["user"]["username"]),
            (True, ["vault"], "system:serviceaccount:default:builder"), "TokenReview: good for the audience that both name")
    tap.like(status["user"]["extra"]["authentication.kubernetes.io/credential-id"][0], "^JTI=", "with its id")
    status = review(server, token, audiences=["other"])
    tap.is_((status["authenticated"], status["error"]), (False, "the token is for other audiences"), "not for another")
    only = request_token(server, audiences=["vault"])["status"]["token"]
    tap.is_(bearer(server, only, "/api")[0], 401, "a token for somebody else does not open this server")
    tap.ok("error" in review(server, "rubbish"), "rubbish is reviewed, too")


def others_verify(server):
    token = request_token(server)["status"]["token"]
    status, found = bearer(server, token, "/.well-known/openid-configuration")
    tap.is_((status, found["issuer"], found["jwks_uri"]), (200, ISSUER, f"{server.url}/openid/v1/jwks"), "how to verify is published")
    _, keys = bearer(server, token, "/openid/v1/jwks")
    header = json.loads(decode(token.split(".")[0]))
    key = next(k for k in keys["keys"] if k["kid"] == header["kid"])
    tap.is_((header["alg"], key["kty"]), ("ES256", "EC"), "the key that signed is among the keys")
    point = b"\x04" + decode(key["x"]) + decode(key["y"])
    der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point
    raw = decode(token.split(".")[2])

    def integer(b):
        b = b.lstrip(b"\0") or b"\0"
        b = b"\0" + b if b[0] & 0x80 else b
        return b"\2" + bytes([len(b)]) + b
    both = integer(raw[:32]) + integer(raw[32:])
    for name, data in (("key.der", der), ("sig", b"\x30" + bytes([len(both)]) + both),
                       ("signed", token.rpartition(".")[0].encode())):
        with open(os.path.join(server.tmp, name), "wb") as file:
            file.write(data)
    done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", "key.der", "-keyform", "DER", "-signature", "sig", "signed"],
                          cwd=server.tmp, capture_output=True, text=True, check=False)
    tap.is_(done.stdout.strip(), "Verified OK", "openssl verifies it by the published key")


def pod(name, **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "x"}],
                                                 "serviceAccountName": "builder", **spec}}


def bound(server):
    made = server.post(NS + "/pods", pod("web", nodeName="n1")).json()
    node = server.post("/api/v1/nodes", {"metadata": {"name": "n1"}}).json()
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": made["metadata"]["uid"]}
    token = request_token(server, boundObjectRef=ref)["status"]["token"]
    tap.is_((claims_of(token)["kubernetes.io"]["pod"], claims_of(token)["kubernetes.io"]["node"]),
            ({"name": "web", "uid": made["metadata"]["uid"]}, {"name": "n1", "uid": node["metadata"]["uid"]}), "a pod's token names it and its node")
    tap.is_(review(server, token)["user"]["extra"]["authentication.kubernetes.io/pod-name"], ["web"], "and a review tells")
    for change, want in (({"uid": "other"}, "the UID in the bound object reference"), ({"name": "none"}, 'pods "none" not found'),
                         ({"kind": "Service"}, "cannot bind token to object of type v1, Kind=Service")):
        answer = server.post(f"{NS}/serviceaccounts/builder/token", {"spec": {"boundObjectRef": {**ref, **change}}})
        tap.like(answer.json()["message"], want, f"bound to {change}: refused")
    answer = server.post(f"{NS}/serviceaccounts/other/token", {"spec": {"boundObjectRef": ref}})
    tap.like(answer.json()["message"], "pod running with different serviceaccount name", "another account's pod")

    def as_node(name, spec):
        return server.post(f"{NS}/serviceaccounts/builder/token", {"spec": spec}, Impersonate_User=f"system:node:{name}",
                           Impersonate_Group="system:nodes")
    tap.is_(as_node("n1", {"boundObjectRef": ref}).status, 201, "a node gets tokens for pods that it runs")
    tap.like(as_node("n2", {"boundObjectRef": ref}).json()["message"], "scheduled on a different node", "not for others'")
    tap.like(as_node("n1", {}).json()["message"], "not bound to a pod", "and none without a pod")

    server.delete(NS + "/pods/web", {"gracePeriodSeconds": 0})
    tap.is_((bearer(server, token, "/api")[0], review(server, token)["error"]), (401, 'pods "web" not found'),
            "once the pod is gone, its token is worth nothing")
    server.post(NS + "/pods", pod("web", nodeName="n1"))
    tap.like(review(server, token)["error"], "uid has changed", "also when another of that name came")

    token = request_token(server, "other")["status"]["token"]
    tap.is_(bearer(server, token, "/api")[0], 200, "an account's token is good")
    server.delete(f"{NS}/serviceaccounts/other")
    tap.is_(bearer(server, token, "/api")[0], 401, "until the account is gone")
    server.post(NS + "/serviceaccounts", {"metadata": {"name": "other"}})
    tap.is_(bearer(server, token, "/api")[0], 401, "a new one of that name is another")


def mounts(made):
    return [m for c in made["spec"].get("initContainers", []) + made["spec"]["containers"]
            for m in c.get("volumeMounts", []) if m["mountPath"] == MOUNT]


def automount(server):
    made = server.post(NS + "/pods", pod("mounted", initContainers=[{"name": "first", "image": "x"}])).json()
    volume = made["spec"]["volumes"][-1]
    tap.like(volume["name"], "^kube-api-access-[a-z0-9]{5}$", "a pod gets a volume for the API")
    tap.is_(volume["projected"], {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]},
        "with token, CA and namespace")
    tap.is_(mounts(made), [{"name": volume["name"], "readOnly": True, "mountPath": MOUNT}] * 2, "mounted in each container")
    again = server.post(NS + "/pods", {"metadata": {"name": "copy"}, "spec": {
        k: v for k, v in made["spec"].items() if k in ("containers", "initContainers", "volumes", "serviceAccountName")}}).json()
    tap.is_((len(again["spec"]["volumes"]), len(mounts(again))), (1, 2), "a copy of its manifest does not get a second one")
    own = pod("own", volumes=[{"name": "mine", "emptyDir": {}}])
    own["spec"]["containers"][0]["volumeMounts"] = [{"name": "mine", "mountPath": MOUNT}]
    tap.is_(len(server.post(NS + "/pods", own).json()["spec"]["volumes"]), 1, "who mounts something of his own there keeps it")
    tap.is_(server.post(NS + "/pods", pod("without", automountServiceAccountToken=False)).json()["spec"].get("volumes"), None,
            "not when the pod does not want it")
    server.patch(f"{NS}/serviceaccounts/builder", {"automountServiceAccountToken": False})
    tap.is_(server.post(NS + "/pods", pod("quiet")).json()["spec"].get("volumes"), None, "nor when the account does not")
    tap.is_(len(server.post(NS + "/pods", pod("loud", automountServiceAccountToken=True)).json()["spec"]["volumes"]), 1,
            "the pod's word counts more")


def other_keys():
    """A server with an RSA key of one's own, and the old key still accepted."""
    with apiserver.Server() as server:
        server.post(NS + "/serviceaccounts", {"metadata": {"name": "builder"}})
        old = request_token(server)["status"]["token"]
        server.stop()
        key = os.path.join(server.tmp, "rsa.key")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        server.arguments = ("--service-account-signing-key-file", key, "--service-account-key-file",
                            os.path.join(server.data, "pki", "sa.pub"), "--api-audiences", "api,other")
        server.start()
        made = request_token(server)
        token = made["status"]["token"]
        tap.is_((json.loads(decode(token.split(".")[0]))["alg"], made["spec"]["audiences"]), ("RS256", ["api", "other"]),
                "an RSA key signs by RS256; audiences as configured")
        tap.is_(bearer(server, token, "/api")[0], 200, "which is accepted")
        tap.is_(review(server, old, audiences=[ISSUER])["authenticated"], True, "and what the other key has signed")


def with_kubectl(server):
    there, _ = programs()
    for name, program in [p for p in there if p[0] != "1.20"][-1:]:
        done = subprocess.run([program, "--kubeconfig", server.kubeconfig, "create", "token", "builder", "--duration=20m"],
                              capture_output=True, text=True, check=False, env={**os.environ, "HOME": server.tmp}, timeout=30)
        claims = claims_of(done.stdout.strip()) if done.stdout.count(".") == 2 else {}
        tap.is_(claims.get("exp", 0) - claims.get("iat", 0), 1200, f"kubectl ({name}) create token")


def main():
    with apiserver.Server() as server:
        for name in ("builder", "other"):
            server.post(NS + "/serviceaccounts", {"metadata": {"name": name}})
        for story in (issuing, reviews, others_verify, bound, automount, with_kubectl):
            story(server)
    other_keys()
    tap.done()


if __name__ == "__main__":
    main()
