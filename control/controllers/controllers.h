/* SPDX-License-Identifier: Apache-2.0 */
/* All controllers: a line here and a file is all that a new one needs. */
#pragma once

#include "controllers/engine/controller.h"

#define CONTROLLERS(X)                                                                                                 \
        X(cronjob)                                                                                                     \
        X(daemonset)                                                                                                   \
        X(deployment)                                                                                                  \
        X(endpoints)                                                                                                   \
        X(endpointslice)                                                                                               \
        X(endpointslicemirroring)                                                                                      \
        X(garbagecollector)                                                                                            \
        X(job)                                                                                                         \
        X(namespace)                                                                                                   \
        X(nodeipam)                                                                                                    \
        X(nodelifecycle)                                                                                               \
        X(podgc)                                                                                                       \
        X(replicaset)                                                                                                  \
        X(replicationcontroller)                                                                                       \
        X(rootca)                                                                                                      \
        X(serviceaccount)                                                                                              \
        X(statefulset)                                                                                                 \
        X(tainteviction)                                                                                               \
        X(ttlafterfinished)

#define X(name) extern const struct controller controller_##name;
CONTROLLERS(X)
#undef X

extern const struct controller *const controllers[];
extern const size_t ncontrollers;
