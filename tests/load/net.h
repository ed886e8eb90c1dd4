/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netload: TCP and UDP servers that say who they are, and clients that count what becomes of each connection and each
 * request. One thread a process. usage() in net_main.c describes the protocol and the results.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/strbuf.h"

#define NET_TEXT 80 /* "[2001:db8::1]:65535" and its NUL */

/* Set by SIGTERM and SIGINT, which come only while net_wait (epoll_wait) waits: print what there is and leave. */
extern volatile int net_stopped;
struct epoll_event;
int net_wait(int epoll, struct epoll_event *events, int n, int timeout_ms);

struct net_address {
        struct sockaddr_storage sa;
        socklen_t len;
};

/* "10.0.0.1:80", "[fd00::1]:80". 0 or -EINVAL. */
int net_address_parse(const char *text, struct net_address *ret);
/* IPv4-mapped addresses as IPv4. Returns buf. */
const char *net_address_text(const struct sockaddr *sa, char buf[static NET_TEXT]);
/* An IPv4 address as ::ffff:a.b.c.d. */
void net_address_map(struct net_address *a);
/* The same place, be it mapped or not. */
bool net_address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* ---- net_stats.c: counts by name and a histogram of times */

#define NET_NAMES 4096

struct net_count {
        char name[64];
        uint64_t n;
};

/* Names seen and how often; those beyond the last place are counted together. */
struct net_counts {
        struct net_count *items;
        size_t n;
        uint64_t others;
};

void net_counts_add(struct net_counts *c, const char *name, size_t len);
void net_counts_json(const struct net_counts *c, struct strbuf *b);
void net_counts_deinit(struct net_counts *c);

/* Buckets of 1/64 of a power of two: a quantile is at most 1.6 % too large. */
#define NET_TIME_STEPS   64
#define NET_TIME_BUCKETS (NET_TIME_STEPS * 38)

struct net_times {
        uint32_t bucket[NET_TIME_BUCKETS];
        uint64_t n, max_ns, sum_ns;
};

void net_times_add(struct net_times *t, uint64_t ns);
/* {"p50":..,"p90":..,"p99":..,"max":..,"mean":..} in microseconds */
void net_times_json(const struct net_times *t, struct strbuf *b);

/* ---- net_serve.c */

struct net_ports {
        uint16_t *port;
        size_t n;
};

struct net_server_opts {
        const char *name, *address; /* address NULL: all, both families */
        struct net_ports tcp, udp;
};

/* Until it is stopped; prints a line when it listens and one at the end. An exit code. */
int net_serve(const struct net_server_opts *o);

/* ---- net_client.c */

struct net_client_opts {
        struct net_address *targets;
        size_t n_targets;
        struct net_address bind; /* len 0: not bound */
        bool udp, unconnected, mapped, hold, reopen, announce;
        bool by_address; /* count answers by the address that the server has for itself, instead of its name */
        enum net_close {
                NET_CLOSE_CLIENT, /* we first: TIME_WAIT is ours */
                NET_CLOSE_SERVER,
                NET_CLOSE_RESET,
        } close;
        uint32_t concurrency, bytes;
        uint64_t count;                            /* requests; 0: until the time is over */
        uint64_t duration_ns;                      /* 0: until the count is reached or it is stopped */
        uint64_t timeout_ns, interval_ns, slow_ns; /* slow_ns: 0, or count what takes longer to connect */
        const char *text;                          /* of the request; NULL: its number */
};

int net_client(const struct net_client_opts *o);
