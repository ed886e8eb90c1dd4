/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "ctl/flow_filter.h"
#include "ctl/flow_rows.h"
#include "datapath/address.h"

const struct column flow_columns[FLOW_COLUMNS] = {
        {"PROTO", "protocol", COLUMN_TEXT, false, "TCP, UDP, SCTP, ICMP or ICMPv6"},
        {NULL, "family", COLUMN_NUMBER, false, "4 or 6"},
        {"CLIENT", NULL, COLUMN_TEXT, false, "who began it"},
        {NULL, "source", COLUMN_TEXT, false, "the address of CLIENT"},
        {NULL, "sourcePort", COLUMN_NUMBER, false, "0: a protocol without ports"},
        {"DESTINATION", NULL, COLUMN_TEXT, false, "what it asked for: a service's address, or somebody outside"},
        {NULL, "destination", COLUMN_TEXT, false, "the address of DESTINATION"},
        {NULL, "destinationPort", COLUMN_NUMBER, false, "or 0"},
        {"VIA", NULL, COLUMN_TEXT, false, "the node's address and port, where they replace the client's"},
        {NULL, "via", COLUMN_TEXT, false, "the address of VIA, or null"},
        {NULL, "viaPort", COLUMN_NUMBER, false, "or null"},
        {"BACKEND", NULL, COLUMN_TEXT, false, "who gets it"},
        {NULL, "backend", COLUMN_TEXT, false, "the address of BACKEND"},
        {NULL, "backendPort", COLUMN_NUMBER, false, "or 0"},
        {"SERVICE", "service", COLUMN_TEXT, false, "namespace/name:port/protocol; null: masqueraded only"},
        {"STATE", "state", COLUMN_TEXT, false, "see --state"},
        {"AGE", NULL, COLUMN_TEXT, false, "since its first packet"},
        {"IDLE", NULL, COLUMN_TEXT, false, "since its last one"},
        {NULL, "ageSeconds", COLUMN_NUMBER, false, "since its first packet"},
        {NULL, "idleSeconds", COLUMN_NUMBER, false, "since its last one"},
        {"TIMEOUT", "timeoutSeconds", COLUMN_NUMBER, true, "of idleness, in its state"},
        {"PACKETS", "packets", COLUMN_NUMBER, false, "from the client"},
        {"REPLIES", "replyPackets", COLUMN_NUMBER, false, "to it"},
        {"BYTES", "bytes", COLUMN_NUMBER, false, "both ways"},
};

static void add_endpoint(struct table *t, const struct addr *a, __be16 port)
{
        char text[64];

        if (t->format == TABLE_JSON) {
                table_text(t, ""); /* of the column for people */
                table_text(t, address_text(a, text));
                table_number(t, ntohs(port));
                return;
        }
        table_text(t, address_port_text(a, port, text));
        table_none(t);
        table_none(t);
}

static void add_service(struct view *v, struct table *t, const struct flow_entry *e)
{
        if (e->service)
                table_text(t, view_service_name(v, e->service));
        else if (e->flags & FLOW_MASQUERADE && t->format != TABLE_JSON)
                table_cell(t, "(masqueraded)");
        else
                table_none(t);
}

static enum tone tone_of(const struct flow_entry *e)
{
        if (e->state & FLOW_RST)
                return TONE_BAD;
        return e->state & (FLOW_ESTABLISHED | FLOW_SEEN_REPLY) ? TONE_PLAIN : TONE_WARN;
}

void flow_row(struct view *v, struct table *t, const struct flow_entry *e, const struct flow_entry *reply,
              const struct flow_clock *clock)
{
        uint32_t age = clock->now > e->created ? clock->now - e->created : 0;
        uint32_t idle = clock->now > e->seen ? clock->now - e->seen : 0;
        bool snat = !address_equal(&e->key.src, &e->new_src) || e->key.sport != e->new_sport;
        char proto[8], text[16];

        table_text(t, view_proto(e->key.proto, proto));
        table_number(t, address_is_v4(&e->key.src) ? 4 : 6);
        add_endpoint(t, &e->key.src, e->key.sport);
        add_endpoint(t, &e->key.dst, e->key.dport);
        if (snat)
                add_endpoint(t, &e->new_src, e->new_sport);
        for (int i = 0; !snat && i < 3; i++)
                table_none(t);
        add_endpoint(t, &e->new_dst, e->new_dport);
        add_service(v, t, e);
        table_cell_in(t, tone_of(e), "%s", flow_state_name(e));
        table_text(t, view_age(age, text));
        table_text(t, view_age(idle, text));
        table_number(t, age);
        table_number(t, idle);
        table_number(t, flow_timeout(&clock->timeouts, e->key.proto, e->state));
        table_number(t, e->packets);
        table_number(t, reply->packets);
        table_number(t, e->bytes + reply->bytes);
}
