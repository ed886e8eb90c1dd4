/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that look into the dataplane share: their flags, the pinned maps, names, sums over CPUs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "ctl/table.h"
#include "datapath/map.h"

/* A filter of a command: "--service NAME". */
struct view_flag {
        const char *name;
        const char **value; /* NULL: a switch, then set */
        bool *set;
};

struct view {
        const char *command;  /* "flow list", for messages */
        const char *pin_root; /* --pin-root */
        const char *run_dir;  /* --run-dir */
        bool json;            /* -o json */
        struct maps maps;
};

#define VIEW_HELP                                                                                                      \
        "  -o json          print JSON instead of a table\n"                                                           \
        "  --pin-root DIR   where the agent pins its maps (default /sys/fs/bpf/fairlead)\n"                            \
        "  --run-dir DIR    the agent's run_dir (default /run/fairlead)\n"                                             \
        "\n"                                                                                                           \
        "It reads the kernel's maps: the agent need not run.\n"

/* Parses flags (the common ones and the command's own, an array that ends with an empty element) and opens the maps.
 * 0, or the exit status + 1 that is to be returned at once (use view_exit): after --help, wrong usage (2), no maps (1).
 */
int view_open(struct view *v, int argc, char **argv, const struct view_flag *flags, const char *help);
/* The same for a command whose only verb is `list`: `fairctl NAME list [flags]`. */
int view_open_list(struct view *v, int argc, char **argv, const struct view_flag *flags, const char *help);
void view_close(struct view *v);

static inline int view_exit(int r)
{
        return r - 1;
}

/* Sorts, prints as asked for, frees. Returns the exit status. */
int view_print(const struct view *v, struct table *t);

/* "default/web:http/TCP"; "#7" when the id has no name. Returns buf. */
const char *view_service_name(const struct view *v, uint32_t id, char buf[static SERVICE_NAME_SIZE]);
/* "TCP", "UDP", "SCTP", "ICMP", "ICMPv6" or the number. Returns buf. */
const char *view_proto(uint8_t proto, char buf[static 8]);
/* "Any node address" of either family: the key of a NodePort. */
bool view_is_any(const struct addr *a);
/* "10.0.0.1:80"; "*:80" and "[*]:80" for any node address. */
const char *view_endpoint(const struct addr *a, __be16 port, char buf[static 64]);
/* "3d4h", "12m", "7s". */
const char *view_age(uint64_t seconds, char buf[static 16]);
/* Sums of the 64-bit counters that a per-CPU map has at that index: ret[0] to ret[n - 1]. */
int view_sum(const struct view *v, enum map_id map, uint32_t index, uint64_t *ret, size_t n);
/* The backend ids of a range, owned by the caller. 0 or negative errno. */
int view_slots(const struct view *v, struct slot_range range, uint32_t **ret);
/* Seconds by the clock of the flow table (CLOCK_MONOTONIC). */
uint32_t view_flow_now(void);
/* What the agent wrote into <run_dir>/status.json, owned by the caller; NULL when there is nothing to be read. */
struct json_object *view_agent_status(const struct view *v);
/* The timeouts of flows by that file, else the defaults. */
void view_timeouts(const struct view *v, struct flow_timeouts *ret);
