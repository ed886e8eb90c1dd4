/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/step.h"

struct plan *plan_new(void)
{
        struct plan *p = mem_new(struct plan);

        p->tail = &p->steps;
        p->notes_tail = &p->notes;
        p->after_ms = UINT64_MAX;
        return p;
}

void plan_free(struct plan *p)
{
        if (!p)
                return;
        for (struct step *st = p->steps; st; st = st->next) {
                json_object_put(st->body);
                kobj_unref(st->about);
        }
        for (struct note *n = p->notes; n; n = n->next)
                kobj_unref(n->about);
        arena_deinit(&p->mem);
        free(p);
}

static const char *text_of(struct plan *p, const char *s)
{
        return str_empty(s) ? "" : arena_strdup(&p->mem, s);
}

static struct step *add(struct sync *s, enum step_verb verb, const struct resource *r, struct json_object *body)
{
        struct plan *p = s->plan;
        struct step *st = arena_new(&p->mem, struct step);

        st->verb = verb;
        st->resource = r;
        st->body = body;
        st->stage = p->stage;
        st->ns = st->name = st->generate = st->uid = "";
        *p->tail = st;
        p->tail = &st->next;
        p->nsteps++;
        return st;
}

static struct step *add_whole(struct sync *s, enum step_verb verb, const struct resource *r, struct json_object *body)
{
        struct step *st = add(s, verb, r, body);
        char buf[RESOURCE_API_VERSION_SIZE];

        st->ns = text_of(s->plan, json_at_str(body, "metadata.namespace"));
        st->name = text_of(s->plan, json_at_str(body, "metadata.name"));
        if (!*st->name)
                st->generate = text_of(s->plan, json_at_str(body, "metadata.generateName"));
        json_set_str(body, "apiVersion", resource_api_version(r, buf));
        json_set_str(body, "kind", r->kind);
        return st;
}

static struct step *add_to(struct sync *s, enum step_verb verb, const struct kobj *o, struct json_object *body)
{
        struct step *st = add(s, verb, o->resource, body);

        st->ns = text_of(s->plan, o->ns);
        st->name = text_of(s->plan, o->name);
        st->uid = text_of(s->plan, o->uid);
        return st;
}

struct step *plan_create(struct sync *s, const struct resource *r, struct json_object *body)
{
        return add_whole(s, STEP_CREATE, r, body);
}

struct step *plan_update(struct sync *s, const struct resource *r, struct json_object *body)
{
        return add_whole(s, STEP_UPDATE, r, body);
}

struct step *plan_update_status(struct sync *s, const struct resource *r, struct json_object *body)
{
        struct step *st = add_whole(s, STEP_UPDATE, r, body);

        st->sub = "status";
        return st;
}

struct step *plan_patch(struct sync *s, const struct kobj *o, const char *sub, struct json_object *patch)
{
        struct step *st = add_to(s, STEP_PATCH, o, patch);

        json_set_str(json_ensure(patch, "metadata"), "uid", o->uid);
        st->sub = sub ? text_of(s->plan, sub) : NULL;
        return st;
}

struct step *plan_delete(struct sync *s, const struct kobj *o)
{
        struct json_object *options = json_object_new_object();

        json_set_str(options, "apiVersion", "v1");
        json_set_str(options, "kind", "DeleteOptions");
        json_set_str(json_ensure(options, "preconditions"), "uid", o->uid);
        return add_to(s, STEP_DELETE, o, options);
}

struct step *plan_post(struct sync *s, const struct kobj *o, const char *sub, struct json_object *body)
{
        struct step *st = add_to(s, STEP_CREATE, o, body);

        st->post = true;
        st->sub = text_of(s->plan, sub);
        return st;
}

static struct step *add_ask(struct sync *s, enum step_verb verb, const struct resource *r, const char *ns,
                            const char *name)
{
        struct step *st = add(s, verb, r, NULL);

        st->ns = text_of(s->plan, ns);
        st->name = text_of(s->plan, name);
        st->collection = !*st->name;
        return st;
}

struct step *plan_delete_all(struct sync *s, const struct resource *r, const char *ns)
{
        return add_ask(s, STEP_DELETE, r, ns, "");
}

struct step *plan_confirm_absent(struct sync *s, const struct resource *r, const char *ns, const char *name,
                                 const char *uid)
{
        struct step *st = add_ask(s, STEP_CONFIRM, r, ns, name);

        st->uid = text_of(s->plan, uid);
        return st;
}

struct step *plan_confirm_none(struct sync *s, const struct resource *r, const char *ns)
{
        return add_ask(s, STEP_CONFIRM, r, ns, "");
}

struct step *plan_put(struct sync *s, const struct kobj *o, const char *sub, struct json_object *body)
{
        struct step *st = add_to(s, STEP_UPDATE, o, body);

        st->sub = text_of(s->plan, sub);
        return st;
}

void step_tell(struct step *st, const struct kobj *about, const struct telling *t)
{
        st->about = kobj_ref(about);
        st->telling = *t;
}

void step_slow_start(struct step *st)
{
        st->slow_start = true;
}

void step_grace(struct step *st, int64_t seconds)
{
        json_set_i64(st->body, "gracePeriodSeconds", seconds);
}

void step_propagation(struct step *st, const char *propagation)
{
        json_set_str(st->body, "propagationPolicy", propagation);
}

void step_version(struct step *st, const struct kobj *o)
{
        char text[24];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)o->version);
        json_set_str(json_ensure(st->body, st->verb == STEP_DELETE ? "preconditions" : "metadata"), "resourceVersion",
                     text);
}

void step_warn(struct step *st)
{
        st->warning = true;
}

void step_strategic(struct step *st)
{
        st->strategic = true;
}

void step_may_fail(struct step *st)
{
        st->may_fail = true;
}

void plan_then(struct sync *s)
{
        s->plan->stage++;
}

void plan_after(struct sync *s, uint64_t ms)
{
        s->plan->after_ms = MIN(s->plan->after_ms, ms);
}

void plan_retry(struct sync *s, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        s->plan->retry = arena_vprintf(&s->plan->mem, fmt, ap);
        va_end(ap);
}

void plan_event(struct sync *s, const struct kobj *about, bool warning, const char *reason, const char *fmt, ...)
{
        struct plan *p = s->plan;
        struct note *n = arena_new(&p->mem, struct note);
        va_list ap;

        n->about = kobj_ref(about);
        n->warning = warning;
        n->reason = text_of(p, reason);
        va_start(ap, fmt);
        n->text = arena_vprintf(&p->mem, fmt, ap);
        va_end(ap);
        *p->notes_tail = n;
        p->notes_tail = &n->next;
}

bool plan_is_empty(const struct sync *s)
{
        return !s->plan->nsteps && !s->plan->notes && !s->plan->retry;
}
