/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair of what can only go wrong by damage, by hand or by another server's fault: addresses and ports that nobody has
 * any more, ones that a Service has without their record, and ones that two Services have. A pure function finds the
 * fixes; each is a transaction of its own whose preconditions are the revisions that it was found from, so that a fix
 * never undoes what happened in between. Reasons and messages are those of kube-apiserver's repair controllers.
 */
#pragma once

#include "apiserver/alloc/alloc.h"

/* One key below ALLOC_PORT_PREFIX. */
struct repair_port {
        uint16_t port;
        const char *namespace, *name; /* whose it is */
        uint64_t revision;
};

struct repair_input {
        struct alloc *alloc;                 /* for the ranges only */
        struct json_object *const *services; /* with their resourceVersion */
        size_t nservices;
        struct json_object *const *ips; /* IPAddress objects */
        size_t nips;
        const struct repair_port *ports;
        size_t nports;
        int64_t now_us;
};

struct repair_fix {
        const char *key;   /* what is written; NULL: there is only something to tell */
        const char *value; /* NULL: deleted */
        uint64_t expect_rev;
        const char *service_key; /* must still be of that revision (STORE_REV_NONE: not there) */
        uint64_t service_rev;
        const char *namespace, *name; /* the Service that it is about, which may be gone */
        bool event;                   /* worth a Warning Event on the Service; otherwise a line in the log */
        const char *reason, *message;
};

/* Reads one key below ALLOC_PORT_PREFIX; strings in the arena. 0 or -EINVAL when key or value make no sense. */
int repair_port_read(struct arena *a, const char *key, const char *data, size_t len, uint64_t revision,
                     struct repair_port *ret);
/* The fixes, in the arena; returns how many. */
size_t alloc_repair(struct arena *a, const struct repair_input *in, struct repair_fix **ret);
/* Adds the fix's operations; none when there is only something to tell. */
void repair_fix_stage(const struct repair_fix *fix, struct txn_builder *t);
