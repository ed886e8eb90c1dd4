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
        bool v4;
        struct skips problems;
};

static void read_port(struct reading *r, const struct json_object *o)
{
        const char *name = json_get_str(o, "name"), *protocol = json_get_str(o, "protocol");
        int64_t port = json_get_i64(o, "port", 0);
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

static void read_hints(struct reading *r, const struct json_object *hints, struct slice_endpoint *e)
{
        json_array_foreach (json_get(hints, "forZones"), i, zone) {
                const char *name = json_get_str(zone, "name");

                e->flags |= ENDPOINT_ZONE_HINTS;
                if (!str_empty(name))
                        e->zones |= zone_bit(r, name);
        }
        json_array_foreach (json_get(hints, "forNodes"), i, node) {
                e->flags |= ENDPOINT_NODE_HINTS;
                if (str_eq(json_get_str(node, "name"), r->projector->node_name))
                        e->flags |= ENDPOINT_FOR_NODE;
        }
}

/* The first address is the endpoint's: more of them are the same endpoint (KEP-0752), and no proxy uses them. */
static void read_endpoint(struct reading *r, const struct json_object *o)
{
        const struct json_object *conditions = json_get(o, "conditions");
        const char *text = json_object_get_string(json_idx(json_get(o, "addresses"), 0));
        struct slice_endpoint e = {0};
        const char *fault;

        if (address_parse(text ? text : "", &e.addr)) {
                skips_add(&r->problems, "endpoints: \"%.45s\" is no IP address", text ? text : "");
                return;
        }
        fault = address_is_v4(&e.addr) != r->v4 ? "not of the slice's addressType" : project_address_fault(&e.addr);
        if (fault) {
                skips_add(&r->problems, "endpoints: %.45s is %s", text, fault);
                return;
        }
        if (json_get_bool(conditions, "ready", true))
                e.flags |= ENDPOINT_READY;
        if (json_get_bool(conditions, "serving", true))
                e.flags |= ENDPOINT_SERVING;
        if (json_get_bool(conditions, "terminating", false))
                e.flags |= ENDPOINT_TERMINATING;
        if (str_eq(json_get_str(o, "nodeName"), r->projector->node_name))
                e.flags |= ENDPOINT_LOCAL;
        read_hints(r, json_get(o, "hints"), &e);
        r->endpoints[r->view.nendpoints++] = e;
}

static void read_annotations(struct reading *r, const struct json_object *annotations)
{
        const char *trigger = json_get_str(annotations, ANNOTATION_TRIGGER);
        const char *weight = json_get_str(annotations, ANNOTATION_WEIGHT);
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

static struct slice_view copy_view(const struct slice_view *v, struct packer *p)
{
        struct slice_view copy = *v;
        struct slice_port *ports;

        pack_bytes(p, v, sizeof(*v), 1);
        copy.ports = ports = (struct slice_port *)pack_array(p, v->ports, v->nports);
        copy.endpoints = pack_array(p, v->endpoints, v->nendpoints);
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

static void *pack_view(const struct slice_view *v)
{
        struct packer p = {0};
        struct slice_view *packed;

        copy_view(v, &p);
        p.base = mem_alloc(p.used);
        p.used = 0;
        packed = (struct slice_view *)(void *)p.base;
        *packed = copy_view(v, &p);
        return packed;
}

static void read_lists(struct reading *r, const struct json_object *o)
{
        struct json_object *ports = json_get(o, "ports"), *endpoints = json_get(o, "endpoints");
        struct arena *a = r->problems.arena;

        r->ports = arena_array(a, struct slice_port, MIN(json_len(ports), PORTS_MAX));
        r->endpoints = arena_array(a, struct slice_endpoint, MIN(json_len(endpoints), ENDPOINTS_MAX));
        json_array_foreach (ports, i, port)
                if (i < PORTS_MAX)
                        read_port(r, port);
        json_array_foreach (endpoints, i, endpoint) {
                if (i < ENDPOINTS_MAX)
                        read_endpoint(r, endpoint);
                else
                        skips_add(&r->problems, "endpoints: above the limit of %d", ENDPOINTS_MAX);
        }
}

void *project_slice(void *userdata, struct json_object *o)
{
        struct projector *p = userdata;
        struct reading r = {.projector = p, .problems = {.arena = &p->scratch}};
        const struct json_object *labels = json_at(o, "metadata.labels");
        const char *service = json_get_str(labels, LABEL_SERVICE), *type = json_get_str(o, "addressType");
        const char *ns = json_at_str(o, "metadata.namespace"), *name = json_at_str(o, "metadata.name");
        void *packed;

        r.v4 = str_eq(type, "IPv4");
        if (str_empty(service) || json_get_str(labels, LABEL_HEADLESS) || !ns || !name ||
            (!r.v4 && !str_eq(type, "IPv6")))
                return NULL;
        r.view.service = arena_printf(&p->scratch, "%s/%s", ns, service);
        r.view.name = arena_printf(&p->scratch, "%s/%s", ns, name);
        read_annotations(&r, json_at(o, "metadata.annotations"));
        read_lists(&r, o);
        skips_end(&r.problems);
        r.view.ports = r.ports;
        r.view.endpoints = r.endpoints;
        r.view.zones = r.zones;
        r.view.problems = r.problems.text;
        r.view.nproblems = r.problems.count;
        packed = pack_view(&r.view);
        arena_deinit(&p->scratch);
        return packed;
}
