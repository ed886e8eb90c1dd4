/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services' side of the agent: follows Services and EndpointSlices, keeps a set of those whose tables may differ
 * from what they are to be, and brings them up to date in batches: a change waits min_sync_ms for company, and under
 * load up to max_sync_ms. A change costs what its service costs, however many others there are. All in the loop's
 * thread.
 */
#pragma once

#include "agent/config.h"
#include "agent/network.h"
#include "agent/project.h"
#include "agent/services_api.h"
#include "agent/apply.h"
#include "base/strbuf.h"

struct services;

struct services_opts {
        struct loop *loop;
        const struct agent_config *config;
        struct maps *maps;
        struct events *events;           /* or NULL */
        uint64_t grace_ms;               /* of apply; 0: its default */
        void (*synced)(void *userdata);  /* the tables are what the API wants, for the first time */
        void (*changed)(void *userdata); /* there is something new in services_status or services_health */
        void *userdata;
};

/* Takes over what is pinned; changes nothing yet. 0 or negative errno. */
int services_new(const struct services_opts *opts, struct services **ret, struct err *reterr);
void services_free(struct services *s);
DEFINE_CLEANUP(struct services *, services_free)

/* Follows it: what it knows already is told at once. Takes it over. */
void services_watch(struct services *s, struct services_api *api);
/* What the informers do, for tests: the values are of project.h and stay the caller's; NULL is gone. */
void services_set_service(struct services *s, const char *key, const struct svc_view *view);
void services_set_slice(struct services *s, const struct slice_view *old, const struct slice_view *now);
void services_initial_state_is_there(struct services *s);
/* This node and its pods' hostPorts; copied. */
void services_set_node(struct services *s, const struct node_view *node, const struct host_port *ports, size_t n);
/* Brings everything up to date now. */
void services_sync(struct services *s);
/* Soon everything is written anew that should be in the tables, and what should not is removed: for tables that
 * somebody else has written to. Traffic goes on meanwhile. */
void services_repair(struct services *s);
bool services_is_synced(const struct services *s);

struct services_stats {
        uint64_t service_changes, endpoint_changes;                 /* since the start */
        uint64_t service_changes_pending, endpoint_changes_pending; /* not yet in the tables */
        int64_t queued_ns, synced_ns;                               /* wall clock: the last change, the last sync */
        size_t services, slices, skipped, degraded;                 /* degraded: something found no room */
        size_t no_local_internal, no_local_external;                /* service ports */
        uint32_t full;                                              /* bits by enum map_id */
        int64_t oldest_pending_ms;                                  /* monotonic; 0: nothing waits */
        size_t adopted;                                             /* of a former life: found in the tables */
        struct apply_stats apply;
};

void services_stats(const struct services *s, struct services_stats *ret);
/* As it was told last. */
const struct node_view *services_node(const struct services *s);
/* Durations are told here as they come: of a sync, and from a change at the API until it is in the tables. */
struct services_observer {
        void (*sync)(void *userdata, double seconds);
        void (*programming)(void *userdata, double seconds);
        void *userdata;
};
void services_observe(struct services *s, const struct services_observer *observer);

/* Calls fn for each thing that was left out, with the object and the reason. */
void services_each_skipped(const struct services *s, void (*fn)(void *userdata, const char *object, const char *reason),
                           void *userdata);
/* For each service port with an id: its service, its port ("http"), its protocol. */
void services_each_port(const struct services *s,
                        void (*fn)(void *userdata, const char *key, const struct port_state *port), void *userdata);
/* For each service with a healthCheckNodePort: how many local endpoints are ready. */
struct service_health {
        const char *ns, *name;
        uint16_t port;
        uint32_t local_endpoints;
};
void services_each_health(const struct services *s, void (*fn)(void *userdata, const struct service_health *health),
                          void *userdata);
