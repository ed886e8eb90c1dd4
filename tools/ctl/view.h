/* SPDX-License-Identifier: Apache-2.0 */
/* What commands work with: what was typed, the pinned maps, and the ways of showing things that all of them share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "ctl/cli.h"
#include "ctl/table.h"
#include "datapath/map.h"

struct view {
        struct cli cli;
        const char *command;  /* "flow list", for messages */
        const char *pin_root; /* --pin-root */
        const char *run_dir;  /* --run-dir */
        enum table_format format;
        bool json;  /* -o json */
        bool color; /* --color, NO_COLOR, and whether stdout is a terminal */
        struct maps maps;
        int maps_result; /* of opening them, where they are optional; and why it failed */
        struct err maps_err;
        char **names; /* service ports' by id, as far as they were asked for; view_service_name */
        struct json_object *agent;
        bool agent_read;
};

/* Sets what the flags say, and opens the maps if the command reads them. 0, or the exit status after a complaint. */
int view_open(struct view *v);
/* The maps alone, for who completes words: nothing is said. 0 or negative errno. */
int view_open_quietly(struct view *v);
/* 0 when the maps are open, else complains. For commands whose maps are optional. */
int view_need_maps(struct view *v);
void view_close(struct view *v);

static inline const char *view_value(const struct view *v, const char *flag)
{
        return cli_value(&v->cli, flag);
}

static inline bool view_is_set(const struct view *v, const char *flag)
{
        return cli_is_set(&v->cli, flag);
}

/* The n-th argument, or NULL. */
static inline const char *view_argument(const struct view *v, size_t n)
{
        return n < v->cli.argument_count ? v->cli.arguments[n] : NULL;
}

/* "fairctl flow list: --src x: give an IP address": to stderr. Returns 2, the exit status of wrong usage. */
int view_wrong(const struct view *v, const char *fmt, ...) _printf_(2, 3);

/* A table with the command's columns, in the format that was asked for. */
void view_table(const struct view *v, struct table *ret);
/* Prints and frees. Returns the exit status. */
int view_print(const struct view *v, struct table *t);

/* "default/web:http/TCP"; "#7" when the id has no name, "-" for 0. Borrowed until view_close. */
const char *view_service_name(struct view *v, uint32_t id);
/* "TCP", "UDP", "SCTP", "ICMP", "ICMPv6" or the number. Returns buf. */
const char *view_proto(uint8_t proto, char buf[static 8]);
/* "Any node address" of either family: the key of a NodePort. */
bool view_is_any(const struct addr *a);
/* "10.0.0.1:80"; "*:80" and "[*]:80" for any node address. */
const char *view_endpoint(const struct addr *a, __be16 port, char buf[static 64]);
/* "3d4h", "12m5s", "7s". */
const char *view_age(uint64_t seconds, char buf[static 16]);
/* "812", "12.3k", "4.6M": for people; decimal. */
const char *view_amount(uint64_t n, char buf[static 16]);
/* "aa:bb:cc:dd:ee:ff" */
const char *view_mac(const __u8 mac[static 6], char buf[static 18]);
/* Sums of the 64-bit counters that a per-CPU map has at that index: ret[0] to ret[n - 1]. */
int view_sum(const struct view *v, enum map_id map, uint32_t index, uint64_t *ret, size_t n);
/* The backend ids of a range, owned by the caller. 0 or negative errno. */
int view_slots(const struct view *v, struct slot_range range, uint32_t **ret);

/* What the agent wrote into <run_dir>/status.json, borrowed; NULL when there is nothing to be read. */
const struct json_object *view_agent_status(struct view *v);
/* Does an agent hold the pinned dataplane, or is the process that wrote it there? */
bool view_agent_runs(struct view *v);
/* The time-outs of flows: those of the loaded programs, else the agent's, else the defaults. */
void view_timeouts(struct view *v, struct flow_timeouts *ret);
