#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Jobs and CronJobs as a user sees them: what kubectl create, get, describe, wait and delete say of them; Indexed Jobs, failures and
policies, suspension, time to live; a CronJob's minute; and managers that are killed while hundreds of pods are to be counted."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import kubectl  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

CONTROLLERS = "--controllers=job,cronjob,ttl-after-finished,garbage-collector"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
CRONJOBS = "/apis/batch/v1/namespaces/default/cronjobs"
TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


def job(name, annotations=None, restart="Never", **spec):
    steps = {f"hollow.fairlead.dev/{key.replace('_', '-')}": value for key, value in (annotations or {}).items()}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {**spec, "template": {"metadata": {"annotations": steps},
                                          "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}}}}


def create(k, body):
    k.like("apply --validate=false -f -", "created", stdin=json.dumps(body))


def status(c, name):
    found = c.get(f"{JOBS}/{name}")
    return found.get("status", {}) if found else {}


def is_so(c, name, kind):
    return any(x["type"] == kind and x["status"] == "True" for x in status(c, name).get("conditions", []))


def pods(c, name):
    return c.pods("default", f"batch.kubernetes.io/job-name={name}")


def nothing_is_tracked(c, name):
    return not any(TRACKING in p["metadata"].get("finalizers", []) for p in pods(c, name))


def every_kubectl_runs_a_job(c, name, path):
    k = kubectl.Kubectl(c.server, name, path)
    pi = "pi-" + name.replace(".", "-").lower()
    k.like(f"create job {pi} --image=perl -- perl -e 1", "created")
    k.like(f"wait --for=condition=complete job/{pi} --timeout=10s", "condition met")
    k.like(f"get job {pi}", rf"^NAME +STATUS +COMPLETIONS +DURATION +AGE\n{pi} +Complete +1/1 +AGE +AGE$")
    k.like(f"describe job {pi}", r"0 (Active|Running).* / 1 Succeeded / 0 Failed")
    k.like(f"describe job {pi}", rf"Normal +SuccessfulCreate +\S+ +job-controller +Created pod: {pi}-\w+\n +Normal +Completed +\S+ +"
                                 r"job-controller +Job completed")
    k.like(f"delete job {pi}", "deleted")
    c.wait(lambda: not pods(c, pi), 5, "its pods go with it")


def an_indexed_job(c, k):
    create(k, job("ix", completionMode="Indexed", completions=5, parallelism=2))
    k.like("wait --for=condition=complete job/ix --timeout=10s", "condition met")
    k.want("get job ix -o jsonpath={.status.completedIndexes}", "0-4")
    k.like("describe job ix", r"Completed Indexes: +0-4")
    tap.is_(sorted(p["metadata"]["labels"][INDEX] for p in pods(c, "ix")), list("01234"), "each index had one pod")
    tap.is_({p["spec"]["hostname"] for p in pods(c, "ix")}, {f"ix-{i}" for i in range(5)}, "their host names tell the index")
    tap.ok(nothing_is_tracked(c, "ix"), "no finalizer is left")


def a_job_that_fails(c, k):
    create(k, job("bad", {"fail": "true"}, backoffLimit=0, parallelism=1))
    k.like("wait --for=condition=failed job/bad --timeout=10s", "condition met")
    k.like("get job bad", r"bad +Failed +0/1")
    k.like("describe job bad", r"Warning +BackoffLimitExceeded +\S+ +job-controller +Job has reached the specified backoff limit")
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
    create(k, job("policy", {"fail": "true", "exit_code": "42"}, podFailurePolicy=policy, backoffLimit=5))
    k.like("wait --for=condition=failed job/policy --timeout=10s", "condition met")
    k.like("describe job policy", r"PodFailurePolicy +\S+ +job-controller +Container c for pod default/policy-\w+ failed with exit code 42 "
                                  r"matching FailJob rule at index 0")
    create(k, job("late", {"run_for": "1h"}, activeDeadlineSeconds=1))
    k.like("wait --for=condition=failed job/late --timeout=10s", "condition met")
    k.like("describe job late", r"Warning +DeadlineExceeded +\S+ +job-controller +Job was active longer than specified deadline")
    c.wait(lambda: not pods(c, "late"), 5, "what ran is gone")


def a_job_is_suspended(c, k):
    create(k, job("rest", {"run_for": "1h"}, parallelism=2, completions=2))
    c.wait(lambda: status(c, "rest").get("ready") == 2, 10, "both pods run")
    k.like("patch job rest -p '{\"spec\":{\"suspend\":true}}'", "patched")
    c.wait(lambda: not pods(c, "rest"), 10, "suspended, it has no pods")
    k.like("get job rest", "rest +Suspended +0/2")
    tap.is_(status(c, "rest").get("failed"), None, "which is no failure")
    k.like("patch job rest -p '{\"spec\":{\"suspend\":false}}'", "patched")
    c.wait(lambda: status(c, "rest").get("ready") == 2, 10, "resumed, it has them again")
    k.like("describe job rest", r"Normal +Suspended +\S+ +job-controller +Job suspended.*Normal +Resumed +\S+ +job-controller +Job resumed")
    k.like("delete job rest --cascade=orphan", "deleted")
    c.wait(lambda: len(pods(c, "rest")) == 2 and nothing_is_tracked(c, "rest"), 5, "orphans keep no finalizer")
    k.run("delete pods -l batch.kubernetes.io/job-name=rest")


def a_time_to_live(c, k):
    create(k, job("short", ttlSecondsAfterFinished=1))
    c.wait(lambda: is_so(c, "short", "Complete"), 5, "a job with a time to live is complete")
    c.wait(lambda: c.get(f"{JOBS}/short") is None and not pods(c, "short"), 10, "and gone after a second, with its pod")


def managers_are_killed(c, k):
    """Pods end while there is nobody to count them."""
    create(k, job("many", {"run_for": "300ms"}, completions=200, parallelism=40))
    for _ in range(6):
        time.sleep(0.4)
        c.manager.kill()
        c.manager.start()
    c.wait(lambda: is_so(c, "many", "Complete"), 60, "a job of 200 pods is complete, though its manager was killed six times")
    found = status(c, "many")
    tap.is_((found.get("succeeded"), found.get("failed", 0), len(pods(c, "many"))), (200, 0, 200), "every pod was counted once")
    tap.ok(nothing_is_tracked(c, "many"), "no finalizer is left")
    k.run("delete job many")


def a_cronjob(c, k):
    k.like("create cronjob hello --image=busybox --schedule='0 0 31 12 *' -- date", "created")
    k.like("get cronjobs", r"hello +0 0 31 12 \* +<none> +False +0 +<none> +AGE")
    k.like("create job manual --from=cronjob/hello", "created")
    k.like("wait --for=condition=complete job/manual --timeout=10s", "condition met")
    k.fails("create cronjob bad --image=busybox --schedule='TZ=UTC 0 0 * * *' -- date", "TZ")
    k.like("patch cronjob hello -p '{\"spec\":{\"schedule\":\"@every 1s\"}}'", "patched")
    made = c.wait(lambda: next((j for j in c.items(JOBS) if j["metadata"]["name"].startswith("hello-") and "completionTime" in
                                j["status"]), None), 10, "a time that is due becomes a job")
    c.wait(lambda: "active" not in c.get(f"{CRONJOBS}/hello")["status"], 10, "which leaves the list when it is complete")
    due = made["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    seconds = time.mktime(time.strptime(due, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    tap.is_(made["metadata"]["name"], f"hello-{int(seconds) // 60}", "its name is the minute that it was due")
    k.like("describe cronjob hello", r"SuccessfulCreate +\S+ .*cronjob-controller +Created job hello-\d+")
    k.like("describe cronjob hello", r"SawCompletedJob +\S+ .*cronjob-controller +Saw completed job: hello-\d+, condition: Complete")
    k.like("delete cronjob hello", "deleted")
    c.wait(lambda: not any(j["metadata"]["name"].startswith("hello-") for j in c.items(JOBS)), 5, "its jobs go with it")


def main():
    with cluster.Cluster(nodes=3, manager_args=(CONTROLLERS,)) as c:
        k = c.kubectl()
        for name, path in kubectl.programs()[0]:
            run_story(every_kubectl_runs_a_job, c, name, path)
        for story in (an_indexed_job, a_job_that_fails, a_job_is_suspended, a_time_to_live, managers_are_killed, a_cronjob):
            run_story(story, c, k)
    tap.done()


if __name__ == "__main__":
    main()
