/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REST client of the Kubernetes API: paths, JSON bodies, credentials, errors as Status, retries, a rate limit.
 *
 * kube_do and the calls on top of it block and may be used from any thread. kube_start and kube_stream run on the loop
 * that the client was made with, and are to be called in its thread.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "base/httpclient.h"
#include "base/json.h"
#include "kube/kubeconfig.h"

struct kube_client;

struct kube_client_opts {
        const struct kubeconfig *config;
        struct loop *loop;         /* NULL: only blocking calls */
        const char *user_agent;    /* NULL: "fairlead/VERSION" */
        double qps;                /* 0: 50 */
        unsigned int burst;        /* 0: 100 */
        uint32_t timeout_ms;       /* of a blocking or unary call; 0: 30 s */
        unsigned int retries;      /* after 429 and lost connections; 0: 10 */
        uint32_t max_calls;        /* of kube_start at a time, others wait their turn, which takes a tenth of the
                                    * memory; streams do not count; 0: no limit */
        const atomic_bool *cancel; /* makes blocking calls give up with -ECANCELED; may be NULL */
};

int kube_client_new(const struct kube_client_opts *opts, struct kube_client **ret, struct err *reterr);
/* Ends calls under way (-ECANCELED). In the loop's thread, not from a callback. */
void kube_client_free(struct kube_client *c);
DEFINE_CLEANUP(struct kube_client *, kube_client_free)
struct loop *kube_client_loop(const struct kube_client *c);

/* What the server says when it refuses. */
struct kube_status {
        int code;        /* HTTP; 0: no answer */
        char reason[64]; /* "NotFound", "AlreadyExists", "Conflict", ... */
        char message[512];
        int retry_after_s; /* -1: not said */
};

struct kube_resource {
        const char *group, *version, *plural; /* group "" is the core group */
};

/* "/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/SUB"; ns, name and sub may be NULL. The caller frees it. */
char *kube_path(const struct kube_resource *r, const char *ns, const char *name, const char *sub);

struct kube_request {
        const char *method;             /* NULL: GET */
        const char *path;               /* with query */
        const struct json_object *body; /* borrowed; or NULL */
        const char *content_type;       /* of the body; NULL: application/json */
        uint32_t timeout_ms;            /* 0: the client's */
        bool no_retry;
};

#define KUBE_JSON_PATCH      "application/json-patch+json"
#define KUBE_MERGE_PATCH     "application/merge-patch+json"
#define KUBE_STRATEGIC_PATCH "application/strategic-merge-patch+json"
#define KUBE_APPLY_PATCH     "application/apply-patch+yaml"

enum { KUBE_REFUSED = 1 };

/*
 * One call. 0 with the answer's object in *ret (NULL: no body; ret may be NULL); KUBE_REFUSED when the server answered
 * with another status than 2xx; or negative errno when it did not answer. *status (may be NULL) tells in both cases.
 *
 * 429 with Retry-After is retried after that time; a connection that failed before the request was sent, or for a GET
 * at any time, is retried with backoff.
 */
int kube_do(struct kube_client *c, const struct kube_request *req, struct json_object **ret,
            struct kube_status *status);

int kube_get(struct kube_client *c, const char *path, struct json_object **ret, struct kube_status *status);
int kube_create(struct kube_client *c, const char *path, const struct json_object *o, struct json_object **ret,
                struct kube_status *status);
int kube_update(struct kube_client *c, const char *path, const struct json_object *o, struct json_object **ret,
                struct kube_status *status);
int kube_patch(struct kube_client *c, const char *path, const char *content_type, const struct json_object *patch,
               struct json_object **ret, struct kube_status *status);
/* options: a DeleteOptions object or NULL. */
int kube_delete(struct kube_client *c, const char *path, const struct json_object *options, struct kube_status *status);
/* Calls fn with each item (borrowed) of all pages of a list, until it returns other than 0, which is then returned.
 * query: further parameters ("labelSelector=a%3Db") or NULL. */
int kube_list(struct kube_client *c, const char *path, const char *query,
              int (*fn)(void *userdata, struct json_object *item), void *userdata, struct kube_status *status);

/*
 * One call on the loop, without retries. done gets the same as kube_do returns; obj is borrowed. It is called once, but
 * for calls that kube_cancel has ended: for those it is not called any more.
 */
struct kube_call;
typedef void (*kube_done_fn)(void *userdata, int result, struct json_object *obj, const struct kube_status *status);
struct kube_call *kube_start(struct kube_client *c, const struct kube_request *req, kube_done_fn done, void *userdata);
/* A 2xx answer's body goes to data as it comes (see http_handler); done has no object then. */
struct kube_call *kube_stream(struct kube_client *c, const struct kube_request *req,
                              int (*data)(void *userdata, const char *data, size_t len), kube_done_fn done,
                              void *userdata);
/* Ends it silently. The handle must not be used after this, nor after done. NULL does nothing. */
void kube_cancel(struct kube_call *call);
