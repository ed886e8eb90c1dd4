/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/endpoint/subsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/jsontree.h"
#include "base/str.h"

/* ---- order ---- */

static int by_address(const void *a, const void *b)
{
        const struct subset_address *x = a, *y = b;
        int order = strcmp(x->e.address, y->e.address);

        return order ? order : strcmp(x->e.uid, y->e.uid);
}

static int by_address_of(const void *a, const void *b)
{
        return by_address(*(const void *const *)a, *(const void *const *)b);
}

static int by_port(const void *a, const void *b)
{
        const struct slice_port *x = a, *y = b;
        int order = strcmp(x->name, y->name);

        order = order ? order : strcmp(x->protocol, y->protocol);
        return order ? order : (x->port > y->port) - (x->port < y->port);
}

static int by_first_port(const void *a, const void *b)
{
        const struct subset *x = a, *y = b;

        if (!x->nports || !y->nports)
                return (x->nports > y->nports) - (x->nports < y->nports);
        return by_port(x->ports, y->ports);
}

/* ---- packing ---- */

struct packing {
        struct subsets *result;
        struct subset_address *all;
        size_t n, room; /* room: of the result */
        struct arena *mem;
};

static bool same_addresses(const struct subset *a, const struct subset *b)
{
        return a->naddresses == b->naddresses &&
               !memcmp(a->addresses, b->addresses, a->naddresses * sizeof(*a->addresses));
}

static void add_port(const struct packing *p, struct subset *s, const struct slice_port *port)
{
        struct slice_port *ports = arena_array(p->mem, struct slice_port, s->nports + 1);

        if (s->nports)
                memcpy(ports, s->ports, s->nports * sizeof(*ports));
        ports[s->nports++] = *port;
        s->ports = ports;
}

static struct subset *new_subset(struct packing *p)
{
        struct subsets *r = p->result;

        if (r->n == p->room) {
                struct subset *more = arena_array(p->mem, struct subset, p->room = MAX(2 * p->room, (size_t)8));

                if (r->n)
                        memcpy(more, r->all, r->n * sizeof(*more));
                r->all = more;
        }
        return &r->all[r->n++];
}

static void add_subset(struct packing *p, const struct subset *s, const struct slice_port *port)
{
        struct subset *new;

        for (size_t i = 0; i < p->result->n; i++)
                if (same_addresses(&p->result->all[i], s)) {
                        add_port(p, &p->result->all[i], port);
                        return;
                }
        new = new_subset(p);
        *new = *s;
        add_port(p, new, port);
}

struct numbered {
        int32_t number;
        const struct subset_address *address;
};

/* Stays in the order of addresses where numbers are equal. */
static int by_number(const void *a, const void *b)
{
        const struct numbered *x = a, *y = b;

        if (x->number != y->number)
                return x->number < y->number ? -1 : 1;
        return (x->address > y->address) - (x->address < y->address);
}

/* The n addresses at which the port has one number. */
static void pack_number(struct packing *p, const struct service_port *port, const struct numbered *all, size_t n)
{
        struct slice_port at = {port->name, port->protocol, port->app, all->number};
        struct subset s = {.addresses = arena_array(p->mem, const struct subset_address *, n)};

        for (size_t i = 0; i < n; i++)
                s.addresses[s.naddresses++] = all[i].address;
        add_subset(p, &s, &at);
}

/* Each number that the port has in some pods, with those. */
static void pack_port(struct packing *p, const struct service_port *port, size_t index)
{
        struct numbered *all = arena_array(p->mem, struct numbered, p->n);

        for (size_t i = 0; i < p->n; i++)
                all[i] = (struct numbered){p->all[i].numbers[index], &p->all[i]};
        qsort(all, p->n, sizeof(*all), by_number);
        for (size_t from = 0, to; from < p->n; from = to) {
                to = from;
                while (to < p->n && all[to].number == all[from].number)
                        to++;
                if (all[from].number >= 0)
                        pack_number(p, port, &all[from], to - from);
        }
}

static void sort_subsets(struct subsets *s)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->all[i].nports)
                        qsort((void *)(uintptr_t)s->all[i].ports, s->all[i].nports, sizeof(struct slice_port), by_port);
        if (s->n)
                qsort(s->all, s->n, sizeof(*s->all), by_first_port);
}

static void pack_portless(struct packing *p)
{
        struct subset *s = new_subset(p);

        s->addresses = arena_array(p->mem, const struct subset_address *, p->n);
        for (size_t i = 0; i < p->n; i++)
                s->addresses[s->naddresses++] = &p->all[i];
}

void subsets_pack(struct subsets *ret, struct subset_address *all, size_t n, const struct service_port *ports,
                  size_t nports, struct arena *mem)
{
        struct packing p = {.result = ret, .all = all, .n = n, .mem = mem};

        *ret = (struct subsets){0};
        if (!n)
                return;
        qsort(all, n, sizeof(*all), by_address);
        if (!nports)
                pack_portless(&p);
        for (size_t i = 0; i < nports; i++)
                pack_port(&p, &ports[i], i);
        sort_subsets(ret);
}

/* ---- reading ---- */

static void read_address(struct subset_address *a, const struct jnode *o, bool ready)
{
        const struct jnode *target = jnode_get(o, "targetRef");
        const struct {
                const char **field, *text;
        } texts[] = {
                {&a->e.address, jnode_str(o, "ip")},        {&a->e.hostname, jnode_str(o, "hostname")},
                {&a->e.node, jnode_str(o, "nodeName")},     {&a->e.kind, jnode_str(target, "kind")},
                {&a->e.ns, jnode_str(target, "namespace")}, {&a->e.name, jnode_str(target, "name")},
                {&a->e.uid, jnode_str(target, "uid")},
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                *texts[i].field = texts[i].text ? texts[i].text : "";
        a->e.ready = ready ? TRI_TRUE : TRI_FALSE;
}

static void read_addresses(struct subset *s, const struct jnode *list, bool ready, struct arena *mem)
{
        struct subset_address *all = arena_array(mem, struct subset_address, jnode_len(list));

        jnode_foreach (list, o) {
                read_address(all, o, ready);
                s->addresses[s->naddresses++] = all++;
        }
}

static void read_ports(struct subset *s, const struct jnode *list, struct arena *mem)
{
        struct slice_port *all = arena_array(mem, struct slice_port, jnode_len(list));

        s->ports = all;
        jnode_foreach (list, o) {
                const char *name = jnode_str(o, "name"), *protocol = jnode_str(o, "protocol");
                const char *app = jnode_str(o, "appProtocol");

                all[s->nports++] = (struct slice_port){name ? name : "", protocol ? protocol : "TCP", app ? app : "",
                                                       (int32_t)jnode_i64(o, "port", -1)};
        }
}

static void read_subset(struct subset *s, const struct jnode *o, struct arena *mem)
{
        const struct jnode *ready = jnode_get(o, "addresses"), *others = jnode_get(o, "notReadyAddresses");

        s->addresses = arena_array(mem, const struct subset_address *, jnode_len(ready) + jnode_len(others));
        read_addresses(s, ready, true, mem);
        read_addresses(s, others, false, mem);
        qsort(s->addresses, s->naddresses, sizeof(*s->addresses), by_address_of);
        read_ports(s, jnode_get(o, "ports"), mem);
}

/* The nodes of the tree end with this call; the texts in them are in mem. */
void subsets_read(struct subsets *ret, const struct kobj *endpoints, struct arena *mem)
{
        static _Thread_local struct jsontree tree;
        char *text = arena_strndup(mem, endpoints->text, endpoints->text_len);
        const struct jnode *root = NULL, *list;

        *ret = (struct subsets){0};
        if (!jsontree_parse(&tree, text, endpoints->text_len, &root, NULL)) {
                list = jnode_get(root, "subsets");
                ret->all = arena_array(mem, struct subset, jnode_len(list));
                jnode_foreach (list, o)
                        read_subset(&ret->all[ret->n++], o, mem);
        }
        jsontree_deinit(&tree);
        sort_subsets(ret);
}

/* ---- comparing ---- */

static bool address_equal(const struct slice_endpoint *a, const struct slice_endpoint *b)
{
        return a->ready == b->ready && str_eq(a->address, b->address) && str_eq(a->uid, b->uid) &&
               str_eq(a->node, b->node) && str_eq(a->hostname, b->hostname) && str_eq(a->name, b->name) &&
               str_eq(a->ns, b->ns) && str_eq(a->kind, b->kind);
}

static bool subset_equal(const struct subset *a, const struct subset *b)
{
        if (a->nports != b->nports || a->naddresses != b->naddresses)
                return false;
        for (size_t i = 0; i < a->nports; i++)
                if (by_port(&a->ports[i], &b->ports[i]) || !str_eq(a->ports[i].app, b->ports[i].app))
                        return false;
        for (size_t i = 0; i < a->naddresses; i++)
                if (!address_equal(&a->addresses[i]->e, &b->addresses[i]->e))
                        return false;
        return true;
}

bool subsets_equal(const struct subsets *a, const struct subsets *b)
{
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (!subset_equal(&a->all[i], &b->all[i]))
                        return false;
        return true;
}

/* ---- too many ---- */

static size_t count(const struct subset *s, bool ready)
{
        size_t n = 0;

        for (size_t i = 0; i < s->naddresses; i++)
                n += (s->addresses[i]->e.ready == TRI_TRUE) == ready;
        return n;
}

/* Leaves the first `left` of those that are ready (or not), and all others. */
static void cut(struct subset *s, bool ready, size_t left)
{
        size_t n = 0;

        for (size_t i = 0; i < s->naddresses; i++) {
                bool concerned = (s->addresses[i]->e.ready == TRI_TRUE) == ready;

                if (concerned && !left)
                        continue;
                left -= concerned;
                s->addresses[n++] = s->addresses[i];
        }
        s->naddresses = n;
}

/* Each subset keeps its part of them, rounded up, while there is room. */
static void cut_all(struct subsets *s, bool ready, size_t total, size_t room)
{
        size_t left = room;

        for (size_t i = 0; i < s->n; i++) {
                size_t part = (count(&s->all[i], ready) * room + total - 1) / total;

                part = MIN(part, left);
                left -= MIN(part, count(&s->all[i], ready));
                cut(&s->all[i], ready, part);
        }
}

/* A subset without addresses is none. */
static void drop_empty(struct subsets *s)
{
        size_t n = 0;

        for (size_t i = 0; i < s->n; i++)
                if (s->all[i].naddresses)
                        s->all[n++] = s->all[i];
        s->n = n;
}

bool subsets_truncate(struct subsets *s, size_t max)
{
        size_t ready = 0, others = 0;

        for (size_t i = 0; i < s->n; i++) {
                ready += count(&s->all[i], true);
                others += count(&s->all[i], false);
        }
        if (ready + others <= max)
                return false;
        if (others)
                cut_all(s, false, others, max - MIN(ready, max));
        if (ready > max)
                cut_all(s, true, ready, max);
        drop_empty(s);
        return true;
}

/* ---- writing ---- */

static void set_text(struct json_object *o, const char *key, const char *text)
{
        if (!str_empty(text))
                json_set_str(o, key, text);
}

static struct json_object *address_json(const struct slice_endpoint *e)
{
        struct json_object *o = json_object_new_object(), *target = json_ensure(o, "targetRef");

        json_set_str(o, "ip", e->address);
        set_text(o, "hostname", e->hostname);
        set_text(o, "nodeName", e->node);
        set_text(target, "kind", e->kind);
        set_text(target, "namespace", e->ns);
        set_text(target, "name", e->name);
        set_text(target, "uid", e->uid);
        return o;
}

static void set_addresses(struct json_object *o, const char *key, const struct subset *s, bool ready)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < s->naddresses; i++)
                if ((s->addresses[i]->e.ready == TRI_TRUE) == ready)
                        json_object_array_add(list, address_json(&s->addresses[i]->e));
        if (json_len(list))
                json_set(o, key, list);
        else
                json_object_put(list);
}

static struct json_object *ports_json(const struct subset *s)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < s->nports; i++) {
                struct json_object *o = json_object_new_object();

                set_text(o, "name", s->ports[i].name);
                json_set_i64(o, "port", s->ports[i].port);
                json_set_str(o, "protocol", s->ports[i].protocol);
                set_text(o, "appProtocol", s->ports[i].app);
                json_object_array_add(list, o);
        }
        return list;
}

struct json_object *subsets_json(const struct subsets *s)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < s->n; i++) {
                struct json_object *o = json_object_new_object();

                set_addresses(o, "addresses", &s->all[i], true);
                set_addresses(o, "notReadyAddresses", &s->all[i], false);
                if (s->all[i].nports)
                        json_set(o, "ports", ports_json(&s->all[i]));
                json_object_array_add(list, o);
        }
        return list;
}
