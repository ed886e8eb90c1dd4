/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes: registration, heartbeats, their pod addresses. In the loop's thread. */
#pragma once

#include "hollow/addresses.h"
#include "hollow/calls.h"
#include "hollow/config.h"
#include "hollow/node_object.h"

struct nodes;

struct node {
        struct call_job job;
        struct nodes *nodes;
        uint32_t index;
        char name[NODE_NAME_MAX], uid[40], ip[ADDRESSES_TEXT];
        struct addresses addresses; /* of its pods */
        bool exists, ready;         /* in the API */
        bool tainted;               /* there, as not ready */
        bool stopped;               /* by a command: it is silent, and its pods stay as they are */
        bool leased, forgotten;     /* it has a Lease; somebody deleted the node */
        uint8_t sending;
        int64_t lease_at, status_at; /* when the next is due, ms */
};

struct nodes_opts {
        const struct hollow_config *config;
        struct kube_client *client;
        struct calls *calls;
        struct loop *loop;
        void (*registered)(void *userdata); /* once, when all have been */
        void (*revived)(void *userdata, struct node *node, bool rebooted);
        void *userdata;
};

int nodes_new(const struct nodes_opts *opts, struct nodes **ret);
/* After the client. */
void nodes_free(struct nodes *n);
/* Before the client. */
void nodes_stop(struct nodes *n);
void nodes_start(struct nodes *n);

/* NULL: none of ours. */
struct node *nodes_get(struct nodes *n, const char *name);
struct node *nodes_at(struct nodes *n, uint32_t index);
bool nodes_all_registered(const struct nodes *n);
uint32_t nodes_count_stopped(const struct nodes *n);

void node_stop(struct node *node);
void node_revive(struct node *node);
/* As if its machine had started anew. */
void node_restart(struct node *node);

/* Milliseconds since 1970, by a clock that never goes back. */
int64_t hollow_now_ms(void);
