/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl service list: the frontends that the dataplane serves, as the kernel has them. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/commands.h"
#include "ctl/endpoints.h"
#include "ctl/service_text.h"
#include "datapath/address.h"

static const struct cli_flag flags[] = {
        {"--service", "NAME", "only this Service: namespace/name, maybe with :port; or namespace/", NULL, CLI_SERVICE},
        {0},
};

static const struct column columns[] = {
        {"SERVICE", "service", COLUMN_TEXT, false, "namespace/name:port/protocol"},
        {"FRONTEND", "frontend", COLUMN_TEXT, false, "address and port; * and [*]: any node address of IPv4, IPv6"},
        {NULL, "address", COLUMN_TEXT, false, "of the frontend; null: any node address"},
        {NULL, "port", COLUMN_NUMBER, false, "of the frontend"},
        {"PROTO", "protocol", COLUMN_TEXT, false, "TCP, UDP or SCTP"},
        {"TYPE", "type", COLUMN_TEXT, false, "clusterip, nodeport, external (also load balancers) or hostport"},
        {"INSIDE", "insideEndpoints", COLUMN_NUMBER, false, "endpoints for clients inside the cluster"},
        {"OUTSIDE", "outsideEndpoints", COLUMN_NUMBER, false, "and for clients outside; null: not for them"},
        {"OPTIONS", NULL, COLUMN_TEXT, false, SERVICE_OPTIONS_HELP},
        {NULL, "options", COLUMN_JSON, false, "the same, as an array"},
        {"CONNECTIONS", "connections", COLUMN_NUMBER, false, "of the service port, whichever frontend was used"},
        {"REFUSED", "refused", COLUMN_NUMBER, false, "connections that found no endpoint"},
        {"PACKETS", "packets", COLUMN_NUMBER, true,
         "both ways, of what was translated in packets and not at the socket"},
        {"BYTES", "bytes", COLUMN_NUMBER, true, "the same"},
        {"ID", "id", COLUMN_NUMBER, true, "in the map service_names"},
};

static void add_endpoints(struct table *t, uint32_t n)
{
        table_cell_in(t, n ? TONE_PLAIN : TONE_BAD, "%" PRIu32, n);
}

static void add_frontend(struct view *v, struct table *t, const struct frontend *f)
{
        _cleanup_strbuf_ struct strbuf options = STRBUF_NULL;
        struct service_sums sums;
        char text[64], proto[8];

        service_sums_read(v, f->service.id, &sums);
        service_options(&f->service, v->json, &options);
        table_cell(t, "%s", view_service_name(v, f->service.id));
        table_cell(t, "%s", view_endpoint(&f->key.addr, f->key.port, text));
        if (view_is_any(&f->key.addr))
                table_none(t);
        else
                table_cell(t, "%s", address_text(&f->key.addr, text));
        table_number(t, ntohs(f->key.port));
        table_cell(t, "%s", view_proto(f->key.proto, proto));
        table_cell(t, "%s", frontend_type(f));
        add_endpoints(t, f->inside);
        if (frontend_is_external(f))
                add_endpoints(t, f->outside);
        else
                table_none(t);
        table_cell(t, "%s", options.data);
        table_cell(t, "%s", options.data);
        table_number(t, sums.connections);
        table_cell_in(t, sums.refused ? TONE_WARN : TONE_PLAIN, "%" PRIu64, sums.refused);
        table_number(t, sums.packets + sums.reply_packets);
        table_number(t, sums.bytes + sums.reply_bytes);
        table_number(t, f->service.id);
}

static int print_services(struct view *v, const struct service_ids *wanted)
{
        struct endpoints all;
        struct table t;
        int r = endpoints_read(v, wanted, &all);

        if (r) {
                view_wrong(v, "the maps cannot be read: %s", strerror(-r));
                return 1;
        }
        view_table(v, &t);
        for (size_t i = 0; i < all.frontends_n; i++)
                add_frontend(v, &t, &all.frontends[i]);
        if (!all.frontends_n && !v->json)
                puts("no Service is served on this node");
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

        return r ? r : print_services(v, ids);
}

const struct cli_command ctl_service_list = {
        .name = "service list",
        .summary = "frontends, the service behind each, and its traffic",
        .flags = flags,
        .columns = columns,
        .width = ARRAY_SIZE(columns),
        .about = SERVICE_OPTIONS_ABOUT,
        .examples = "fairctl service list\n"
                    "fairctl service list --service default/ -o wide\n"
                    "fairctl service list -o json | jq '.[] | select(.insideEndpoints == 0) | .service'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
