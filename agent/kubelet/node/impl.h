/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of node/ share. */
#pragma once

#include "agent/kubelet/node/capacity.h"
#include "agent/kubelet/node/disk.h"
#include "agent/kubelet/node/group.h"
#include "agent/kubelet/node/heartbeat.h"
#include "agent/kubelet/node/machine.h"
#include "agent/kubelet/node/evictor.h"
#include "agent/kubelet/node/node.h"
#include "agent/kubelet/node/registrar.h"
#include "agent/kubelet/node/thresholds.h"
#include "base/hashmap.h"

struct node {
        struct node_opts opts;
        struct node_ips ips;
        struct machine machine;
        struct node_reserved reserved;
        struct eviction_thresholds thresholds;

        struct retry retry;
        struct registrar *registrar;
        struct heartbeat *heartbeat;
        struct loop_timer *tick;
        struct json_object *node; /* as last seen; until then as it would be made */
        struct json_object *capacity, *allocatable, *images;
        struct json_object *told; /* the conditions that were told last */
        struct node_health health;
        char network_problem[512]; /* "": none */
        uint16_t port;
        uint64_t preemptions;

        struct evictor *evictor;
        struct disk *disk;
        struct evictor_pod *candidates; /* pods that may be evicted, as listed last */
        size_t ncandidates;
        bool scanning_all, scanned_all; /* the scan of the disk counts, or counted, all pods */

        char *links_dir;       /* of log_links.c */
        struct hashmap linked; /* containers by id */
        struct child *sweeping;
        uint64_t looked_ms, swept_ms, scan_begun_ms;
        uint64_t images_freed;
        bool registered, asked_boot, sources_ready, seen;
};

/* An Event about the node. */
void node_event(struct node *n, bool warning, const char *reason, const char *fmt, ...) _printf_(4, 5);

/* status.images: the 50 biggest. The caller owns it. */
struct json_object *node_images(const struct images *im);

/* pressure.c: this node's evictor. */
int pressure_new(struct node *n);
/* Counts what pods with limits wrote, when it is time. */
void pressure_scan(struct node *n);

/* enforce.c: pods together get no more than is theirs. */
void enforce_allocatable(struct node *n);

/* collect.c: what nobody needs any more. */
void collect_leftovers(struct node *n);
/* Frees about so many bytes of images, however young; true: something went. */
bool collect_for_room(struct node *n, uint64_t bytes);

/* log_links.c: links to the logs of containers, by which log collectors find them. */
void log_links_follow(struct node *n);
void log_links_sweep(struct node *n);
