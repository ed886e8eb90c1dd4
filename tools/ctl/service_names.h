/* SPDX-License-Identifier: Apache-2.0 */
/* Names of service ports ("default/web:http/TCP") and what people call them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi/maps.h"
#include "ctl/view.h"

/*
 * Is the service port meant by what somebody typed: "default/web" (all ports), "default/web:http", "web" (in any
 * namespace), "default/" (all of a namespace)?
 */
bool service_name_matches(const char *name, const char *typed);
/* "default/web" of "default/web:http/TCP". */
void service_name_cut(const char *name, char ret[static SERVICE_NAME_SIZE]);

/* Ids of the service ports that were meant, as bits, and how many. */
struct service_ids {
        uint64_t bits[SERVICE_IDS / 64];
        size_t count;
};

static inline bool service_ids_has(const struct service_ids *s, uint32_t id)
{
        return id < SERVICE_IDS && s->bits[id / 64] >> id % 64 & 1;
}

/* 0 or negative errno. */
int service_ids_find(struct view *v, const char *typed, struct service_ids *ret);
/* Those that the user means. 0, or the exit status after a complaint: the names cannot be read, or none is meant. */
int service_ids_asked(struct view *v, const char *typed, struct service_ids *ret);
/* The same for what --service says; the caller frees *ret, which is NULL without that flag. */
int service_ids_flag(struct view *v, struct service_ids **ret);
/* Calls fn with each name that is in use. */
int service_names_each(struct view *v, void (*fn)(void *userdata, uint32_t id, const char *name), void *userdata);
/* "there is no Service web here; did you mean default/webb?", to stderr. Returns 1, the exit status. */
int service_unknown(struct view *v, const char *typed);
