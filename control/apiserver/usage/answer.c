/* SPDX-License-Identifier: Apache-2.0 */
/* NodeMetrics and PodMetrics, as metrics-server gives them: nanocores and Ki. */
#include <math.h>

#include "apiserver/peek.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "apiserver/usage/internal.h"
#include "base/clock.h"
#include "base/str.h"
#include "kube/selector.h"

#define VERSION "metrics.k8s.io/v1beta1"
#define WINDOW  "15s"

static struct json_object *usage_object(const struct usage_series *s)
{
        struct json_object *o = json_object_new_object();
        char text[32];

        snprintf(text, sizeof(text), "%.0fn", ceil(s->cores * 1e9));
        json_set_str(o, "cpu", text);
        snprintf(text, sizeof(text), "%.0fKi", ceil(s->memory / 1024));
        json_set_str(o, "memory", text);
        return o;
}

static bool is_complete(const struct usage_series *s)
{
        return s && s->has_cores && s->has_memory;
}

static struct json_object *new_item(struct api_request *req, const struct object *o, const char *kind)
{
        struct json_object *item = json_object_new_object(), *meta = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(item, "kind", kind);
        json_set_str(item, "apiVersion", VERSION);
        json_set_str(meta, "name", o->name);
        if (*o->namespace)
                json_set_str(meta, "namespace", o->namespace);
        json_set_str(meta, "creationTimestamp", clock_format(req->now_us / 1000000, now));
        for (uint32_t i = 0; i < o->nlabels; i++)
                json_set_str(json_ensure(meta, "labels"), o->labels[i].key, o->labels[i].value);
        json_set(item, "metadata", meta);
        json_set_str(item, "timestamp", now);
        json_set_str(item, "window", WINDOW);
        return item;
}

static struct json_object *node_item(struct usage *u, struct api_request *req, const struct object *o)
{
        const struct usage_sample *sample = hashmap_get(&u->nodes, o->name);
        const struct usage_series *s = sample ? usage_sample_find(sample, NULL, NULL, NULL) : NULL;
        struct json_object *item;

        if (!is_complete(s))
                return NULL;
        item = new_item(req, o, "NodeMetrics");
        json_set(item, "usage", usage_object(s));
        return item;
}

static struct json_object *containers_of(const struct usage_sample *sample, const struct object *o,
                                         const struct json_object *pod)
{
        static const char *const lists[] = {"spec.initContainers",
                                            "spec.containers"}; /* sidecars are among the first */
        struct json_object *list = json_object_new_array();

        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_at(pod, lists[k]), i, c) {
                        const char *name = json_get_str(c, "name");
                        const struct usage_series *s = usage_sample_find(sample, o->namespace, o->name, name);
                        struct json_object *one;

                        if (!is_complete(s))
                                continue;
                        one = json_object_new_object();
                        json_set_str(one, "name", name);
                        json_set(one, "usage", usage_object(s));
                        json_object_array_add(list, one);
                }
        }
        return list;
}

static struct json_object *pod_item(struct usage *u, struct api_request *req, const struct object *o)
{
        _cleanup_json_ struct json_object *pod = object_tree(o), *containers = NULL;
        const char *node = json_at_str(pod, "spec.nodeName");
        const struct usage_sample *sample = node ? hashmap_get(&u->nodes, node) : NULL;
        struct json_object *item;

        if (!sample)
                return NULL;
        containers = containers_of(sample, o, pod);
        if (!json_len(containers))
                return NULL;
        item = new_item(req, o, "PodMetrics");
        json_set(item, "containers", json_object_get(containers));
        return item;
}

static struct json_object *make_item(struct usage *u, struct api_request *req, const struct object *o)
{
        return str_eq(req->plural, "nodes") ? node_item(u, req, o) : pod_item(u, req, o);
}

static bool matches(const void *selector, const struct object *o)
{
        const struct label_array labels = {o->labels, o->nlabels};

        return selector_match_labels(selector, &labels);
}

static void build_list(struct usage *u, struct api_request *req, struct cache *c, const struct selector *sel)
{
        _cleanup_json_ struct json_object *list = json_object_new_object();
        struct json_object *items = json_object_new_array();
        const struct cache_filter f = {.namespace = req->namespace, .match = sel ? matches : NULL, .userdata = sel};
        struct object_list objects = OBJECT_LIST_NULL;

        json_set_str(list, "kind", str_eq(req->plural, "nodes") ? "NodeMetricsList" : "PodMetricsList");
        json_set_str(list, "apiVersion", VERSION);
        json_set(list, "metadata", json_object_new_object());
        json_set(list, "items", items);
        cache_list(c, &f, NULL, 0, &objects, NULL);
        for (size_t i = 0; i < objects.n; i++) {
                struct json_object *item = make_item(u, req, objects.items[i]);

                if (item)
                        json_object_array_add(items, item);
        }
        object_list_deinit(&objects);
        api_answer_tree(req, 200, list);
}

static void build_one(struct usage *u, struct api_request *req, struct cache *c)
{
        _cleanup_object_ struct object *o = cache_get(c, req->namespace, req->name);
        _cleanup_json_ struct json_object *item = o ? make_item(u, req, o) : NULL;

        if (item)
                api_answer_tree(req, 200, item);
        else
                api_fail_not_found(req);
}

void usage_build(struct usage *u, struct api_request *req)
{
        const char *text = api_query_get(req, "labelSelector");
        struct cache *c = cache_find(u->server->caches, "", req->plural);
        _cleanup_selector_ struct selector *sel = NULL;
        struct err err = ERR_NULL;

        if (req->name)
                build_one(u, req, c);
        else if (!str_empty(text) && selector_parse(text, &sel, &err))
                api_fail(req, 400, "unable to parse requirement: %s", err.msg);
        else
                build_list(u, req, c, sel);
}
