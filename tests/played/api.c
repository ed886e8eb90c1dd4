/* SPDX-License-Identifier: Apache-2.0 */
/* The API of a played node: pods, PATCH of their status, DELETE; and the test's own view of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "played/impl.h"

struct kube_call {
        struct kube_call *next;
        bool is_delete;
        char name[64];
        struct json_object *body;
        kube_done_fn done;
        void *userdata;
};

static struct kube_call *calls;

char *kube_path(const struct kube_resource *r, const char *ns, const char *name, const char *sub)
{
        return mem_strdup(name);
}

struct kube_call *kube_start(struct kube_client *c, const struct kube_request *req, kube_done_fn done, void *userdata)
{
        struct kube_call *call = mem_new(struct kube_call), **last = &calls;

        *call = (struct kube_call){.is_delete = str_eq(req->method, "DELETE"),
                                   .body = json_copy(req->body),
                                   .done = done,
                                   .userdata = userdata};
        str_copy(call->name, sizeof(call->name), req->path);
        while (*last)
                last = &(*last)->next;
        *last = call;
        return call;
}

static void free_call(struct kube_call *call)
{
        json_object_put(call->body);
        free(call);
}

void kube_cancel(struct kube_call *call)
{
        for (struct kube_call **at = &calls; *at; at = &(*at)->next)
                if (*at == call) {
                        *at = call->next;
                        free_call(call);
                        return;
                }
}

/* ---- the store ---- */

struct json_object *played_pod(const char *name)
{
        for (size_t i = 0; i < played->napi; i++)
                if (str_eq(json_at_str(played->api[i], "metadata.name"), name))
                        return played->api[i];
        return NULL;
}

static void touch(struct json_object *pod)
{
        char text[32];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)++played->version);
        json_set_str(json_get(pod, "metadata"), "resourceVersion", text);
}

/* The watch: each version is an object of its own. */
void played_tell_pod(struct json_object *pod)
{
        _cleanup_json_ struct json_object *copy = json_copy(pod);
        const char *of = json_at_str(pod, "metadata.labels.mirror-of");

        if (!played->pods || played->api_away)
                return;
        if (of)
                pods_set_mirror(played->pods, of, copy);
        else
                pods_set(played->pods, POD_FROM_API, copy);
}

static void merge_list(struct json_object *status, const char *key, const struct json_object *list)
{
        struct json_object *now = json_get(status, key), *copy;

        if (str_eq(key, "conditions") && now) {
                json_array_foreach (list, i, c) {
                        bool found = false;

                        json_array_foreach (now, k, old)
                                if (str_eq(json_get_str(old, "type"), json_get_str(c, "type"))) {
                                        json_foreach (c, field, val)
                                                if (val)
                                                        json_set(old, field, json_copy(val));
                                                else
                                                        json_del(old, field);
                                        found = true;
                                }
                        if (!found)
                                json_object_array_add(now, json_copy(c));
                }
                return;
        }
        copy = json_object_new_array();
        json_array_foreach (list, i, o)
                if (!json_has(o, "$patch"))
                        json_object_array_add(copy, json_copy(o));
        json_set(status, key, copy);
}

/* What has ended stays as it ended, and nothing is ever restarted fewer times than it was. */
static void check_status(const struct json_object *now, const struct json_object *patch)
{
        const char *old = json_get_str(now, "phase"), *phase = json_get_str(patch, "phase");

        if ((str_eq(old, "Succeeded") || str_eq(old, "Failed")) && phase && !str_eq(old, phase))
                played->broken = "a phase that was the end has changed";
        json_array_foreach (json_get(patch, "containerStatuses"), i, c) {
                json_array_foreach (json_get(now, "containerStatuses"), k, before)
                        if (str_eq(json_get_str(c, "name"), json_get_str(before, "name")) &&
                            json_get_i64(c, "restartCount", 0) < json_get_i64(before, "restartCount", 0))
                                played->broken = "a restart count has become smaller";
        }
}

static void patch_status(struct json_object *pod, const struct json_object *patch)
{
        struct json_object *status = json_ensure(pod, "status");

        check_status(status, json_get(patch, "status"));

        json_foreach (json_get(patch, "status"), key, val) {
                if (!val)
                        json_del(status, key);
                else if (json_is_array(val))
                        merge_list(status, key, val);
                else
                        json_set(status, key, json_copy(val));
        }
        if (json_has(json_get(patch, "status"), "phase"))
                strbuf_printf(&played->told, "%s ", json_get_str(status, "phase"));
        touch(pod);
}

static void drop(const char *name)
{
        for (size_t i = 0; i < played->napi; i++)
                if (str_eq(json_at_str(played->api[i], "metadata.name"), name)) {
                        if (played->pods && !played->api_away)
                                pods_gone(played->pods, json_at_str(played->api[i], "metadata.uid"));
                        json_object_put(played->api[i]);
                        played->api[i] = played->api[--played->napi];
                        return;
                }
}

static int apply(struct kube_call *call, struct json_object **ret, struct kube_status *status)
{
        struct json_object *pod = played_pod(call->name);
        const char *uid = json_at_str(call->body, call->is_delete ? "preconditions.uid" : "metadata.uid");

        if (!pod || played->api_forgets) {
                status->code = 404;
                return KUBE_REFUSED;
        }
        if (played->conflicts-- > 0 || !str_eq(uid, json_at_str(pod, "metadata.uid"))) {
                status->code = 409;
                return KUBE_REFUSED;
        }
        if (call->is_delete) {
                played->deletes++;
                drop(call->name);
                return 0;
        }
        played->patches++;
        patch_status(pod, call->body);
        *ret = json_copy(pod);
        played_tell_pod(pod);
        return 0;
}

bool played_api_turn(void)
{
        struct kube_call *call = calls;
        _cleanup_json_ struct json_object *answer = NULL;
        struct kube_status status = {.retry_after_s = -1};
        int r = -ECONNREFUSED;

        if (!call)
                return false;
        calls = call->next;
        if (!played->api_away)
                r = apply(call, &answer, &status);
        if (played->lose_answers)
                r = -ETIMEDOUT;
        call->done(call->userdata, r, r ? NULL : answer, &status);
        free_call(call);
        return true;
}

/* A call that was sent before the kill may still be carried out. */
void played_api_forget(bool fate)
{
        struct kube_status status = {.retry_after_s = -1};

        while (calls) {
                struct kube_call *call = calls;
                struct json_object *answer = NULL;

                calls = call->next;
                if (fate && !played->api_away)
                        apply(call, &answer, &status);
                json_object_put(answer);
                free_call(call);
        }
}

/* ---- what people do ---- */

void played_add(const char *text)
{
        struct json_object *pod = NULL, *meta;
        struct err err = ERR_NULL;

        if (json_parse(text, strlen(text), &pod, &err)) {
                fprintf(stderr, "%s: %s\n", err.msg, text);
                abort();
        }
        meta = json_ensure(pod, "metadata");
        json_default_str(meta, "namespace", "default");
        json_default_str(meta, "uid", json_get_str(meta, "name"));
        touch(pod);
        played->api[played->napi++] = pod;
        played_tell_pod(pod);
}

void played_delete(const char *name, int64_t grace_s)
{
        struct json_object *pod = played_pod(name), *meta = json_get(pod, "metadata");
        char now[CLOCK_TEXT_SIZE];

        json_set_str(meta, "deletionTimestamp", clock_now(now));
        json_set_i64(meta, "deletionGracePeriodSeconds", grace_s);
        touch(pod);
        played_tell_pod(pod);
}

void played_force_delete(const char *name)
{
        drop(name);
}

void played_change(const char *name, const char *path, struct json_object *val)
{
        struct json_object *pod = played_pod(name), *at = pod;
        char part[64];

        for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
                snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
                at = json_is_array(at) ? json_idx(at, (size_t)atoi(part)) : json_ensure(at, part);
        }
        json_set(at, path, val);
        touch(pod);
        played_tell_pod(pod);
}

const char *played_status(const char *pod, const char *path)
{
        return json_at_str(json_get(played_pod(pod), "status"), path);
}

const struct json_object *played_container_status(const char *pod, const char *name)
{
        static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                json_array_foreach (json_get(json_get(played_pod(pod), "status"), lists[i]), k, c)
                        if (str_eq(json_get_str(c, "name"), name))
                                return c;
        }
        return NULL;
}
