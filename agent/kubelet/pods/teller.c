/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/kubelet/pods/status.h"
#include "agent/kubelet/pods/teller.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 10000
#define TIMEOUT_MS   10000

static const struct kube_resource pods_resource = {"", "v1", "pods"};

static void go_on(struct teller *t);

static void retry(void *userdata)
{
        go_on(userdata);
}

int teller_init(struct teller *t, struct loop *loop, struct kube_client *client, void (*told)(void *userdata),
                void *userdata)
{
        *t = (struct teller){.loop = loop, .client = client, .told = told, .userdata = userdata};
        return loop_timer_new(loop, retry, t, &t->retry);
}

static void forget_identity(struct teller *t)
{
        free(TAKE_PTR(t->ns));
        free(TAKE_PTR(t->name));
        free(TAKE_PTR(t->uid));
        json_object_put(TAKE_PTR(t->known));
        t->version = 0;
}

void teller_deinit(struct teller *t)
{
        kube_cancel(TAKE_PTR(t->call));
        loop_timer_free(TAKE_PTR(t->retry));
        forget_identity(t);
        json_object_put(TAKE_PTR(t->wanted));
        json_object_put(TAKE_PTR(t->sent));
        json_object_put(TAKE_PTR(t->done));
}

static void replace(struct json_object **at, struct json_object *o)
{
        json_object_put(*at);
        *at = o;
}

/* ---- what the API has ---- */

static uint64_t version_of(const struct json_object *pod)
{
        const char *text = json_at_str(pod, "metadata.resourceVersion");
        uint64_t v;

        return text && !str_parse_u64(text, &v) ? v : 0;
}

static void know(struct teller *t, const struct json_object *pod)
{
        t->version = version_of(pod);
        replace(&t->known, json_object_get(json_get(pod, "status")));
        json_shrink(t->known);
}

/* A mirror pod may be made anew under its name. */
static void meet(struct teller *t, const struct json_object *pod)
{
        const char *uid = json_at_str(pod, "metadata.uid");

        if (str_eq(t->uid, uid))
                return;
        kube_cancel(TAKE_PTR(t->call));
        forget_identity(t);
        replace(&t->done, NULL);
        t->ns = mem_strdup(json_at_str(pod, "metadata.namespace"));
        t->name = mem_strdup(json_at_str(pod, "metadata.name"));
        t->uid = mem_strdup(uid);
        t->gone = false;
}

void teller_heard(struct teller *t, const struct json_object *pod)
{
        uint64_t version = version_of(pod);

        meet(t, pod);
        if (t->version && version < t->version)
                return;
        if (t->version && version == t->version) { /* the same; but the worker keeps this one anyway */
                know(t, pod);
                return;
        }
        /* Somebody else has changed it: what was told may not be there any more. */
        if (t->version && !json_equal(t->known, json_get(pod, "status")))
                replace(&t->done, NULL);
        t->gone = false;
        know(t, pod);
        go_on(t);
}

/* ---- telling ---- */

static void wait_longer(struct teller *t, const struct kube_status *status)
{
        uint64_t ms = (uint64_t)RETRY_MIN_MS << MIN(t->failures, 6U);

        t->failures++;
        if (status && status->retry_after_s > 0)
                ms = (uint64_t)status->retry_after_s * 1000;
        loop_timer_set(t->retry, MIN(ms, (uint64_t)RETRY_MAX_MS));
}

/* It was deleted; the watch tells the rest. (A conflict is none: it may be of the moment, and when the name is another
 * pod's now the watch tells that too.) */
static bool is_gone(int result, const struct kube_status *status)
{
        return result == KUBE_REFUSED && status->code == 404;
}

static void answered(void *userdata, int result, struct json_object *pod, const struct kube_status *status)
{
        struct teller *t = userdata;

        t->call = NULL;
        if (result == 0) {
                t->failures = 0;
                /* Unless somebody has written after it, of which the watch told first. */
                replace(&t->done, pod && version_of(pod) < t->version ? NULL : json_object_get(t->sent));
                replace(&t->sent, NULL);
                if (pod && version_of(pod) > t->version)
                        know(t, pod);
                go_on(t);
        } else if (is_gone(result, status)) {
                t->gone = true;
        } else {
                log_limited(LOG_LEVEL_WARN, 10000, "a pod's status cannot be told", "pod=%s/%s why=%s", t->ns, t->name,
                            status->message);
                wait_longer(t, status);
        }
        t->told(t->userdata);
}

static void send(struct teller *t, struct json_object *patch)
{
        _cleanup_free_ char *path = kube_path(&pods_resource, t->ns, t->name, "status");
        struct kube_request req = {.method = "PATCH",
                                   .path = path,
                                   .body = patch,
                                   .content_type = KUBE_STRATEGIC_PATCH,
                                   .timeout_ms = TIMEOUT_MS,
                                   .no_retry = true};

        replace(&t->sent, json_object_get(t->wanted));
        t->call = kube_start(t->client, &req, answered, t);
        if (!t->call)
                wait_longer(t, NULL);
        else if (t->patches)
                (*t->patches)++;
}

static void go_on(struct teller *t)
{
        _cleanup_json_ struct json_object *patch = NULL;

        if (t->call || t->gone || !t->wanted || !t->uid || t->wanted == t->done)
                return;
        loop_timer_cancel(t->retry);
        patch = status_diff(t->uid, t->known, t->wanted);
        if (patch)
                send(t, patch);
        else
                replace(&t->done, json_object_get(t->wanted));
}

void teller_tell(struct teller *t, struct json_object *status)
{
        if (status == t->wanted)
                return;
        replace(&t->wanted, json_object_get(status));
        if (!t->failures)
                go_on(t);
}

void teller_again(struct teller *t)
{
        t->failures = 0;
        if (t->call)
                return;
        replace(&t->done, NULL);
        go_on(t);
}

bool teller_is_done(const struct teller *t)
{
        return t->gone || !t->uid || (t->wanted && t->wanted == t->done);
}

struct json_object *teller_settled(const struct teller *t)
{
        return !t->call && t->wanted && t->wanted == t->done ? t->known : NULL;
}

void teller_adopt(struct teller *t, struct json_object *same)
{
        replace(&t->wanted, json_object_get(same));
        replace(&t->done, json_object_get(same));
}
