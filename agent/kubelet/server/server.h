/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS of the kubelet (10250), with upstream's paths, for the API server alone: it shows its client certificate, and
 * anybody else is refused. Its own threads serve connections; what concerns pods happens on the kubelet's loop.
 */
#pragma once

#include "agent/kubelet/node/node.h"
#include "agent/kubelet/pods/pods.h"
#include "base/strbuf.h"

struct kubelet_server;

struct kubelet_server_opts {
        struct loop *loop;
        const struct runtime *runtime;
        struct pods *pods;
        struct node *node;
        struct volumes *volumes;
        const char *address;              /* "0.0.0.0" */
        uint16_t port;                    /* 10250; 0: any */
        const char *cert_file, *key_file; /* of the server; both NULL: made at start, signed by itself */
        const char *client_ca_file;
        const char *client_name; /* common name that is let in; NULL: "kube-apiserver-kubelet-client" */
        const char *node_name;   /* in the certificate that it makes, and in /stats/summary */
        const char *log_dir;
        void (*metrics)(void *userdata, struct strbuf *b);
        void *userdata;
};

int kubelet_server_new(const struct kubelet_server_opts *opts, struct kubelet_server **ret, struct err *reterr);
uint16_t kubelet_server_port(const struct kubelet_server *s);
void kubelet_server_free(struct kubelet_server *s);
DEFINE_CLEANUP(struct kubelet_server *, kubelet_server_free)
