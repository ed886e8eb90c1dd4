/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs. Each returns 0 or an enum cni_code with a message; main.c prints. */
#pragma once

#include "cni/delegate.h"
#include "cni/record.h"

struct call {
        struct cni_env env;
        struct cni_conf conf;
        struct delegate delegate;   /* when conf.ipam_type */
        struct json_object *output; /* owned; NULL: nothing to print */
        struct strbuf details;      /* of an error */
};

int verb_add(struct call *c, struct err *reterr);
int verb_del(struct call *c, struct err *reterr);
int verb_check(struct call *c, struct err *reterr);
int verb_gc(struct call *c, struct err *reterr);
int verb_status(struct call *c, struct err *reterr);
