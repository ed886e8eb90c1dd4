/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that somebody else answers: kubelets (logs, exec, attach, port-forward), pods and services. One thread of
 * its own with an event loop carries all of them, so that neither the server's loops nor its workers wait for anybody
 * else.
 *
 * A request is given away with http_later and answered once the other side's head is there. Bodies then go through a
 * buffer of bounded size; a connection that was upgraded is carried byte by byte, whatever it speaks.
 */
#pragma once

#include "apiserver/request.h"

struct proxy;

struct proxy_config {
        const char *ca_file;              /* kubelets' certificates are signed by it; NULL: none can be verified */
        const char *cert_file, *key_file; /* what is shown to kubelets; both or none */
        bool insecure;                    /* any certificate of a kubelet will do */
};

/* Starts the thread. Files are read at the first connection, and after proxy_reload again. 0 or negative errno. */
int proxy_new(const struct proxy_config *config, struct proxy **ret, struct err *reterr);
/* From any thread. */
void proxy_reload(struct proxy *p);
/* The server is ending: answers (503) whatever still waits for an answer, now and from now on. */
void proxy_drain(struct proxy *p);
/* When the HTTP server has stopped; NULL is fine. */
void proxy_free(struct proxy *p);

enum proxy_tls {
        PROXY_PLAIN,
        PROXY_TLS_KUBELET, /* with our certificate; the other's must be for server_name */
        PROXY_TLS_ANY,     /* any certificate, as kube-apiserver does for pods and services */
};

/* How errors are told. */
enum proxy_style {
        PROXY_LOG,    /* whatever the other side refuses becomes a Status with its text */
        PROXY_STREAM, /* exec and the like */
        PROXY_HTTP,
};

/* All of it is copied. */
struct proxy_target {
        enum proxy_tls tls;
        enum proxy_style style;
        const char *ip;
        uint16_t port;
        const char *server_name; /* of a kubelet: its node's name */
        const char *path;        /* with its query, percent-encoded */
};

/* Passes the request on. Answers at once only when it cannot be tried at all. Returns API_ANSWERED. */
int proxy_pass(struct api_request *req, const struct proxy_target *t);

/* ---- the API's side: whom to ask for what; each returns API_ANSWERED ---- */

/* pods/log, exec, attach, portforward */
int proxy_pod_stream(struct api_request *req);
/* pods/proxy, services/proxy, nodes/proxy */
int proxy_location(struct api_request *req);
bool proxy_handles(const struct api_request *req);
