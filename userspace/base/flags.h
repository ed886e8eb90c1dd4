/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines by tables: parsing, defaults and --help follow from one description of each flag. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum flag_kind {
        FLAG_HEADING, /* help is the heading */
        FLAG_TEXT,    /* const char *; borrowed from the command line */
        FLAG_BOOL,
        FLAG_U32,
        FLAG_MS, /* int64_t, of a duration */
        FLAG_DOUBLE,
};

struct flag {
        const char *name; /* without -- */
        enum flag_kind kind;
        size_t offset;     /* in the config */
        const char *value; /* the default, as it would be written on the command line; NULL: none */
        const char *help;  /* "=NAME: what it is" or "what it is" */
        uint64_t min, max; /* of numbers; both 0: any */
};

struct flag_table {
        const struct flag *flags;
        size_t n;
        void *config; /* that they are written into */
};

struct flag_program {
        const char *name;         /* "fairlead-scheduler" */
        const char *introduction; /* the help's first lines */
        const char *closing;      /* its last ones; or NULL */
        const struct flag_table *tables;
        size_t ntables;
};

enum { FLAGS_EXIT = 1 };

/* Defaults first, then --name=value or --name value; a bool may stand alone. 0, FLAGS_EXIT after --help or --version
 * was printed, or -EINVAL with what would be right. */
int flag_program_parse(const struct flag_program *program, int argc, char **argv, struct err *reterr);
