/* SPDX-License-Identifier: Apache-2.0 */
/* LimitRanger: the LimitRanges of a namespace give containers their default requests and limits, and bound what
 * containers, pods and claims may ask for. */
#include <string.h>

#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"
#include "kube/quantity.h"

#define ANNOTATION "kubernetes.io/limit-ranger"

/* What was wrong and what was set, over all LimitRanges. */
struct ranger {
        const struct kctx *c;
        struct json_object *obj;
        bool mutate;
        struct strbuf errors, set;
        size_t nerrors;
};

static void add_error(struct ranger *r, const char *text)
{
        strbuf_printf(&r->errors, "%s%s", r->nerrors++ ? ", " : "", text);
}

#define ERROR(r, ...) add_error(r, arena_printf((r)->c->arena, __VA_ARGS__))

static bool parse(const char *text, struct quantity *ret)
{
        return text && quantity_parse(text, ret, NULL) == 0;
}

/* One resource of something, as asked for and as bounded. */
struct usage {
        const char *type, *resource;
        struct quantity request, limit;
        bool has_request, has_limit;
        bool only_request; /* of a claim: there is no limit to ask for */
};

static const char *text_of(struct ranger *r, const struct quantity *q)
{
        char *buf = arena_alloc(r->c->arena, QUANTITY_TEXT_SIZE);

        return quantity_format(q, buf);
}

static void check_min(struct ranger *r, const struct usage *u, const char *min)
{
        struct quantity q;

        if (!parse(min, &q))
                return;
        if (!u->has_request)
                ERROR(r, "minimum %s usage per %s is %s.  No request is specified", u->resource, u->type, min);
        else if (quantity_compare(&u->request, &q) < 0)
                ERROR(r, "minimum %s usage per %s is %s, but request is %s", u->resource, u->type, min,
                      text_of(r, &u->request));
        else if (u->has_limit && quantity_compare(&u->limit, &q) < 0)
                ERROR(r, "minimum %s usage per %s is %s, but limit is %s", u->resource, u->type, min,
                      text_of(r, &u->limit));
}

static void check_max(struct ranger *r, const struct usage *u, const char *max)
{
        struct quantity q;

        if (!parse(max, &q))
                return;
        if (!u->has_limit && !u->only_request)
                ERROR(r, "maximum %s usage per %s is %s.  No limit is specified", u->resource, u->type, max);
        else if (u->has_limit && quantity_compare(&u->limit, &q) > 0)
                ERROR(r, "maximum %s usage per %s is %s, but limit is %s", u->resource, u->type, max,
                      text_of(r, &u->limit));
        else if (u->has_request && quantity_compare(&u->request, &q) > 0)
                ERROR(r, "maximum %s usage per %s is %s, but request is %s", u->resource, u->type, max,
                      text_of(r, &u->request));
}

static void check_ratio(struct ranger *r, const struct usage *u, const char *ratio)
{
        struct quantity q;
        double is;

        if (!parse(ratio, &q))
                return;
        if (!u->has_request || quantity_sign(&u->request) == 0) {
                ERROR(r, "%s max limit to request ratio per %s is %s, but no request is specified or request is 0",
                      u->resource, u->type, ratio);
                return;
        }
        if (!u->has_limit || quantity_sign(&u->limit) == 0) {
                ERROR(r, "%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0",
                      u->resource, u->type, ratio);
                return;
        }
        is = (double)u->limit.nano / (double)u->request.nano;
        if (is > (double)q.nano / 1e9)
                ERROR(r, "%s max limit to request ratio per %s is %s, but provided ratio is %f", u->resource, u->type,
                      ratio, is);
}

/* Every resource that the LimitRange's item bounds, measured by fn. */
static void check_bounds(struct ranger *r, const struct json_object *item,
                         void (*measure)(const void *arg, struct usage *u), const void *arg)
{
        static const struct {
                const char *list;
                void (*check)(struct ranger *r, const struct usage *u, const char *bound);
        } bounds[] = {{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}};

        for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
                json_foreach (json_get(item, bounds[i].list), name, val) {
                        struct usage u = {.type = str_of(item, "type"), .resource = name};

                        measure(arg, &u);
                        bounds[i].check(r, &u, json_object_get_string(val));
                }
        }
}

static void measure_container(const void *arg, struct usage *u)
{
        const struct json_object *resources = json_get(arg, "resources");

        u->has_request = parse(json_get_str(json_get(resources, "requests"), u->resource), &u->request);
        u->has_limit = parse(json_get_str(json_get(resources, "limits"), u->resource), &u->limit);
}

static void take_larger(bool *has, struct quantity *to, bool other_has, const struct quantity *other)
{
        if (other_has && (!*has || quantity_compare(other, to) > 0))
                *to = *other;
        *has |= other_has;
}

/* Containers run together, init containers one after the other. */
static void measure_pod(const void *arg, struct usage *u)
{
        bool all_limited = true;

        json_array_foreach (json_at(arg, "spec.containers"), i, container) {
                struct usage one = {.resource = u->resource};

                measure_container(container, &one);
                if (one.has_request)
                        quantity_add(&u->request, &one.request);
                if (one.has_limit)
                        quantity_add(&u->limit, &one.limit);
                u->has_request |= one.has_request;
                u->has_limit |= one.has_limit;
                all_limited &= one.has_limit;
        }
        u->has_limit &= all_limited;
        json_array_foreach (json_at(arg, "spec.initContainers"), j, init) {
                struct usage one = {.resource = u->resource};

                measure_container(init, &one);
                take_larger(&u->has_request, &u->request, one.has_request, &one.request);
                if (u->has_limit)
                        take_larger(&u->has_limit, &u->limit, one.has_limit, &one.limit);
        }
}

static void measure_claim(const void *arg, struct usage *u)
{
        u->has_request = parse(json_get_str(json_at(arg, "spec.resources.requests"), u->resource), &u->request);
        u->only_request = true;
}

static void fill(struct ranger *r, struct json_object *container, const struct json_object *defaults, const char *list,
                 const char *word)
{
        struct json_object *resources, *to;
        size_t n = 0;

        json_foreach (defaults, name, val) {
                resources = json_ensure(container, "resources");
                to = json_ensure(resources, list);
                if (json_has(to, name))
                        continue;
                json_set(to, name, json_object_get(val));
                strbuf_printf(&r->set, "%s%s", n++ ? ", " : r->set.len ? "; " : "", name);
        }
        if (n)
                strbuf_printf(&r->set, " %s for container %s", word, str_of(container, "name"));
}

static void fill_containers(struct ranger *r, const struct json_object *item, const char *list)
{
        json_array_foreach (json_get(json_get(r->obj, "spec"), list), i, container) {
                fill(r, container, json_get(item, "defaultRequest"), "requests", "request");
                fill(r, container, json_get(item, "default"), "limits", "limit");
        }
}

static void check_containers(struct ranger *r, const struct json_object *item, const char *list)
{
        json_array_foreach (json_get(json_get(r->obj, "spec"), list), i, container) {
                check_bounds(r, item, measure_container, container);
        }
}

static void range_item(struct ranger *r, const struct json_object *item)
{
        bool pod = str_eq(r->c->resource->plural, "pods");
        const char *type = str_of(item, "type");

        if (pod && str_eq(type, "Container")) {
                if (r->mutate) {
                        fill_containers(r, item, "initContainers");
                        fill_containers(r, item, "containers");
                        return;
                }
                check_containers(r, item, "initContainers");
                check_containers(r, item, "containers");
        } else if (!r->mutate && pod && str_eq(type, "Pod")) {
                check_bounds(r, item, measure_pod, r->obj);
        } else if (!r->mutate && !pod && str_eq(type, "PersistentVolumeClaim")) {
                check_bounds(r, item, measure_claim, r->obj);
        }
}

static int range(void *arg, struct json_object *limit_range)
{
        json_array_foreach (json_at(limit_range, "spec.limits"), i, item) {
                range_item(arg, item);
        }
        return 0;
}

static void each_range(struct ranger *r)
{
        r->c->reader->each(r->c->reader->userdata, "", "limitranges", r->c->namespace, range, r);
}

ADMIT_PLUGIN(limit_ranger)
{
        bool pod = admit_is(c, "", "pods"), claim = admit_is(c, "", "persistentvolumeclaims");
        struct ranger r = {.c = c, .obj = obj};
        int refused = 0;

        if (!(pod && verb == ADMIT_CREATE) && !(claim && verb != ADMIT_DELETE))
                return 0;
        r.mutate = pod;
        if (pod)
                each_range(&r);
        if (r.set.len)
                json_set_str(json_ensure(json_ensure(obj, "metadata"), "annotations"), ANNOTATION,
                             arena_printf(c->arena, "LimitRanger plugin set: %s", r.set.data));
        r.mutate = false;
        each_range(&r);
        if (r.nerrors)
                refused = admit_forbid(c, ret, json_at_str(obj, "metadata.name"), r.nerrors > 1 ? "[%s]" : "%s",
                                       r.errors.data);
        strbuf_deinit(&r.errors);
        strbuf_deinit(&r.set);
        return refused;
}
