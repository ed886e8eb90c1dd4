/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/project.h"
#include "agent/project_list.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define LABEL_SERVICE      "kubernetes.io/service-name"
#define LABEL_HEADLESS     "service.kubernetes.io/headless"
#define ANNOTATION_TRIGGER "endpoints.kubernetes.io/last-change-trigger-time"
#define ANNOTATION_WEIGHT  "fairlead.dev/weight"
#define PORTS_MAX          1000
#define TRIGGER_MAX_S      INT64_C(9000000000) /* the year 2255: its nanoseconds still fit */
#define ENDPOINTS_MAX      10000               /* of a slice; the API allows 1000 */

struct reading {
        struct slice_view view;
        const struct projector *projector;
        struct slice_port *ports;
        struct slice_endpoint *endpoints;
        const char *zones[SLICE_ZONES_MAX];
        struct skips problems;
};

static void read_port(struct reading *r, const struct jnode *o)
{
        const char *name = jnode_str(o, "name"), *protocol = jnode_str(o, "protocol");
        int64_t port = jnode_i64(o, "port", 0);
        uint8_t proto = project_protocol(protocol);

        if (port < 1 || port > UINT16_MAX || !proto) {
                skips_add(&r->problems, "ports: %lld/%.16s is no port of TCP, UDP or SCTP", (long long)port,
                          protocol ? protocol : "TCP");
                return;
        }
        r->ports[r->view.nports++] = (struct slice_port){name ? name : "", (uint16_t)port, proto};
}

static uint32_t zone_bit(struct reading *r, const char *zone)
{
        for (size_t i = 0; i < r->view.nzones; i++)
                if (str_eq(r->zones[i], zone))
                        return UINT32_C(1) << i;
        if (r->view.nzones == SLICE_ZONES_MAX) {
                skips_add(&r->problems, "hints: zone \"%.63s\" is above the limit of %d zones in a slice", zone,
                          SLICE_ZONES_MAX);
                return 0;
        }
        r->zones[r->view.nzones] = zone;
        return UINT32_C(1) << r->view.nzones++;
}

static void read_hints(struct reading *r, const struct jnode *hints, struct slice_endpoint *e)
{
        jnode_foreach (jnode_get(hints, "forZones"), zone) {
                const char *name = jnode_str(zone, "name");

                e->flags |= ENDPOINT_ZONE_HINTS;
                if (!str_empty(name))
                        e->zones |= zone_bit(r, name);
        }
        jnode_foreach (jnode_get(hints, "forNodes"), node) {
                e->flags |= ENDPOINT_NODE_HINTS;
                if (str_eq(jnode_str(node, "name"), r->projector->node_name))
                        e->flags |= ENDPOINT_FOR_NODE;
        }
}

/* The first address is the endpoint's: more of them are the same endpoint (KEP-0752), and no proxy uses them. */
static void read_endpoint(struct reading *r, const struct jnode *o)
{
        const struct jnode *conditions = jnode_get(o, "conditions"), *addresses = jnode_get(o, "addresses");
        const char *text = jnode_len(addresses) ? jnode_text(addresses->first) : NULL;
        struct slice_endpoint e = {0};
        const char *fault;

        if (address_parse(text ? text : "", &e.addr)) {
                skips_add(&r->problems, "endpoints: \"%.45s\" is no IP address", text ? text : "");
                return;
        }
        fault = address_is_v4(&e.addr) != r->view.v4 ? "not of the slice's addressType"
                                                     : project_address_fault(&e.addr);
        if (fault) {
                skips_add(&r->problems, "endpoints: %.45s is %s", text, fault);
                return;
        }
        if (jnode_bool(conditions, "ready", true))
                e.flags |= ENDPOINT_READY;
        if (jnode_bool(conditions, "serving", true))
                e.flags |= ENDPOINT_SERVING;
        if (jnode_bool(conditions, "terminating", false))
                e.flags |= ENDPOINT_TERMINATING;
        if (str_eq(jnode_str(o, "nodeName"), r->projector->node_name))
                e.flags |= ENDPOINT_LOCAL;
        read_hints(r, jnode_get(o, "hints"), &e);
        r->endpoints[r->view.nendpoints++] = e;
}

static void read_annotations(struct reading *r, const struct jnode *annotations)
{
        const char *trigger = jnode_str(annotations, ANNOTATION_TRIGGER);
        const char *weight = jnode_str(annotations, ANNOTATION_WEIGHT);
        struct timespec at;

        if (trigger && !clock_parse(trigger, &at) && at.tv_sec > 0 && at.tv_sec < TRIGGER_MAX_S)
                r->view.trigger_ns = (int64_t)at.tv_sec * (int64_t)NS_PER_S + at.tv_nsec;
        r->view.weight = 1;
        if (!weight)
                return;
        if (str_parse_u16(weight, &r->view.weight) || r->view.weight < 1 || r->view.weight > WEIGHT_MAX) {
                skips_add(&r->problems, "annotation " ANNOTATION_WEIGHT ": \"%.16s\" is no number from 1 to %d", weight,
                          WEIGHT_MAX);
                r->view.weight = 1;
        }
}

/* Column by column, of an address the bytes that differ, and zones only where there are some: a fifth of the rows'
 * size.
 */
static void copy_endpoints(const struct reading *r, struct packer *p, struct slice_view *copy)
{
        uint32_t n = copy->nendpoints;
        char *addrs = (char *)pack_bytes(p, NULL, n * slice_address_size(copy), _Alignof(uint32_t));
        uint32_t *zones = (uint32_t *)pack_bytes(p, NULL, copy->nzones ? n * sizeof(uint32_t) : 0, _Alignof(uint32_t));
        uint8_t *flags = (uint8_t *)pack_bytes(p, NULL, n, 1);

        if (!p->base)
                return;
        for (uint32_t i = 0; i < n; i++) {
                const struct slice_endpoint *e = &r->endpoints[i];
                size_t size = slice_address_size(copy);

                memcpy(addrs + i * size, e->addr.b + sizeof(e->addr) - size, size);
                flags[i] = (uint8_t)e->flags;
                if (copy->nzones)
                        zones[i] = e->zones;
        }
        copy->addrs = addrs;
        copy->flags = flags;
        copy->zone_masks = copy->nzones ? zones : NULL;
}

struct slice_endpoint slice_endpoint_at(const struct slice_view *v, uint32_t i)
{
        struct slice_endpoint e = {.flags = v->flags[i], .zones = v->zone_masks ? v->zone_masks[i] : 0};
        size_t size = slice_address_size(v);

        if (v->v4)
                e.addr = address_of_v4(0);
        memcpy(e.addr.b + sizeof(e.addr) - size, v->addrs + i * size, size);
        return e;
}

static struct slice_view copy_view(const struct reading *r, struct packer *p)
{
        const struct slice_view *v = &r->view;
        struct slice_view copy = *v;
        struct slice_port *ports;

        pack_bytes(p, v, sizeof(*v), 1);
        copy.ports = ports = (struct slice_port *)pack_array(p, v->ports, v->nports);
        copy_endpoints(r, p, &copy);
        copy.zones = pack_strs(p, v->zones, v->nzones);
        copy.problems = pack_strs(p, v->problems, v->nproblems);
        for (size_t i = 0; i < v->nports; i++) {
                const char *name = pack_str(p, v->ports[i].name);

                if (p->base)
                        ports[i].name = name;
        }
        copy.service = pack_str(p, v->service);
        copy.name = pack_str(p, v->name);
        return copy;
}

static void *pack_view(const struct reading *r)
{
        struct packer p = {0};
        struct slice_view *packed;

        copy_view(r, &p);
        p.base = mem_alloc(p.used);
        p.used = 0;
        packed = (struct slice_view *)(void *)p.base;
        *packed = copy_view(r, &p);
        return packed;
}

static void read_lists(struct reading *r, const struct jnode *o)
{
        const struct jnode *ports = jnode_get(o, "ports"), *endpoints = jnode_get(o, "endpoints");
        struct arena *a = r->problems.arena;
        size_t i = 0;

        r->ports = arena_array(a, struct slice_port, MIN(jnode_len(ports), PORTS_MAX));
        r->endpoints = arena_array(a, struct slice_endpoint, MIN(jnode_len(endpoints), ENDPOINTS_MAX));
        jnode_foreach (ports, port)
                if (i++ < PORTS_MAX)
                        read_port(r, port);
        i = 0;
        jnode_foreach (endpoints, endpoint) {
                if (i++ < ENDPOINTS_MAX)
                        read_endpoint(r, endpoint);
                else
                        skips_add(&r->problems, "endpoints: above the limit of %d", ENDPOINTS_MAX);
        }
}

void *project_slice(void *userdata, const struct jnode *o)
{
        struct projector *p = userdata;
        struct reading r = {.projector = p, .problems = {.arena = &p->scratch}};
        const struct jnode *labels = jnode_at(o, "metadata.labels");
        const char *service = jnode_str(labels, LABEL_SERVICE), *type = jnode_str(o, "addressType");
        const char *ns = jnode_at_str(o, "metadata.namespace"), *name = jnode_at_str(o, "metadata.name");
        void *packed;

        r.view.v4 = str_eq(type, "IPv4");
        if (str_empty(service) || jnode_str(labels, LABEL_HEADLESS) || !ns || !name ||
            (!r.view.v4 && !str_eq(type, "IPv6")))
                return NULL;
        r.view.service = arena_printf(&p->scratch, "%s/%s", ns, service);
        read_annotations(&r, jnode_at(o, "metadata.annotations"));
        read_lists(&r, o);
        skips_end(&r.problems);
        r.view.ports = r.ports;
        r.view.zones = r.zones;
        r.view.problems = r.problems.text;
        r.view.nproblems = r.problems.count;
        r.view.name = r.problems.count ? arena_printf(&p->scratch, "%s/%s", ns, name) : "";
        packed = pack_view(&r);
        arena_deinit(&p->scratch);
        return packed;
}
