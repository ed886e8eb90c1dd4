/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/controllers/world_internal.h"

/* ---- what is there ---- */

static struct json_object *lend(struct world *w, struct json_object *o)
{
        if (!w->lent)
                w->lent = json_object_new_array();
        if (o)
                json_object_array_add(w->lent, o);
        return o;
}

void world_take_back(struct world *w)
{
        json_object_put(w->lent);
        w->lent = NULL;
}

static char *path_to(const struct resource *r, const char *ns, const char *name, const char *sub)
{
        struct kube_resource where = {r->group, r->version, r->plural};

        return kube_path(&where, r->namespaced ? ns : NULL, name, sub);
}

struct json_object *world_get(struct world *w, const struct resource *r, const char *ns, const char *name)
{
        _cleanup_free_ char *path = path_to(r, ns, name, NULL);
        struct json_object *reply;
        int code = world_api_call(w->server, "GET", path, NULL, NULL, &reply);

        lend(w, reply);
        return code == 200 ? reply : NULL;
}

static uint64_t created_s(const struct json_object *o)
{
        const char *at = json_at_str(o, "metadata.creationTimestamp");
        struct timespec t = {0};

        if (at)
                clock_parse(at, &t);
        return (uint64_t)t.tv_sec;
}

static int by_creation(const void *a, const void *b)
{
        const struct json_object *x = *(struct json_object *const *)a, *y = *(struct json_object *const *)b;
        uint64_t at_x = created_s(x), at_y = created_s(y);

        return at_x != at_y ? (at_x > at_y) - (at_x < at_y)
                            : strcmp(json_at_str(x, "metadata.name"), json_at_str(y, "metadata.name"));
}

struct json_object **world_list(struct world *w, const struct resource *r, const char *ns, size_t *ret_n)
{
        _cleanup_free_ char *path = path_to(r, ns, NULL, NULL);
        struct json_object *reply;
        int code = world_api_call(w->server, "GET", path, NULL, NULL, &reply);
        struct json_object *items = json_get(lend(w, reply), "items");
        struct json_object **list = mem_array(struct json_object *, json_len(items) + 1);

        assert_int_equal(code, 200);
        *ret_n = json_len(items);
        json_array_foreach (items, i, o)
                list[i] = o;
        qsort(list, *ret_n, sizeof(*list), by_creation);
        return list;
}

size_t world_count(struct world *w, const struct resource *r, const char *ns)
{
        size_t n;

        free(world_list(w, r, ns, &n));
        return n;
}

/* ---- users ---- */

static struct json_object *parse(const char *fmt, va_list ap)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        strbuf_vprintf(&b, fmt, ap);
        for (size_t i = 0; i < b.len; i++)
                if (b.data[i] == '\'')
                        b.data[i] = '"';
        if (json_parse(b.data, b.len, &o, &err))
                fail_msg("%s in %s", err.msg, b.data);
        return o;
}

static void call(struct world *w, const char *method, const char *url, const struct json_object *body, const char *type,
                 bool must)
{
        _cleanup_json_ struct json_object *reply = NULL;
        int code = world_api_call(w->server, method, url, body, type, &reply);

        if (must && code >= 300)
                fail_msg("%s %s: %s", method, url, json_object_to_json_string(reply));
        world_check(w);
}

static void merge(struct world *w, const struct resource *r, const char *ns, const char *name,
                  const struct json_object *patch)
{
        _cleanup_free_ char *path = path_to(r, ns, name, NULL), *status = path_to(r, ns, name, "status");
        _cleanup_json_ struct json_object *rest = json_copy(patch), *only = json_object_new_object();

        if (json_has(patch, "status"))
                json_set(only, "status", json_copy(json_get(patch, "status")));
        json_del(rest, "status");
        if (json_object_object_length(rest))
                call(w, "PATCH", path, rest, KUBE_MERGE_PATCH, true);
        if (json_has(patch, "status"))
                call(w, "PATCH", status, only, KUBE_MERGE_PATCH, true);
}

void world_apply(struct world *w, const char *fmt, ...)
{
        _cleanup_json_ struct json_object *o = NULL;
        _cleanup_free_ char *path = NULL;
        const struct resource *r;
        const char *ns, *name;
        va_list ap;

        va_start(ap, fmt);
        o = parse(fmt, ap);
        va_end(ap);
        r = resource_by_kind(json_get_str(o, "apiVersion"), json_get_str(o, "kind"));
        assert_non_null(r);
        ns = json_at_str(o, "metadata.namespace");
        name = json_at_str(o, "metadata.name");
        if (world_get(w, r, ns, name)) {
                merge(w, r, ns, name, o);
                return;
        }
        path = path_to(r, ns, NULL, NULL);
        call(w, "POST", path, o, NULL, true);
        if (json_has(o, "status")) {
                json_del(o, "spec");
                merge(w, r, ns, name, o);
        }
}

void world_patch(struct world *w, const struct resource *r, const char *ns, const char *name, const char *fmt, ...)
{
        _cleanup_json_ struct json_object *patch = NULL;
        va_list ap;

        va_start(ap, fmt);
        patch = parse(fmt, ap);
        va_end(ap);
        merge(w, r, ns, name, patch);
}

static void remove_object(struct world *w, const struct resource *r, const char *ns, const char *name,
                          const char *propagation, int grace)
{
        _cleanup_free_ char *path = path_to(r, ns, name, NULL);
        _cleanup_json_ struct json_object *options = json_object_new_object();

        if (propagation)
                json_set_str(options, "propagationPolicy", propagation);
        if (grace >= 0)
                json_set_i64(options, "gracePeriodSeconds", grace);
        call(w, "DELETE", path, options, NULL, false);
}

void world_delete(struct world *w, const struct resource *r, const char *ns, const char *name, const char *propagation)
{
        remove_object(w, r, ns, name, propagation, -1);
}

/* ---- the kubelet and the scheduler ---- */

static void bind(struct world *w, struct json_object *pod, unsigned int nodes)
{
        const char *ns = json_at_str(pod, "metadata.namespace"), *name = json_at_str(pod, "metadata.name");
        _cleanup_free_ char *path = path_to(&res_pods, ns, name, "binding");
        _cleanup_(kobj_unrefp) const struct kobj *o = kobj_from_json(&res_pods, pod);
        _cleanup_json_ struct json_object *body = json_object_new_object();
        char node[300];

        snprintf(node, sizeof(node), "node-%u", (unsigned int)world_random(w, nodes));
        json_set_str(body, "apiVersion", "v1");
        json_set_str(body, "kind", "Binding");
        json_set_str(json_ensure(body, "metadata"), "name", name);
        json_set_str(json_ensure(body, "target"), "kind", "Node");
        json_set_str(json_ensure(body, "target"), "name", *o->pod->wants_node ? o->pod->wants_node : node);
        call(w, "POST", path, body, NULL, true);
}

static void add_condition(struct world *w, struct json_object *list, const char *type, bool yes)
{
        struct json_object *c = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(c, "type", type);
        json_set_str(c, "status", yes ? "True" : "False");
        json_set_str(c, "lastTransitionTime", clock_format(world_now_s(w), now));
        json_object_array_add(list, c);
}

static void add_container_status(struct world *w, struct json_object *list, const char *name, const char *phase,
                                 bool ready)
{
        struct json_object *c = json_object_new_object(), *state = json_ensure(c, "state");
        bool ended = str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
        char now[CLOCK_TEXT_SIZE];

        clock_format(world_now_s(w), now);
        json_set_str(c, "name", name);
        json_set_str(c, "image", "image");
        json_set_str(c, "imageID", "");
        json_set_i64(c, "restartCount", 0);
        json_set_bool(c, "ready", ready);
        if (ended) {
                json_set_i64(json_ensure(state, "terminated"), "exitCode", str_eq(phase, "Failed"));
                json_set_str(json_ensure(state, "terminated"), "finishedAt", now);
        } else {
                json_ensure(state, "running");
        }
        json_object_array_add(list, c);
}

static void write_status(struct world *w, struct json_object *pod, const char *phase, bool ready)
{
        const char *ns = json_at_str(pod, "metadata.namespace"), *name = json_at_str(pod, "metadata.name");
        _cleanup_json_ struct json_object *patch = json_object_new_object();
        _cleanup_free_ char *path = path_to(&res_pods, ns, name, "status");
        struct json_object *status = json_ensure(patch, "status"), *conditions = json_object_new_array(),
                           *containers = json_object_new_array(), *ip = json_object_new_object();
        char now[CLOCK_TEXT_SIZE], text[32];

        snprintf(text, sizeof(text), "10.%u.%u.%u", (unsigned int)world_random(w, 255),
                 (unsigned int)world_random(w, 255), 1 + (unsigned int)world_random(w, 250));
        if (json_at_str(pod, "status.podIP"))
                str_copy(text, sizeof(text), json_at_str(pod, "status.podIP"));
        json_set_str(status, "phase", phase);
        json_set_str(status, "podIP", text);
        json_set_str(ip, "ip", text);
        json_set(status, "podIPs", json_object_new_array());
        json_object_array_add(json_get(status, "podIPs"), ip);
        if (!json_at_str(pod, "status.startTime"))
                json_set_str(status, "startTime", clock_format(world_now_s(w), now));
        add_condition(w, conditions, "Initialized", true);
        add_condition(w, conditions, "Ready", ready);
        add_condition(w, conditions, "ContainersReady", ready);
        json_set(status, "conditions", conditions);
        json_array_foreach (json_at(pod, "spec.containers"), i, c)
                add_container_status(w, containers, json_get_str(c, "name"), phase, ready);
        json_set(status, "containerStatuses", containers);
        call(w, "PATCH", path, patch, KUBE_MERGE_PATCH, true);
}

void world_pod_status(struct world *w, const char *ns, const char *name, const char *phase, bool ready)
{
        struct json_object *pod = world_get(w, &res_pods, ns, name);

        assert_non_null(pod);
        write_status(w, pod, phase, ready);
}

static void care_for(struct world *w, struct json_object *pod, unsigned int nodes,
                     const char *(*fn)(void *userdata, struct json_object *pod), void *userdata)
{
        const char *ns = json_at_str(pod, "metadata.namespace"), *name = json_at_str(pod, "metadata.name");
        const char *phase = json_at_str(pod, "status.phase"), *next = fn ? fn(userdata, pod) : NULL;

        if (json_has(json_get(pod, "metadata"), "deletionTimestamp")) {
                if (json_at_i64(pod, "metadata.deletionGracePeriodSeconds", 0) ||
                    !json_len(json_at(pod, "metadata.finalizers")))
                        remove_object(w, &res_pods, ns, name, NULL, 0);
        } else if (str_empty(json_at_str(pod, "spec.nodeName"))) {
                bind(w, pod, nodes);
        } else if (next) {
                if (!str_eq(next, phase))
                        write_status(w, pod, next, str_eq(next, "Running"));
        } else if (!fn && str_eq(phase, "Pending")) {
                write_status(w, pod, "Running", true);
        }
}

void world_kubelet(struct world *w, unsigned int nodes, const char *(*fn)(void *userdata, struct json_object *pod),
                   void *userdata)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, NULL, &n);

        for (size_t i = 0; i < n; i++)
                care_for(w, pods[i], nodes, fn, userdata);
}
