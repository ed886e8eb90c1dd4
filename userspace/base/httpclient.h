/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client on libcurl: HTTP/1.1, and HTTP/2 where the server offers it over TLS; connections are kept and reused.
 *
 * http_start runs calls on an event loop: hundreds of streams need no threads. http_do blocks its caller. A client
 * without a loop can only http_do. Redirects are not followed and proxies from the environment are not used. When a
 * kept connection turns out to be dead before any byte of the answer, libcurl sends the request again on a new one,
 * once.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/strbuf.h"

/* Each of CA, certificate and key from a file, or else from memory (PEM text). All strings are copied. */
struct http_tls {
        const char *ca_file, *ca_pem; /* neither: the system's */
        const char *cert_file, *cert_pem;
        const char *key_file, *key_pem;
        const char *server_name; /* whose certificate is expected, when it is not the URL's host */
        bool insecure;           /* any server certificate will do */
};

struct http_client_opts {
        struct loop *loop;       /* for http_start; must outlive the client and all references to calls */
        const char *base_url;    /* "https://10.0.0.1:6443", no slash at its end */
        const char *unix_socket; /* connect there instead */
        const char *user_agent;
        struct http_tls tls;
        uint32_t connect_timeout_ms; /* 0: 10 s */
        bool http2;                  /* HTTP/2 at once, without TLS as well */
};

struct http_client;

/* 0, or negative errno with what is wrong with the options. */
int http_client_new(const struct http_client_opts *opts, struct http_client **ret, struct err *reterr);
/* In the loop's thread (any, when there is no loop). Calls under way end: their done gets -ECANCELED before this
 * returns. No http_do may be running. */
void http_client_free(struct http_client *c);
DEFINE_CLEANUP(struct http_client *, http_client_free)

/* Borrowed during http_start and http_do. */
struct http_client_request {
        const char *method;         /* NULL: GET */
        const char *path;           /* put behind base_url: "/api/v1/pods?limit=500" */
        const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
        const void *body;
        size_t body_len;
        uint32_t timeout_ms;       /* for all of it; 0: none */
        size_t limit;              /* of a collected answer; 0: 64 MiB */
        bool compressed;           /* ask for gzip; the answer comes unpacked */
        bool connect_only;         /* nothing is sent: status stays 0, error tells whether there was a connection */
        const atomic_bool *cancel; /* http_do only: gives up within a second once true; may be NULL */
};

struct http_client_response {
        int status;            /* 0: there was no answer */
        int error;             /* 0: complete; negative errno: broken off (status may be there) */
        char message[256];     /* what is wrong, when error is set */
        int os_error;          /* errno of a connect that failed; 0: not known */
        struct strbuf headers; /* "Name: value\0" after each other */
        struct strbuf body;
};

#define HTTP_CLIENT_RESPONSE_NULL ((struct http_client_response){0})

/* The first header of that name (any case), or NULL; borrowed. */
const char *http_response_header(const struct http_client_response *r, const char *name);
void http_response_deinit(struct http_client_response *r);

/*
 * Errors: -ECONNREFUSED (no connection), -ETIMEDOUT, -ECANCELED, -EFBIG (limit; body has what is below it), -EPROTO
 * (TLS: the certificates do not fit), -ECONNRESET (broken off), -EIO (anything else), or what data returned.
 */
struct http_handler {
        /* Optional: bytes of the body of a 2xx answer as they come; status and headers are there. Any other body, or
         * every one without this, is collected in r->body. A negative return breaks the call off. No other call into
         * the client from here but http_start and http_call_cancel. */
        int (*data)(void *userdata, const struct http_client_response *r, const char *data, size_t len);
        /* Once, at the end, whatever happened; may TAKE r's buffers. Not the place to free the client. */
        void (*done)(void *userdata, struct http_client_response *r);
};

struct http_call;

/* Any thread; the handler is called in the loop's (never before this returns, when called there). *ret (ret may be
 * NULL) is a reference to the call. 0, -EINVAL (not a URL) or -ENOMEM. */
int http_start(struct http_client *c, const struct http_client_request *req, const struct http_handler *h,
               void *userdata, struct http_call **ret);
/* Any thread. done follows, with -ECANCELED if nothing else came first. */
void http_call_cancel(struct http_call *call);
void http_call_unref(struct http_call *call);
DEFINE_CLEANUP(struct http_call *, http_call_unref)

/* Blocking, from any thread. 0 when there is a complete answer of any status, else negative errno and reterr; *ret is
 * to be http_response_deinit'ed in both cases. */
int http_do(struct http_client *c, const struct http_client_request *req, struct http_client_response *ret,
            struct err *reterr);

/* Appends s with everything but RFC 3986's unreserved characters percent-encoded. */
void http_escape(struct strbuf *b, const char *s);
