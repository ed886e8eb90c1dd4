/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the configuration: the table of all settings. Key in the file, flag and line of --help come from one row.
 */
#pragma once

#include <stddef.h>

#include "agent/config.h"

enum setting_type {
        SETTING_TEXT,
        SETTING_NUMBER,
        SETTING_BOOL,
        SETTING_SECONDS,   /* a duration; kept in seconds */
        SETTING_MS,        /* a duration; kept in milliseconds */
        SETTING_ROUTING,   /* enum routing_mode */
        SETTING_LIST,      /* of words */
        SETTING_ADDRESSES, /* a list of IP addresses */
        SETTING_CIDRS,     /* a list of prefixes */
};

struct setting {
        const char *key; /* "nodeName"; the flag is --node-name */
        enum setting_type type;
        size_t offset;     /* in struct agent_config */
        const char *value; /* the default, as one would write it; NULL: none */
        uint32_t min, max; /* of numbers, and of durations in their unit */
        const char *help;  /* what it is for; "=X: " at its beginning names the value for --help */
};

/* Rows with an empty key are headings: help is a paragraph. */
extern const struct setting settings[];
extern const size_t settings_count;

bool setting_is_heading(const struct setting *s);
/* "nodeName" -> "node-name". Returns buf. */
const char *setting_flag(const struct setting *s, char buf[static 64]);
/* NULL when there is none of that key (in the file) or of that flag (without its dashes). */
const struct setting *setting_find(const char *key);
const struct setting *setting_find_flag(const char *flag);
/* The key or flag that was probably meant, or NULL. */
const struct setting *setting_like(const char *name);

/* Forgets what a list holds, so that another source can fill it anew. */
void setting_clear(const struct setting *s, struct agent_config *c);
/* Sets a value from its text, or adds one to a list. 0 or -EINVAL with "\"x\" is ...; use ...". */
int setting_set(const struct setting *s, struct agent_config *c, const char *text, struct err *reterr);
bool setting_is_list(const struct setting *s);

/* Takes over what a YAML file says. */
int config_read_file(const char *path, struct agent_config *c, struct err *reterr);
void config_print_help(void);
