/* SPDX-License-Identifier: Apache-2.0 */
/* Another IPAM plugin, found in CNI_PATH and called with our own environment and standard input. */
#pragma once

#include "cni/record.h"

/* What it needs of the call to this plugin. */
struct delegate {
        const char *type, *path; /* ipam.type; CNI_PATH */
        const char *input;       /* our standard input, as it came */
        size_t input_len;
};

#define DELEGATE_TIMEOUT_MS 60000

/* Addresses go to a, dns (when it says any) to *ret_dns, owned by the caller. 0; the plugin's own code and message; or
 * CNI_IPAM. Nothing stays leased when it fails in a way that we can tell. */
int delegate_add(const struct delegate *d, struct attachment *a, struct json_object **ret_dns, struct err *reterr);
/* DEL, CHECK, GC, STATUS. GC and STATUS of a plugin that does not know the verb succeed. */
int delegate_call(const struct delegate *d, enum cni_verb verb, struct err *reterr);
/* DEL of another attachment than the one we are called for. */
int delegate_del_of(const struct delegate *d, const struct attachment *a, struct err *reterr);
