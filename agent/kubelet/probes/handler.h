/* SPDX-License-Identifier: Apache-2.0 */
/* One thing that is done to a container from outside: exec, httpGet, tcpSocket, grpc, sleep. Probes and hooks are such.
 */
#pragma once

#include "agent/kubelet/runtime/runtime.h"
#include "base/json.h"
#include "base/loop.h"

struct handlers;
struct handler_run;

struct handlers_opts {
        struct loop *loop;
        const struct runtime *runtime;
};

int handlers_new(const struct handlers_opts *opts, struct handlers **ret, struct err *reterr);
/* Ends what runs; nobody is told. */
void handlers_free(struct handlers *h);
DEFINE_CLEANUP(struct handlers *, handlers_free)

/* Borrowed during handler_start. */
struct handler_target {
        const struct json_object *container; /* its ports have names */
        const char *container_id;
        const char *pod_ip; /* or the node's */
        bool hook;          /* of the container's lifecycle: any HTTP answer will do */
};

enum handler_outcome {
        HANDLER_SUCCESS,
        HANDLER_FAILURE,
        HANDLER_WARNING, /* a success that people should hear of: a redirect elsewhere */
        HANDLER_ERROR,   /* it could not be tried; message says why */
};

/* action: a Probe or LifecycleHandler object: the first of exec, httpGet, tcpSocket, grpc, sleep that it has. done is
 * called once, later; message is upstream's wording ("HTTP probe failed with statuscode: 500"); borrowed. */
struct handler_run *handler_start(struct handlers *h, const struct json_object *action,
                                  const struct handler_target *target, uint64_t timeout_ms,
                                  void (*done)(void *userdata, enum handler_outcome outcome, const char *message),
                                  void *userdata);
/* done is not called any more. */
void handler_cancel(struct handler_run *run);
