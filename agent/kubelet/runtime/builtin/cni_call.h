/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls the plugins of a network, one after the other, each a child process in the node's namespaces. ADD hands each
 * one's result to the next; DEL goes backwards. The first that fails ends it, but for GC, where the
 * others are called as well.
 */
#pragma once

#include "agent/kubelet/child.h"
#include "agent/kubelet/runtime/builtin/cni_conf.h"

struct cni_call;

/* Trees are shared, texts and lock are needed until cni_call returns. */
struct cni_request {
        struct children *children;
        const char *verb;      /* "ADD", "DEL", "GC", "STATUS" */
        const char *bins;      /* folders of programs, between colons */
        const char *container; /* the sandbox's id; NULL for GC and STATUS */
        const char *netns;     /* a path; "": it is gone */
        const char *args;      /* CNI_ARGS */
        struct json_object *list, *asked;
        struct json_object *result; /* of the ADD, for DEL; or NULL */
        struct json_object *valid;  /* attachments, for GC; or NULL */
        int lock;                   /* inherited by the plugins; 0: none */
        uint64_t timeout_ms;        /* of each */
};

/* result: 0, -EAGAIN when the plugin asks to try again later, or negative errno; message "" or "plugin X: why";
 * network: of an ADD, its last result, borrowed. */
typedef void (*cni_done_fn)(void *userdata, int result, struct json_object *network, const char *message);

/* done may come before it returns; the call is freed after done. NULL then; else it can be dropped. */
struct cni_call *cni_call(const struct cni_request *q, cni_done_fn done, void *userdata);
/* Lets the plugin go on by itself; done does not come. */
void cni_call_drop(struct cni_call *c);
