/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster's certificates in a folder: CA, API server, kubeconfigs of the components, service account keys. */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct pki_opts {
        const char *server;           /* the URL in the kubeconfigs: "https://127.0.0.1:6443" */
        const char *cluster;          /* the cluster's name in them; NULL: "fairlead" */
        const char *const *dns_names; /* of the API server, besides localhost and kubernetes.default.svc... */
        const char *const *ips;       /* of the API server, besides 127.0.0.1 and ::1; the kubernetes Service's too */
        const char *const *nodes;     /* names of nodes that get a kubelet's certificate and kubeconfigs */
        const char *const
                *node_ips;       /* of each node, for its certificate: "192.0.2.1,2001:db8::1", or NULL; may be NULL */
        int64_t ca_lifetime_s;   /* 0: ten years */
        int64_t cert_lifetime_s; /* 0: one year; renewed by pki_init once two thirds are over */
        int64_t now_s;           /* 0: the wall clock */
};

struct pki_result {
        unsigned int made, renewed, kept; /* files or pairs of files */
};

/*
 * Brings the folder to what opts wants: makes what is missing, renews what is about to expire or does not fit any more,
 * leaves the rest. The CA and the service account key are never replaced, whatever their state. Files are written
 * atomically with mode 0600, keys before their certificates, so that a run after one that was killed completes it. Runs
 * at the same time wait for each other. 0 or negative errno with the file in the message.
 *
 *     ca.crt ca.key                    the CA
 *     apiserver.crt/.key               the server's
 *     apiserver-kubelet-client.crt/.key    what it shows to kubelets
 *     sa.key sa.pub                    what service account tokens are signed and checked with
 *     admin.kubeconfig                 kubernetes-admin of system:masters
 *     controller-manager.kubeconfig scheduler.kubeconfig
 *     kubelet-NAME.kubeconfig agent-NAME.kubeconfig    system:node:NAME of system:nodes
 *     kubelet-NAME.crt/.key            what the node's kubelet serves HTTPS with: for the DNS name NAME, by which the
 * API server asks for it, and the node's addresses
 */
int pki_init(const char *dir, const struct pki_opts *opts, struct pki_result *ret, struct err *reterr);
