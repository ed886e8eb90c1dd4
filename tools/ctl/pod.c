/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl pod list: the pods of this node: what the CNI plugin has recorded beside what the dataplane knows. */
#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/records.h"
#include "datapath/address.h"

static const struct column columns[] = {
        {"POD", "pod", COLUMN_TEXT, false, "namespace/name, by the plugin's record"},
        {"IPV4", "ipv4", COLUMN_TEXT, false, "its address"},
        {"IPV6", "ipv6", COLUMN_TEXT, false, "its address"},
        {"DEVICE", "device", COLUMN_TEXT, false, "the host side of its veth"},
        {"MAC", "mac", COLUMN_TEXT, false, "of the pod's own side"},
        {NULL, "ifindex", COLUMN_NUMBER, false, "of the host side"},
        {"SENDS", NULL, COLUMN_TEXT, false, "bandwidth limit of what it sends"},
        {"RECEIVES", NULL, COLUMN_TEXT, false, "and of what it receives"},
        {NULL, "egressBitsPerSecond", COLUMN_NUMBER, false, "what it may send; null: no limit"},
        {NULL, "ingressBitsPerSecond", COLUMN_NUMBER, false, "what it may receive; null: no limit"},
        {"STATE", "state", COLUMN_TEXT, false, "ok, or what does not fit together"},
        {"HOST PORTS", NULL, COLUMN_TEXT, true, "port->containerPort/protocol"},
        {NULL, "portMappings", COLUMN_JSON, false, "as the runtime gave them"},
        {"CONTAINER", "container", COLUMN_TEXT, true, "the sandbox's id"},
        {"NETNS", "netns", COLUMN_TEXT, true, "its network namespace, as the runtime named it"},
};

struct listing {
        struct view *view;
        struct records records;
        struct hashmap pods; /* by interface index: struct pod, owned */
        struct table table;
};

static int take_pod(void *userdata, const void *key, const void *value)
{
        struct listing *l = userdata;
        struct pod pod, *copy;

        memcpy(&pod, value, sizeof(pod));
        if (!pod.ifindex)
                return 0;
        copy = mem_new(struct pod);
        *copy = pod;
        hashmap_put_u64(&l->pods, pod.ifindex, copy);
        return 0;
}

static const struct addr *address_of(const struct record *r, const struct pod *p, bool v4)
{
        for (size_t i = 0; !p && r && i < r->addresses_n; i++)
                if (address_is_v4(&r->addresses[i]) == v4)
                        return &r->addresses[i];
        if (!p || address_is_zero(v4 ? &p->v4 : &p->v6))
                return NULL;
        return v4 ? &p->v4 : &p->v6;
}

static void add_address(struct table *t, const struct addr *a)
{
        char text[ADDRESS_TEXT];

        if (a)
                table_cell(t, "%s", address_text(a, text));
        else
                table_none(t);
}

static void add_text(struct table *t, const char *text)
{
        if (str_empty(text))
                table_none(t);
        else
                table_cell(t, "%s", text);
}

static void add_limits(struct table *t, const struct pod *p)
{
        const uint64_t limits[] = {p ? p->egress_bps : 0, p ? p->ingress_bps : 0};
        char text[16];

        for (int json = 0; json < 2; json++)
                for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
                        if (!limits[i])
                                table_none(t);
                        else if (json)
                                table_number(t, limits[i]);
                        else
                                table_cell(t, "%sbit/s", view_amount(limits[i], text));
                }
}

/* What of a pod is there, and what is missing. */
static void add_state(struct table *t, const struct record *r, const struct pod *p, const char *device)
{
        const char *wrong = !p        ? "not in the dataplane's map"
                            : !r      ? "no record of the plugin"
                            : !device ? "its device is gone"
                                      : NULL;

        table_cell_in(t, wrong ? TONE_BAD : TONE_GOOD, "%s", wrong ?: "ok");
}

static void add_ports(struct table *t, const struct json_object *mappings)
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL, json = STRBUF_NULL;

        json_array_foreach (mappings, i, m)
                strbuf_printf(&text, "%s%" PRId64 "->%" PRId64 "/%s", i ? "," : "", json_get_i64(m, "hostPort", 0),
                              json_get_i64(m, "containerPort", 0), json_get_str(m, "protocol") ?: "tcp");
        add_text(t, text.data);
        if (mappings)
                json_write(&json, mappings);
        table_cell(t, "%s", json.len ? json.data : "[]");
}

static void add_pod(struct listing *l, const struct record *r, const struct pod *p)
{
        uint32_t ifindex = p ? p->ifindex : r->ifindex;
        const struct json_object *json = r ? r->json : NULL;
        char name[IF_NAMESIZE], mac[18];
        const char *device = if_indextoname(ifindex, name);
        struct table *t = &l->table;

        add_text(t, r ? r->pod : NULL);
        add_address(t, address_of(r, p, true));
        add_address(t, address_of(r, p, false));
        add_text(t, device ?: json_get_str(json, "hostIfname"));
        add_text(t, p ? view_mac(p->mac, mac) : json_get_str(json, "mac"));
        table_number(t, ifindex);
        add_limits(t, p);
        add_state(t, r, p, device);
        add_ports(t, json_get(json, "portMappings"));
        add_text(t, json_get_str(json, "containerID"));
        add_text(t, json_get_str(json, "netns"));
}

static int run(struct view *v)
{
        struct listing l = {.view = v};
        int r;

        hashmap_init(&l.pods, HASHMAP_U64);
        records_read(v, &l.records);
        r = map_each(v->maps.m[MAP_PODS], take_pod, &l);
        if (r) {
                view_wrong(v, "the map pods cannot be read: %s", strerror(-r));
        } else {
                view_table(v, &l.table);
                for (size_t i = 0; i < l.records.count; i++) {
                        struct pod *p = hashmap_del_u64(&l.pods, l.records.items[i].ifindex);

                        add_pod(&l, &l.records.items[i], p);
                        free(p);
                }
                hashmap_foreach (&l.pods, slot)
                        add_pod(&l, NULL, slot->value);
                table_sort(&l.table);
                if (!table_rows(&l.table) && !v->json)
                        puts("no pods on this node");
                else
                        r = view_print(v, &l.table);
                table_deinit(&l.table);
        }
        hashmap_foreach (&l.pods, slot)
                free(slot->value);
        hashmap_deinit(&l.pods);
        records_deinit(&l.records);
        return r != 0;
}

const struct cli_command ctl_pod_list = {
        .name = "pod list",
        .summary = "the pods of this node, as the dataplane knows them",
        .columns = columns,
        .width = ARRAY_SIZE(columns),
        .about = "Pods with the host's network have no interface of their own: they are not here.\n",
        .examples = "fairctl pod list\n"
                    "fairctl pod list -o wide\n"
                    "fairctl pod list -o json | jq -r '.[] | select(.state != \"ok\") | .pod'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
