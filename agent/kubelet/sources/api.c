/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/sources/api.h"

#include "base/mem.h"
#include "base/str.h"
#include "kube/informer.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

struct source_api {
        struct source_api_opts opts;
        struct informer *informer;
        bool started, synced;
};

static const char *uid_of(const struct json_object *pod)
{
        return json_at_str(pod, "metadata.uid") ?: "";
}

static const char *mirror_of(const struct json_object *pod)
{
        return json_get_str(json_at(pod, "metadata.annotations"), MIRROR_ANNOTATION);
}

/* Who wrote which field is for others: it is a third of a pod's memory. */
static void *project(void *userdata, struct json_object *pod)
{
        json_del(json_get(pod, "metadata"), "managedFields");
        json_shrink(pod);
        return json_object_get(pod);
}

static void release(void *userdata, void *value)
{
        json_object_put(value);
}

static void on_pod(void *userdata, const char *key, void *old, void *now)
{
        struct source_api *s = userdata;
        const char *mirror = mirror_of(now ?: old);

        if (mirror) {
                s->opts.mirror(s->opts.userdata, key, mirror, now);
                return;
        }
        if (old && (!now || !str_eq(uid_of(old), uid_of(now))))
                pods_gone(s->opts.pods, uid_of(old));
        if (now)
                pods_set(s->opts.pods, POD_FROM_API, now);
}

static void on_synced(void *userdata)
{
        struct source_api *s = userdata;

        s->synced = true;
        s->opts.synced(s->opts.userdata);
}

int source_api_new(const struct source_api_opts *opts, struct source_api **ret)
{
        _cleanup_(source_api_freep) struct source_api *s = mem_new(struct source_api);
        _cleanup_free_ char *selector = mem_printf("spec.nodeName=%s", opts->node_name);
        int r;

        s->opts = *opts;
        r = informer_new(&(struct informer_opts){.client = opts->client,
                                                 .path = "/api/v1/pods",
                                                 .field_selector = selector,
                                                 .project = project,
                                                 .release = release,
                                                 .backoff_min_ms = 200,
                                                 .backoff_max_ms = 5000},
                         &s->informer);
        if (r)
                return r;
        informer_add_handler(s->informer, on_pod, s);
        informer_on_synced(s->informer, on_synced, s);
        *ret = TAKE_PTR(s);
        return 0;
}

void source_api_start(struct source_api *s)
{
        if (s->started)
                return;
        s->started = true;
        informer_start(s->informer);
}

void source_api_free(struct source_api *s)
{
        if (!s)
                return;
        informer_free(s->informer);
        free(s);
}

bool source_api_synced(const struct source_api *s)
{
        return s->synced;
}
