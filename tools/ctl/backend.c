/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl backend list: who serves, and which share of new connections each gets. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/commands.h"
#include "ctl/endpoints.h"
#include "datapath/address.h"

static const struct cli_flag flags[] = {
        {"--service", "NAME", "of this Service: namespace/name, maybe with :port", NULL, CLI_SERVICE},
        {0},
};

static const struct column columns[] = {
        {"SERVICE", "service", COLUMN_TEXT, false, "namespace/name:port/protocol"},
        {"BACKEND", "backend", COLUMN_TEXT, false, "address and port"},
        {NULL, "address", COLUMN_TEXT, false, "its address alone"},
        {NULL, "port", COLUMN_NUMBER, false, "its port alone"},
        {"PROTO", "protocol", COLUMN_TEXT, false, "TCP, UDP or SCTP"},
        {"WHERE", "where", COLUMN_TEXT, false, "local: a pod of this node; host: in a node's own network; remote"},
        {"STATE", "state", COLUMN_TEXT, false,
         "serving; terminating: serves, while going away; drained: keeps its connections only"},
        {"INSIDE", NULL, COLUMN_TEXT, false, "its share of new connections from inside the cluster"},
        {"OUTSIDE", NULL, COLUMN_TEXT, false, "and from outside"},
        {NULL, "insideShare", COLUMN_NUMBER, false, "of new connections from inside, 0 to 1"},
        {NULL, "outsideShare", COLUMN_NUMBER, false, "and from outside"},
        {"ID", "id", COLUMN_NUMBER, true, "in the map backends"},
        {"GENERATION", "generation", COLUMN_NUMBER, true, "how often that id was given out"},
};

static void add_share(struct table *t, uint32_t part, uint32_t of)
{
        if (of && t->format == TABLE_JSON)
                table_cell(t, "%.4f", (double)part / of);
        else if (of)
                table_cell(t, "%.1f%%", 100.0 * part / of);
        else if (t->format == TABLE_JSON)
                table_number(t, 0);
        else
                table_none(t);
}

static void add_backend(struct view *v, struct table *t, const struct endpoint *e)
{
        const struct backend *b = &e->backend;
        const char *state = endpoint_state(e);
        char text[64], proto[8];

        table_cell(t, "%s", view_service_name(v, b->service));
        table_cell(t, "%s", view_endpoint(&b->addr, b->port, text));
        table_cell(t, "%s", address_text(&b->addr, text));
        table_number(t, ntohs(b->port));
        table_cell(t, "%s", view_proto(b->proto, proto));
        table_cell(t, "%s", endpoint_where(e));
        table_cell_in(t, *state == 's' ? TONE_GOOD : TONE_WARN, "%s", state);
        for (int json = 0; json < 2; json++) {
                add_share(t, e->slots_in, e->slots_of_in);
                add_share(t, e->slots_out, e->slots_of_out);
        }
        table_number(t, e->id);
        table_number(t, b->generation);
}

static int print_backends(struct view *v, const struct service_ids *wanted)
{
        struct endpoints all;
        struct table t;
        int r = endpoints_read(v, wanted, &all);

        if (r) {
                view_wrong(v, "the maps cannot be read: %s", strerror(-r));
                return 1;
        }
        view_table(v, &t);
        for (size_t i = 0; i < all.count; i++)
                add_backend(v, &t, &all.items[i]);
        if (!all.count && !v->json)
                puts(wanted ? "no endpoints: connections to it are refused" : "no endpoints at all");
        else
                r = view_print(v, &t);
        table_deinit(&t);
        endpoints_deinit(&all);
        return r;
}

static int run(struct view *v)
{
        _cleanup_free_ struct service_ids *ids = NULL;
        int r = service_ids_flag(v, &ids);

        return r ? r : print_backends(v, ids);
}

const struct cli_command ctl_backend_list = {
        .name = "backend list",
        .summary = "the endpoints that services are sent to",
        .flags = flags,
        .columns = columns,
        .width = ARRAY_SIZE(columns),
        .about =
                "An endpoint that is not ready is not here: the dataplane knows only those that may get connections.\n",
        .examples = "fairctl backend list\n"
                    "fairctl backend list --service default/web\n"
                    "fairctl backend list -o json | jq '.[] | select(.state == \"terminating\") | .backend'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
