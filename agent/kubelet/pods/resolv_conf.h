/* SPDX-License-Identifier: Apache-2.0 */
/* resolv.conf(5) as text and as lists. Pure. */
#pragma once

#include "agent/kubelet/pods/textlist.h"

struct resolv_conf {
        struct textlist servers, searches, options; /* options: "ndots:5", "rotate" */
};

#define RESOLV_CONF(arena)                                                                                             \
        ((struct resolv_conf){.servers = TEXTLIST(arena), .searches = TEXTLIST(arena), .options = TEXTLIST(arena)})

/* The last search line counts; other lines are passed over. Names lose their last dot, so that each counts once. */
void resolv_conf_parse(const char *text, struct resolv_conf *ret);
/* Sets an option; one of that name is replaced. value may be NULL. */
void resolv_conf_option(struct resolv_conf *c, const char *name, const char *value);
/* In the lists' arena. */
const char *resolv_conf_text(const struct resolv_conf *c);
