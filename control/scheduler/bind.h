/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binding: a pod that has got a node counts there at once (it is assumed), and a POST to pods/NAME/binding says so to
 * the API server. What then happens:
 *
 *  - the watch shows the pod on the node: confirmed;
 *  - the server refuses: forgotten, the pod backs off and is tried again;
 *  - nobody knows whether it was done (no answer, 5xx, or the watch does not show it): the pod is read, until that
 *    says where it is. It keeps its place meanwhile: to give that away might be to promise it twice.
 *
 * A pod is never bound twice: the server refuses to bind one that has a node, and the request names the UID.
 */
#pragma once

#include <stdint.h>

struct binding;
struct node;
struct pod;
struct scheduler;

struct bindings {
        struct binding *first; /* that await an answer or the watch */
        uint32_t n;
        uint32_t under_way; /* of these, whose outcome is not known */
};

/* start_ns: of the attempt. */
void bind_start(struct scheduler *s, struct pod *pod, const struct node *node, uint64_t start_ns);
/* The watch shows where the pod is, or that it is gone. */
void bind_settled(struct scheduler *s, struct pod *pod);
/* Looks after bindings that have waited too long. Returns when to come again; UINT64_MAX: no need. */
uint64_t bind_tick(struct scheduler *s, uint64_t now_ns);
