/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "apiserver/alloc/screen.h"
#include "apiserver/peek.h"
#include "base/hashmap.h"
#include "base/str.h"

#define OWNER_MAX 600

struct screen {
        struct alloc *alloc;
        struct hashmap ips;               /* address -> IPAddress object that no Service has claimed yet */
        const struct repair_port **ports; /* by number */
        size_t ports_used;
};

static struct span json_of(const struct object *o)
{
        return (struct span){o->json->data, o->json->len};
}

static bool is_text(struct span value, const char *text)
{
        struct span s = peek_plain_string(value);

        return s.p && s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static bool is_labelled(const struct object *ip, const struct ipaddr *addr)
{
        struct span labels = peek_path(json_of(ip), "metadata.labels");

        return is_text(peek_member(labels, "ipaddress.kubernetes.io/managed-by"), "ipallocator.k8s.io") &&
               is_text(peek_member(labels, "ipaddress.kubernetes.io/ip-family"), ipaddr_family(addr));
}

/* The address' record says that it is this Service's, and it was not looked up before. */
static bool ip_is_recorded(struct screen *sc, const struct object *svc, struct span ip)
{
        const struct object *o = hashmap_del_n(&sc->ips, ip.p, ip.len);
        struct span ref = o ? peek_path(json_of(o), "spec.parentRef") : SPAN_NULL;
        struct ipaddr addr;

        return ref.p && is_text(peek_member(ref, "name"), svc->name) &&
               is_text(peek_member(ref, "namespace"), svc->namespace) &&
               is_text(peek_member(ref, "resource"), "services") && !peek_member(ref, "group").p &&
               ipaddr_parse(o->name, &addr) == 0 && is_labelled(o, &addr) && alloc_ip_in_range(sc->alloc, &addr);
}

static bool ips_are_recorded(struct screen *sc, const struct object *svc, struct span spec)
{
        struct span list = peek_member(spec, "clusterIPs");
        const char *p = list.p ? list.p + 1 : NULL, *end = list.p ? list.p + list.len : NULL;

        while (p && p < end && *p == '"') {
                size_t n = peek_value(p, end);
                struct span ip = peek_plain_string((struct span){p, n});

                if (!ip.p)
                        return false;
                if (ip.len && !(ip.len == 4 && memcmp(ip.p, "None", 4) == 0) && !ip_is_recorded(sc, svc, ip))
                        return false;
                p += n + 1;
        }
        return true;
}

static bool port_is_recorded(struct screen *sc, const struct object *svc, long port)
{
        const struct repair_port *r = port > 0 && port <= UINT16_MAX ? sc->ports[port] : NULL;

        if (!r || !str_eq(r->namespace, svc->namespace) || !str_eq(r->name, svc->name))
                return false;
        sc->ports[port] = NULL; /* the same port for another protocol of this Service is looked up below */
        sc->ports_used++;
        return true;
}

/* Every `key:number` inside the bytes. */
static bool ports_are_recorded(struct screen *sc, const struct object *svc, struct span in, const char *key)
{
        const char *p = in.p, *end = in.p + in.len;
        long seen[64];
        size_t n = 0;

        while (in.p && (p = memmem(p, (size_t)(end - p), key, strlen(key)))) {
                bool again = false;
                long port;

                p += strlen(key);
                port = strtol(p, NULL, 10);
                for (size_t i = 0; i < n; i++)
                        again |= seen[i] == port;
                if (!port || again)
                        continue;
                if (n == ARRAY_SIZE(seen) || !port_is_recorded(sc, svc, port))
                        return false;
                seen[n++] = port;
        }
        return true;
}

static bool is_fine(struct screen *sc, const struct object *svc)
{
        struct span spec = peek_member(json_of(svc), "spec");

        return ips_are_recorded(sc, svc, spec) &&
               ports_are_recorded(sc, svc, peek_member(spec, "ports"), "\"nodePort\":") &&
               ports_are_recorded(sc, svc, spec, "\"healthCheckNodePort\":");
}

bool alloc_needs_repair(const struct screen_input *in)
{
        struct screen sc = {.alloc = in->alloc, .ports = calloc(UINT16_MAX + 1, sizeof(*sc.ports))};
        bool fine = sc.ports != NULL;

        hashmap_init(&sc.ips, HASHMAP_STR);
        for (size_t i = 0; i < in->ips->n; i++)
                hashmap_put(&sc.ips, in->ips->items[i]->name, in->ips->items[i]);
        for (size_t i = 0; fine && i < in->nports; i++)
                sc.ports[in->ports[i].port] = &in->ports[i];
        for (size_t i = 0; fine && i < in->services->n; i++)
                fine = is_fine(&sc, in->services->items[i]);
        fine = fine && sc.ips.count == 0 && sc.ports_used == in->nports;
        hashmap_deinit(&sc.ips);
        free(sc.ports);
        return !fine;
}
