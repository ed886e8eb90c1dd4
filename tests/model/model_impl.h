/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the model. */
#pragma once

#include "model/model.h"

/* An endpoint of a service port, from when it is there to when it is gone: one that comes back is another. */
struct instance {
        bool alive, local, host;
        bool idle;       /* gets no new connections from anybody: it drains */
        int slot, front; /* service and its port; of a hostPort: -1 and its number */
        uint8_t proto;
        struct addr addr;
        uint16_t port;
        uint32_t id, generation; /* in the tables, once it was chosen; 0: not known */
};

enum { THERE, BACK }; /* directions */

struct half {
        struct tuple key, to;
        uint8_t state;
        uint32_t packets;
        uint64_t bytes;
};

struct conn {
        bool live, touched;
        bool leaving;    /* the program gave its place to another one */
        bool taken_over; /* or its source port */
        struct half half[2];
        uint8_t flags; /* of the way there */
        int instance;  /* -1: no service's */
        uint32_t service;
        uint32_t seen, created;
};

struct affinity_row {
        struct addr client;
        uint32_t service;
        bool outside;
        int instance; /* -1: not known */
        uint32_t seen;
};

/* What a permutation table gave to whom. */
struct pick {
        uint32_t service;
        bool by_client; /* else by the tuple */
        bool local;
        struct tuple who;
        int instance;
};

struct fragment_row {
        struct tuple datagram; /* without ports */
        uint32_t id;
        __be16 sport, dport;
};

struct stats_row {
        uint32_t id;
        bool given; /* a service has the id at present */
        struct service_stats stats;
};

#define LIST(type, name)                                                                                               \
        struct {                                                                                                       \
                type *of;                                                                                              \
                size_t n, room;                                                                                        \
        } name
/* The address of a new last element, all zero. */
#define LIST_ADD(list)                                                                                                 \
        (list_grow((void **)&(list)->of, &(list)->n, &(list)->room, sizeof(*(list)->of)), &(list)->of[(list)->n - 1])
void list_grow(void **of, size_t *n, size_t *room, size_t size);

enum answer_source { ANSWER_POD, ANSWER_OVERLAY, ANSWER_UPLINK, ANSWER_LO, ANSWER_SOURCES };

struct model {
        const struct devices *devices;
        const struct world *world;
        const struct ids *ids;
        uint32_t now;
        LIST(struct conn, conns);
        LIST(struct instance, instances);
        LIST(struct affinity_row, affinity);
        LIST(struct pick, picks);
        LIST(struct fragment_row, fragments);
        LIST(struct stats_row, stats);
        uint32_t debt[WORLD_PODS][2]; /* bits */
        uint32_t answers[ANSWER_SOURCES][2];
};

/* One packet's way. */
struct walk {
        struct model *m;
        const struct event *e;
        const struct observed *o;
        struct expect *x;
        struct pkt p;
        struct tuple to; /* what it becomes */
        bool translated; /* `to` is to be written into it */
        bool rewritten;  /* it has been: an ICMP error; p.tuple and `to` have its new addresses */
        uint32_t mtu;
        struct frame out;
};

_Static_assert(REASON_COUNT < 64, "");

/* Adds a sentence to the reasoning, and counts it: what was never said was never tested (cover.c). */
void say_(struct walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define say(w, format, ...)                                                                                            \
        do {                                                                                                           \
                static struct said said_ __attribute__((section("model_said"), used)) = {format, 0};                   \
                said_.times++;                                                                                         \
                say_(w, format __VA_OPT__(, ) __VA_ARGS__);                                                            \
        } while (0)
void wrong(struct walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- services (model_service.c) */

/* Address and port that somebody may ask for. */
struct front {
        int slot, number;                    /* service and port; of a hostPort: -1 and its number */
        bool cluster_ip, balancer, external; /* else it is a NodePort or hostPort */
};

enum front_kind { FRONT_NONE, FRONT_FOUND, FRONT_UNKNOWN_PORT, FRONT_UNSUPPORTED };
enum front_kind service_front(const struct walk *w, struct front *ret);
/* A service's own address, of whatever port. */
bool service_owns(const struct model *m, const struct addr *a);
bool service_admits(const struct model *m, const struct front *f, const struct addr *client, bool outside,
                    enum reason *ret_why);
/* The endpoints that a new connection may get: numbers of instances. *ret_local: only this node's may serve;
 * *ret_elsewhere: there are some that may not. */
#define POOL_MAX (2 * SERVICE_ENDS)
size_t service_pool(const struct model *m, const struct front *f, bool v6, bool outside, int ret[POOL_MAX],
                    bool *ret_local, bool *ret_elsewhere);
uint32_t front_id(const struct walk *w, const struct front *f);
uint16_t front_affinity(const struct model *m, const struct front *f);
bool front_hashed(const struct model *m, const struct front *f, bool outside);
void service_reconcile(struct model *m);
/* Which one of these it may be, after affinity and what a permutation gave before: fewer or the same. */
size_t service_narrow(struct walk *w, const struct front *f, bool outside, int pool[POOL_MAX], size_t n, bool local);
/* It was that one (-1: nobody knows). */
void service_chosen(struct walk *w, const struct front *f, bool outside, int instance, bool local);
struct service_stats *stats_of(struct model *m, uint32_t id);
const char *instance_text(const struct model *m, int instance, char buf[static 128]);

/* --- connections (model_conn.c) */

struct conn *conn_find(struct model *m, const struct tuple *key, int *ret_way);
bool conn_is_closing(uint8_t state);
uint32_t conn_timeout(const struct model *m, uint8_t proto, uint8_t state);
/* The packet is of that connection. */
void conn_account(struct walk *w, struct conn *c, int way);
void conn_remove(struct conn *c);

enum source_rule { SOURCE_FIXED, SOURCE_KEEP, SOURCE_OF_RANGE };
struct fresh {
        struct tuple key, to; /* to.sport: the one that is wished */
        uint8_t flags;
        enum source_rule rule;
        int instance;
        uint32_t service;
};
/* May they say that there is no source port for it, neither a free one nor that of a closed connection? */
bool conn_may_fail(struct walk *w, const struct fresh *f);
/* Makes a connection as the programs did. NULL: it cannot be had (REASON_SNAT_PORTS). */
struct conn *conn_add(struct walk *w, const struct fresh *fresh);
/* What the programs made for that key; NULL: nothing. */
const struct seen_half *seen_added(const struct walk *w, const struct tuple *key);

/* --- the packet (model_rewrite.c) */

/* Writes w->to over w->p.tuple into w->out; hop: and counts the hop limit down. */
void write_packet(struct walk *w, bool hop);
/* An ICMP error about a connection. REASON_OK: it is about none. */
enum reason write_error(struct walk *w);
void write_macs(struct walk *w, const uint8_t *dst, const uint8_t *src);

/* --- refusals (model_answer.c) */

/* The answer in x->out, and where to; or a drop. */
void answer(struct walk *w, enum reason why);

/* --- where to (model_route.c) */

/* REASON_FORWARDED, OK or TRANSLATED with x filled in; or why not. */
enum reason forward(struct walk *w);
const struct prefix *route_of(const struct walk *w, const struct addr *a, struct prefix *room);
struct addr own_address(const struct model *m, bool v6); /* zero: none */
bool is_loopback(const struct addr *a);                  /* "any" too */
bool is_group(const struct addr *a);
enum fib { FIB_OK, FIB_NONE, FIB_TOO_BIG };
struct fib_result {
        unsigned nic;
        uint32_t ifindex;
        struct addr next;
        const uint8_t *mac; /* NULL: not known */
        const uint8_t *own;
};
enum fib kernel_route_of(struct walk *w, struct fib_result *ret);
/* False: the pod's limit is passed. */
bool police(struct walk *w, unsigned pod, bool egress);

/* --- translation (model_translate.c) */

enum reason translate(struct walk *w, bool outside);
enum reason masquerade(struct walk *w, const struct addr *own);
