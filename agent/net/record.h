/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attachment record of the CNI plugin (agent/README.md) and the lines of agent.sock, read strictly: whoever can
 * write there is root, but a half-written or older file must not become a wrong map entry. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/network.h"
#include "base/err.h"

#define RECORD_BYTES_MAX 65536
#define RECORD_ID_SIZE   256 /* with its NUL; the file's name has ".json", too */
#define RECORD_PORTS_MAX 256

struct port_mapping {
        struct addr host_ip; /* zero: all */
        bool any_v4, any_v6; /* which families "all" means, or the one of host_ip */
        uint16_t host_port, container_port;
        uint8_t proto;
};

struct record_bandwidth {
        uint64_t ingress_rate, ingress_burst, egress_rate, egress_burst; /* bits; 0: no limit */
};

struct record {
        char pod[160]; /* "namespace/name", or the container's id when the runtime does not say */
        char host_ifname[16];
        uint32_t host_ifindex; /* 0: not made yet */
        uint8_t mac[6], host_mac[6];
        struct addr v4, v6; /* zero: none */
        struct record_bandwidth bandwidth;
        struct port_mapping *ports;
        size_t ports_n;
};

#define RECORD_NULL ((struct record){0})

/* id: the file's name without ".json", which has to agree with what is in it. 0, or -EINVAL with the field. */
int record_parse(const char *id, const char *text, size_t len, struct record *ret, struct err *reterr);
void record_deinit(struct record *r);
bool record_equal(const struct record *a, const struct record *b);
/* [A-Za-z0-9._-]+, not beginning with a dot, short enough for a file's name. */
bool record_id_valid(const char *id);
/* The id out of a file's name. 0, or -EINVAL when it is no record's. */
int record_id_of_file(const char *name, char ret[static RECORD_ID_SIZE]);

enum request_op {
        REQUEST_ATTACH,
        REQUEST_DETACH,
        REQUEST_STATUS,
        REQUEST_REPAIR,
};

struct request {
        enum request_op op;
        char id[RECORD_ID_SIZE];
};

int request_parse(const char *line, size_t len, struct request *ret, struct err *reterr);
