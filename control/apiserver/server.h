/* SPDX-License-Identifier: Apache-2.0 */
/* The assembled API server: what main starts and every request sees. */
#pragma once

#include "apiserver/alloc/alloc.h"
#include "apiserver/authz.h"
#include "apiserver/cache.h"
#include "http/http.h"
#include "apiserver/kind.h"
#include "store/store.h"

struct metrics;

struct server_config {
        const char *data_dir;
        const char *bind_address;      /* where to listen */
        uint16_t secure_port;          /* 0: any */
        const char *advertise_address; /* of the `kubernetes` Endpoints; NULL: found from bind_address */
        const char *cert_file, *key_file, *client_ca_file;
        const char *service_cidr;       /* "10.96.0.0/16[,fd00::/108]" */
        const char *node_port_range;    /* "30000-32767" */
        unsigned max_requests_inflight; /* workers' queue included; watches do not count */
        uint64_t store_max_bytes;       /* 0: no limit but the disk's */
        int64_t event_ttl_seconds;
        int64_t history_seconds; /* how long old revisions are kept for paging and watches */
        bool skip_store_check;

        /* How kubelets are reached. */
        const char *kubelet_ca_file;                      /* NULL: no kubelet can be verified */
        const char *kubelet_cert_file, *kubelet_key_file; /* what is shown to them; NULL: nothing */
        const char *kubelet_address_types;                /* "InternalIP,ExternalIP"; NULL: the default */
        bool kubelet_insecure;                            /* their certificates are not verified */

        /* Tokens of service accounts (account/tokens.h). */
        const char *token_signing_file;     /* NULL: none are issued */
        const char *const *token_key_files; /* NULL-terminated, or NULL */
        const char *token_issuer;           /* NULL: the default */
        const char *const *api_audiences;   /* NULL-terminated; NULL: the issuer */
};

struct server {
        struct server_config config;
        char *cidr_text; /* what kinds.service_cidr points into */
        struct kind_config kinds;
        struct kind_reader reader;
        struct store *store;
        struct cache_set *caches;
        struct alloc *alloc;
        struct http_server *http;
        struct metrics *metrics;
        struct background *background;
        struct tokens *tokens; /* NULL: there is no key for them */
        struct usage *usage;   /* NULL: no metrics are collected */
        struct proxy *proxy;   /* NULL: nothing is passed on */
        _Atomic bool ready, stopping;
        uint64_t start_mono_ns;
        int64_t (*wall_ns)(void); /* NULL: the clock; tests bring time of their own */
};

/* Opens the store, loads, listens. Returns 0 or negative errno. */
int server_start(const struct server_config *config, struct server **ret, struct err *reterr);
/* Answers what is in progress, ends watches, closes the store. */
void server_stop(struct server *s);

/* What kinds may read of s: its caches. */
struct kind_reader server_reader(struct server *s);
/* The whole chain for one request: authenticate, authorize, route to its handler. */
struct http_app server_app(struct server *s);
