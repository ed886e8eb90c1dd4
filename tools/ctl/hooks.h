/* SPDX-License-Identifier: Apache-2.0 */
/* Where the dataplane's programs are attached, by device, for `fairctl status`. */
#pragma once

#include <net/if.h>

#include "base/strbuf.h"
#include "ctl/view.h"
#include "datapath/pinned.h"

struct hook_device {
        uint32_t ifindex;
        char name[IF_NAMESIZE]; /* "" when it is gone */
        enum attach_mode tc, xdp;
        bool is_pod;
        uint32_t missing; /* pinned, not attached any more */
};

struct hooks {
        struct pinned_hook *items;
        size_t count;
        struct hook_device *devices; /* sorted by interface index */
        size_t devices_n;
        uint32_t sockets, sockets_missing; /* programs of the cgroup */
};

#define HOOKS_NULL ((struct hooks){0})

/* 0 or negative errno. */
int hooks_read(const struct view *v, struct hooks *ret);
void hooks_deinit(struct hooks *h);

/* "tcx", "clsact", "native", "generic" or "". */
const char *hook_mode_name(enum attach_mode mode);
/* "eth0: tc by TCX, XDP native; fairlead_vxlan: tc by TCX; 12 pods: tc by TCX" */
void hooks_text(const struct hooks *h, struct strbuf *b);
/* [{"program":"from_pod","device":"fl0..","ifindex":7,"mode":"tcx","attached":true}] */
void hooks_json(const struct hooks *h, struct strbuf *b);
