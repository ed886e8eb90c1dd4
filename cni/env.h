/* SPDX-License-Identifier: Apache-2.0 */
/* The environment that the runtime gives the plugin: which verb, which container, and CNI_ARGS. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "bpf/abi/types.h"

enum cni_verb {
        VERB_ADD,
        VERB_DEL,
        VERB_CHECK,
        VERB_GC,
        VERB_STATUS,
        VERB_VERSION,
        VERB_COUNT,
};

#define CONTAINER_ID_MAX 200
#define IFNAME_SIZE      16
#define CNI_ARG_SIZE     256
#define NETNS_PATH_MAX   4000

/* Texts are borrowed from the environment; "" where nothing was given. */
struct cni_env {
        enum cni_verb verb;
        const char *container_id, *netns, *ifname, *path;
        bool netns_override; /* CNI_NETNS may be the plugin's own */

        /* Of CNI_ARGS. */
        char pod_namespace[CNI_ARG_SIZE], pod_name[CNI_ARG_SIZE], pod_uid[CNI_ARG_SIZE];
        char ip[CNI_ARG_SIZE], mac[CNI_ARG_SIZE];
};

/* get is getenv, or what takes its place in a test. 0 or CNI_BAD_ENVIRONMENT; the message names the variable. */
int cni_env_parse(char *(*get)(const char *name), struct cni_env *ret, struct err *reterr);
const char *cni_verb_name(enum cni_verb verb);
/* Starts with a letter or digit, goes on with those and _ . -, and has at most max bytes. */
bool cni_name_valid(const char *name, size_t max);
bool cni_ifname_valid(const char *name);
