/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/engine/kobj_pod.h"

/* What the last endpoint had is often what the next one has: such texts are packed once. */
struct recent {
        const char *ns, *kind, *node, *zone;
};

static const char *pack_again(struct pack *p, const char **last, const char *s)
{
        if (!str_eq(*last, s ? s : ""))
                *last = pack_text(p, s);
        return *last;
}

static enum tri tri_of(const struct jnode *o, const char *key)
{
        const struct jnode *v = jnode_get(o, key);

        return !v ? TRI_UNSET : jnode_bool(o, key, false) ? TRI_TRUE : TRI_FALSE;
}

static const char *only_name(const struct jnode *hints, const char *key, bool *odd)
{
        const struct jnode *list = jnode_get(hints, key);

        *odd |= jnode_len(list) > 1;
        return jnode_len(list) ? jnode_str(list->first, "name") : NULL;
}

static void pack_target(struct pack *p, struct slice_endpoint *e, const struct jnode *target, struct recent *last)
{
        static const char *const others[] = {"apiVersion", "fieldPath", "resourceVersion"};

        e->kind = pack_again(p, &last->kind, jnode_str(target, "kind"));
        e->ns = pack_again(p, &last->ns, jnode_str(target, "namespace"));
        e->name = pack_text(p, jnode_str(target, "name"));
        e->uid = pack_text(p, jnode_str(target, "uid"));
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
                e->odd |= jnode_get(target, others[i]) != NULL;
}

static void pack_endpoint(struct pack *p, struct slice_endpoint *e, const struct jnode *o, struct recent *last)
{
        const struct jnode *addresses = jnode_get(o, "addresses"), *conditions = jnode_get(o, "conditions");
        const struct jnode *hints = jnode_get(o, "hints");

        e->odd = jnode_len(addresses) != 1 || jnode_get(o, "deprecatedTopology");
        e->address = pack_text(p, jnode_len(addresses) ? jnode_text(addresses->first) : NULL);
        e->hostname = pack_text(p, jnode_str(o, "hostname"));
        e->node = pack_again(p, &last->node, jnode_str(o, "nodeName"));
        e->zone = pack_again(p, &last->zone, jnode_str(o, "zone"));
        pack_target(p, e, jnode_get(o, "targetRef"), last);
        e->for_zone = pack_text(p, only_name(hints, "forZones", &e->odd));
        e->for_node = pack_text(p, only_name(hints, "forNodes", &e->odd));
        e->ready = tri_of(conditions, "ready");
        e->serving = tri_of(conditions, "serving");
        e->terminating = tri_of(conditions, "terminating");
}

static void pack_ports(struct pack *p, struct slice *s, const struct jnode *list)
{
        struct slice_port *all = pack_array(p, struct slice_port, jnode_len(list));

        s->ports = all;
        jnode_foreach (list, port)
                all[s->nports++] = (struct slice_port){
                        .name = pack_text(p, jnode_str(port, "name")),
                        .protocol = pack_text(p, jnode_str(port, "protocol")),
                        .app = pack_text(p, jnode_str(port, "appProtocol")),
                        .port = (int32_t)jnode_i64(port, "port", -1),
                };
}

const struct slice *kobj_pack_slice(struct pack *p, const struct jnode *o, const char *ns)
{
        const struct jnode *endpoints = jnode_get(o, "endpoints");
        struct slice *s = pack_array(p, struct slice, 1);
        struct slice_endpoint *all = pack_array(p, struct slice_endpoint, jnode_len(endpoints));
        struct recent last = {.ns = ns, .kind = "Pod", .node = "", .zone = ""};

        s->address_type = pack_text(p, jnode_str(o, "addressType"));
        pack_ports(p, s, jnode_get(o, "ports"));
        s->endpoints = all;
        jnode_foreach (endpoints, e)
                pack_endpoint(p, &all[s->nendpoints++], e, &last);
        return s;
}
