/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/config.h"
#include "controllers/endpoint/membership.h"
#include "controllers/endpoint/service.h"
#include "controllers/endpoint/zones.h"
#include "controllers/engine/pack.h"

#define FILED_SIZE 512 /* a namespace, and a label's key and value */

struct filed {
        struct filed *next; /* under the same label */
        struct folder *folder;
        const char *key, *ns;
        const struct label *selector;
        size_t n;
        bool spread;
};

struct folder {
        struct filed *first;
        size_t n;
        char name[]; /* "namespace/key=value" */
};

struct membership {
        struct hashmap folders;  /* name -> struct folder * */
        struct hashmap services; /* key -> struct filed * */
        struct hashmap spread;   /* key -> the same, of those with .spread */
};

struct membership *membership_new(void)
{
        struct membership *m = mem_new(struct membership);

        hashmap_init(&m->folders, HASHMAP_STR);
        hashmap_init(&m->services, HASHMAP_STR);
        hashmap_init(&m->spread, HASHMAP_STR);
        return m;
}

static const char *folder_name(char buf[static FILED_SIZE], const char *ns, const struct label *l)
{
        snprintf(buf, FILED_SIZE, "%s/%s=%s", ns, l->key, l->value);
        return buf;
}

static struct folder *folder_of(struct membership *m, const char *name)
{
        struct folder *f = hashmap_get(&m->folders, name);
        size_t n = strlen(name) + 1;

        if (f)
                return f;
        f = mem_zalloc(sizeof(*f) + n);
        memcpy(f->name, name, n);
        hashmap_put(&m->folders, f->name, f);
        return f;
}

static struct folder *emptiest(struct membership *m, const struct filed *s)
{
        char buf[FILED_SIZE], best[FILED_SIZE];
        size_t least = SIZE_MAX;

        for (size_t i = 0; i < s->n; i++) {
                const struct folder *f = hashmap_get(&m->folders, folder_name(buf, s->ns, &s->selector[i]));
                size_t n = f ? f->n : 0;

                if (n >= least)
                        continue;
                least = n;
                memcpy(best, buf, sizeof(best));
        }
        return folder_of(m, best);
}

static void file(struct membership *m, struct filed *s)
{
        s->folder = emptiest(m, s);
        s->next = s->folder->first;
        s->folder->first = s;
        s->folder->n++;
        hashmap_put(&m->services, s->key, s);
        if (s->spread)
                hashmap_put(&m->spread, s->key, s);
}

static void take_out(struct membership *m, struct filed *s)
{
        struct filed **at = &s->folder->first;

        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        if (!--s->folder->n) {
                hashmap_del(&m->folders, s->folder->name);
                free(s->folder);
        }
        hashmap_del(&m->services, s->key);
        hashmap_del(&m->spread, s->key);
        free(s);
}

void membership_free(struct membership *m)
{
        struct hashmap_slot *slot;

        if (!m)
                return;
        while ((slot = hashmap_next(&m->services, m->services.slots)))
                take_out(m, slot->value);
        hashmap_deinit(&m->services);
        hashmap_deinit(&m->spread);
        hashmap_deinit(&m->folders);
        free(m);
}

static struct filed *pack_filed(struct pack *p, const struct service *s)
{
        struct filed *f = pack_array(p, struct filed, 1);
        struct label *selector = pack_array(p, struct label, s->nselector);

        for (size_t i = 0; i < s->nselector; i++)
                selector[i] = (struct label){pack_text(p, s->selector[i].key), pack_text(p, s->selector[i].value)};
        *f = (struct filed){.selector = selector, .n = s->nselector, .spread = s->spread};
        f->key = pack_text(p, s->object->key);
        f->ns = pack_text(p, s->object->ns);
        return f;
}

static void file_service(struct membership *m, const struct kobj *o)
{
        _cleanup_(arena_deinit) struct arena mem = ARENA_NULL;
        struct pack p = {.scratch = &mem};
        struct service s;

        service_read(&s, o, &mem);
        if (!service_selects(&s))
                return;
        pack_filed(&p, &s);
        p = (struct pack){.block = mem_zalloc(p.used)};
        file(m, pack_filed(&p, &s));
}

void membership_service_changed(struct membership *m, struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct filed *was = hashmap_get(&m->services, (now ? now : old)->key);

        if (was)
                take_out(m, was);
        if (now)
                file_service(m, now);
        runner_add_object(r, now ? now : old);
}

/* ---- pods ---- */

static bool selects(const struct filed *s, const struct kobj *pod)
{
        for (size_t i = 0; i < s->n; i++)
                if (!str_eq(kobj_label(pod, s->selector[i].key), s->selector[i].value))
                        return false;
        return true;
}

static void add(struct runner *r, const char *key)
{
        int64_t wait_ms = runner_config(r)->endpoint_batch_ms;

        if (wait_ms > 0)
                runner_add_after(r, key, (uint64_t)wait_ms);
        else
                runner_add(r, key);
}

/* Adds the services of pod, but for those that also have `but` (NULL: all). */
static void add_services_of(const struct membership *m, struct runner *r, const struct kobj *pod,
                            const struct kobj *but)
{
        char buf[FILED_SIZE];

        for (size_t i = 0; i < pod->nlabels; i++) {
                const struct folder *f = hashmap_get(&m->folders, folder_name(buf, pod->ns, &pod->labels[i]));

                for (const struct filed *s = f ? f->first : NULL; s; s = s->next)
                        if (selects(s, pod) && (!but || !selects(s, but)))
                                add(r, s->key);
        }
}

static bool same_labels(const struct kobj *a, const struct kobj *b)
{
        if (a->nlabels != b->nlabels)
                return false;
        for (size_t i = 0; i < a->nlabels; i++)
                if (!str_eq(kobj_label(b, a->labels[i].key), a->labels[i].value))
                        return false;
        return true;
}

static bool same_addresses(const struct pod *a, const struct pod *b)
{
        if (a->nips != b->nips)
                return false;
        for (size_t i = 0; i < a->nips; i++)
                if (!str_eq(a->ips[i], b->ips[i]))
                        return false;
        return true;
}

/* Everything that an endpoint is made of, but labels. A pod of the same name may be another one. */
static bool same_endpoint(const struct kobj *a, const struct kobj *b)
{
        return (a->deleted_s != 0) == (b->deleted_s != 0) && pod_has_endpoint(a) == pod_has_endpoint(b) &&
               pod_is_ready(a) == pod_is_ready(b) && str_eq(a->uid, b->uid) && str_eq(a->pod->node, b->pod->node) &&
               same_addresses(a->pod, b->pod) && str_eq(a->pod->hostname, b->pod->hostname) &&
               str_eq(a->pod->subdomain, b->pod->subdomain);
}

void membership_pod_changed(struct membership *m, struct runner *r, const struct kobj *old, const struct kobj *now)
{
        bool was = old && pod_has_endpoint(old), is = now && pod_has_endpoint(now);
        bool same = was && is && same_endpoint(old, now);

        if ((!was && !is) || (same && same_labels(old, now)))
                return;
        if (is)
                add_services_of(m, r, now, same ? old : NULL);
        if (was)
                add_services_of(m, r, old, is ? now : NULL);
}

void membership_node_changed(struct membership *m, struct runner *r, const struct kobj *old, const struct kobj *now)
{
        _cleanup_(arena_deinit) struct arena mem = ARENA_NULL;
        struct kobjs pods;

        if (old && now && str_eq(node_zone(old), node_zone(now)))
                return;
        pods = lister_on_node(runner_lister(r), (now ? now : old)->name, &mem);
        kobjs_foreach (pods, pod)
                if (pod_has_endpoint(pod))
                        add_services_of(m, r, pod, NULL);
}

void membership_add_spread(const struct membership *m, struct runner *r)
{
        hashmap_foreach (&m->spread, slot)
                runner_add(r, slot->key.str);
}
