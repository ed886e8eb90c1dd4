/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line says. Strings belong to argv, but for the keys of the lists. */
#pragma once

#include "base/log.h"
#include "hollow/pod.h"

#define CONFIG_LIST_MAX 64
#define CONFIG_EXIT     1 /* help or the version was printed: the program is done */

struct config_pair {
        char *key; /* owned */
        const char *value;
};

struct config_list {
        struct config_pair items[CONFIG_LIST_MAX];
        size_t n;
};

struct hollow_config {
        const char *kubeconfig, *prefix, *control;
        uint32_t nodes, first, zones, parallel;
        struct config_list labels, capacity, images; /* images: name and size in bytes */
        struct config_list taints;                   /* "key=value" and effect */
        struct pod_defaults pods;
        int64_t lease_period_ms, status_period_ms;
        bool use_stdin, untaint;
        enum log_level log_level;
};

/* 0, CONFIG_EXIT, or -EINVAL with what would be right; to be hollow_config_deinit'ed in all cases. */
int hollow_config_parse(int argc, char **argv, struct hollow_config *ret, struct err *reterr);
void hollow_config_deinit(struct hollow_config *c);
