/* SPDX-License-Identifier: Apache-2.0 */
/* Attachment records and lines of agent.sock: nothing crashes, and what is accepted keeps to its bounds. The first byte
 * chooses. */
#include <stdlib.h>
#include <string.h>

#include "agent/net/kernel.h"
#include "agent/net/nodes.h"
#include "agent/net/plug.h"
#include "agent/net/record.h"
#include "base/mem.h"
#include "datapath/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
        if (!holds)
                abort();
}

static void fuzz_record(const char *text, size_t len)
{
        _cleanup_(record_deinit) struct record r = RECORD_NULL;
        struct err err = ERR_NULL;
        struct pod p;

        if (record_parse("c1-eth0", text, len, &r, &err) != 0) {
                must(*err.msg);
                return;
        }
        must(net_is_host_side(r.host_ifname));
        must(!address_is_zero(&r.v4) || !address_is_zero(&r.v6));
        must(address_is_zero(&r.v4) || (address_is_v4(&r.v4) && node_address_usable(&r.v4)));
        must(address_is_zero(&r.v6) || (!address_is_v4(&r.v6) && node_address_usable(&r.v6)));
        must(r.ports_n <= RECORD_PORTS_MAX);
        for (size_t i = 0; i < r.ports_n; i++)
                must(r.ports[i].host_port && r.ports[i].container_port && r.ports[i].proto);
        must(record_equal(&r, &r));
        p = plug_pod(&r);
        must(!p.egress_bps == !p.egress_burst && !p.ingress_bps == !p.ingress_burst);
}

static void fuzz_request(const char *text, size_t len)
{
        struct err err = ERR_NULL;
        struct request q;

        if (request_parse(text, len, &q, &err) != 0)
                must(*err.msg);
        else
                must(q.op == REQUEST_ATTACH || q.op == REQUEST_DETACH ? record_id_valid(q.id) : !*q.id);
}

static void fuzz_file_name(const char *text, size_t len)
{
        _cleanup_free_ char *name = mem_strndup(text, len);
        char id[RECORD_ID_SIZE];

        if (record_id_of_file(name, id) == 0)
                must(record_id_valid(id) && !strchr(id, '/') && strncmp(id, name, strlen(id)) == 0);
}

static void fuzz_node(const char *text, size_t len)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct service_cidr_summary s;
        struct node_summary n;

        if (json_parse(text, len, &o, NULL) != 0)
                return;
        node_summary_read(o, &n);
        service_cidr_read(o, &s);
        must(n.addresses_n <= NODE_ADDRESSES && n.cidrs_n <= NODE_CIDRS && s.cidrs_n <= NODE_CIDRS);
        for (size_t i = 0; i < n.addresses_n; i++)
                must(node_address_usable(&n.addresses[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const fuzz[])(const char *text, size_t len) = {
                fuzz_record,
                fuzz_request,
                fuzz_file_name,
                fuzz_node,
        };

        if (size)
                fuzz[data[0] % ARRAY_SIZE(fuzz)]((const char *)data + 1, size - 1);
        return 0;
}
