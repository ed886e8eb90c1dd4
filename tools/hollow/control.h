/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, a line each, by a socket and from standard input. The answer ends with a line "ok" or "error: ...". */
#pragma once

#include "hollow/kubelet.h"

struct control;

struct control_opts {
        struct loop *loop;
        const char *path; /* of the socket; NULL: none */
        bool use_stdin;
        struct nodes *nodes;
        struct kubelet *kubelet;
        struct calls *calls;
};

int control_new(const struct control_opts *opts, struct control **ret, struct err *reterr);
void control_free(struct control *c);
