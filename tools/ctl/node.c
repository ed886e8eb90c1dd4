/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl node list: where the nodes and their pods are, by the map `routes`; names by the agent's status. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"
#include "datapath/address.h"

static const struct column columns[] = {
        {"NODE", "node", COLUMN_TEXT, false, "its name, as the agent knew it; null: not known"},
        {"ADDRESSES", NULL, COLUMN_TEXT, false, "of the node itself"},
        {"POD CIDRS", NULL, COLUMN_TEXT, false, "where its pods are"},
        {NULL, "addresses", COLUMN_JSON, false, "of the node itself, an array"},
        {NULL, "podCIDRs", COLUMN_JSON, false, "where its pods are, an array"},
        {"WAY", "way", COLUMN_TEXT, false,
         "how its pods are reached: tunnel (VXLAN), native (the host's routes); this node"},
        {"PEER", "peer", COLUMN_TEXT, true, "the address that packets to its pods are sent to; null: this node"},
        {"NODEPORTS", "nodePorts", COLUMN_TEXT, true, "addresses at which NodePorts are served: all, some or none"},
};

enum way {
        WAY_SELF,
        WAY_NATIVE,
        WAY_TUNNEL,
};

struct node_row {
        char *name; /* NULL: not known */
        struct strbuf addresses, cidrs;
        struct addr peer;
        enum way way;
        uint32_t count, nodeports; /* of addresses */
};

struct listing {
        struct view *view;
        struct node_row *rows;
        size_t count;
};

static bool has_address(const struct json_object *list, const char *text)
{
        json_array_foreach (list, i, item)
                if (json_is_string(item) && str_eq(json_object_get_string(item), text))
                        return true;
        return false;
}

/* The node that has this address, by what the agent wrote. */
static const char *name_of(struct view *v, const struct addr *a)
{
        char text[ADDRESS_TEXT];

        address_text(a, text);
        json_foreach (json_get(view_agent_status(v), "nodeAddresses"), name, list) {
                if (has_address(list, text))
                        return name;
        }
        return NULL;
}

/* Its row: of this node (peer NULL), of that name, or without one of that peer. */
static struct node_row *row_of(struct listing *l, const struct addr *peer, enum way way)
{
        const char *name = peer ? name_of(l->view, peer) : json_get_str(view_agent_status(l->view), "node");
        struct node_row *row;

        for (size_t i = 0; i < l->count; i++) {
                row = &l->rows[i];
                if (!peer ? row->way == WAY_SELF
                          : row->way != WAY_SELF && (name ? str_eq(row->name, name) : address_equal(&row->peer, peer)))
                        return row;
        }
        l->rows = mem_realloc(l->rows, l->count + 1, sizeof(*l->rows));
        row = &l->rows[l->count++];
        *row = (struct node_row){.name = mem_strdup(name), .way = way};
        if (peer)
                row->peer = *peer;
        return row;
}

static void add_text(struct strbuf *b, const char *text)
{
        strbuf_printf(b, "%s\"%s\"", b->len ? "," : "", text);
}

static int take_route(void *userdata, const void *key, const void *value)
{
        const struct route_key *k = key;
        const struct route *r = value;
        struct listing *l = userdata;
        bool own = r->type == ROUTE_HOST || r->type == ROUTE_BLACKHOLE, net = r->type == ROUTE_REMOTE;
        char text[ADDRESS_TEXT];
        struct node_row *row;

        if (!own && !net && r->type != ROUTE_NODE)
                return 0;
        row = row_of(l, own ? NULL : &r->peer, own ? WAY_SELF : r->flags & ROUTE_TUNNEL ? WAY_TUNNEL : WAY_NATIVE);
        if (net || r->type == ROUTE_BLACKHOLE) {
                add_text(&row->cidrs, address_cidr_text(&k->addr, k->prefixlen, text));
                return 0;
        }
        add_text(&row->addresses, address_text(&k->addr, text));
        row->count++;
        row->nodeports += (r->flags & ROUTE_NODEPORT) != 0;
        return 0;
}

/* JSON strings with commas; for people without the quotes. */
static void add_list(struct table *t, const struct strbuf *list, bool json)
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;

        for (size_t i = 0; i < list->len; i++)
                if (list->data[i] != '"')
                        strbuf_add_char(&text, list->data[i]);
        if (json)
                table_cell(t, "[%s]", list->len ? list->data : "");
        else
                table_cell(t, "%s", text.len ? text.data : "-");
}

static void add_row(struct table *t, const struct node_row *row)
{
        static const char *const ways[] = {[WAY_SELF] = "this node", [WAY_NATIVE] = "native", [WAY_TUNNEL] = "tunnel"};
        char text[ADDRESS_TEXT];

        if (row->name)
                table_cell(t, "%s", row->name);
        else
                table_none(t);
        for (int json = 0; json < 2; json++) {
                add_list(t, &row->addresses, json);
                add_list(t, &row->cidrs, json);
        }
        table_cell(t, "%s", ways[row->way]);
        if (row->way == WAY_SELF)
                table_none(t);
        else
                table_cell(t, "%s", address_text(&row->peer, text));
        table_cell(t, "%s", !row->nodeports ? "none" : row->nodeports == row->count ? "all" : "some");
}

static int run(struct view *v)
{
        struct listing l = {.view = v};
        struct table t;
        int r = map_each(v->maps.m[MAP_ROUTES], take_route, &l);

        if (r) {
                view_wrong(v, "the map routes cannot be read: %s", strerror(-r));
        } else {
                view_table(v, &t);
                for (size_t i = 0; i < l.count; i++)
                        add_row(&t, &l.rows[i]);
                table_sort(&t);
                if (!l.count && !v->json)
                        puts("no nodes: the agent has not heard of any yet");
                else
                        r = view_print(v, &t);
                table_deinit(&t);
        }
        for (size_t i = 0; i < l.count; i++) {
                free(l.rows[i].name);
                strbuf_deinit(&l.rows[i].addresses);
                strbuf_deinit(&l.rows[i].cidrs);
        }
        free(l.rows);
        return r != 0;
}

const struct cli_command ctl_node_list = {
        .name = "node list",
        .summary = "the nodes, their pod CIDRs, and the way to them",
        .columns = columns,
        .width = ARRAY_SIZE(columns),
        .examples = "fairctl node list\n"
                    "fairctl node list -o json | jq -r '.[] | select(.way == \"tunnel\") | .peer'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
