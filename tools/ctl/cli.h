/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: each command is described once, by a struct, and its parsing, --help and the shells' completion
 * follow from that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/table.h"

/* What a value is, so that the shell can complete it. */
enum cli_kind {
        CLI_ANY,
        CLI_SERVICE, /* namespace/name of a Service */
        CLI_POD,     /* namespace/name of a pod of this node */
        CLI_FOLDER,
};

struct cli_flag {
        const char *name;    /* "--proto" */
        const char *value;   /* "NAME": what help calls its value; NULL: it is a switch */
        const char *text;    /* what it does */
        const char *choices; /* "tcp udp": the values that there are; NULL: any */
        enum cli_kind kind;  /* of its value */
};

struct view;

struct cli_command {
        const char *name;             /* "flow list": one or two words */
        const char *summary;          /* a line */
        const char *arguments;        /* "SRC DST:PORT": words, in brackets when they may be left out, with ... when
                                       * there may be many; NULL: none */
        const char *choices;          /* what the arguments may be; NULL: anything */
        enum cli_kind kind;           /* of the arguments */
        const struct cli_flag *flags; /* of its own; an empty one ends them. NULL: none */
        const struct column *columns; /* of its table, explained by --help; NULL: none */
        size_t width;
        const char *about;          /* more for --help: lines. NULL: nothing */
        const char *examples;       /* for --help: lines */
        bool prints, has_maps;      /* takes -o and --color; reads the pinned maps, which are opened for it */
        bool maps_optional;         /* it also runs without maps: view_need_maps */
        bool hidden;                /* not in lists */
        int blind;                  /* exit status when the pinned maps cannot be opened; 0: 1 */
        int (*run)(struct view *v); /* the exit status */
};

/* All of them; NULL ends them. */
extern const struct cli_command *const cli_commands[];

struct cli_given {
        const struct cli_flag *flag;
        const char *value;
};

/* What was typed. Strings are borrowed from argv. */
struct cli {
        const struct cli_command *command;
        struct cli_given *given;
        size_t given_count;
        const char **arguments;
        size_t argument_count;
        bool help;
};

#define CLI_NULL ((struct cli){0})

/* Finds the command that argv[0], argv[1].. name; *ret_words: how many words its name has. NULL: there is none. */
const struct cli_command *cli_find(int argc, char *const argv[], int *ret_words);
/* Parses what follows the name. 0, or 2 after a complaint to stderr. cli_deinit in any case. */
int cli_parse(struct cli *ret, const struct cli_command *command, int argc, char *const argv[]);
/* What can be understood of a line that is not finished. */
void cli_parse_quietly(struct cli *ret, const struct cli_command *command, int argc, char *const argv[]);
void cli_deinit(struct cli *c);

/* The value that was given last, or NULL. The command must have that flag. */
const char *cli_value(const struct cli *c, const char *flag);
bool cli_is_set(const struct cli *c, const char *flag);
/* The n-th value of a flag that may be given several times; NULL: there were less. */
const char *cli_nth(const struct cli *c, const char *flag, size_t n);

/* The flag of that name, of the command or of all commands that are like it; NULL. */
const struct cli_flag *cli_flag(const struct cli_command *command, const char *name, size_t length);
/* Calls fn for each flag that the command has. */
void cli_each_flag(const struct cli_command *command, void (*fn)(void *userdata, const struct cli_flag *flag),
                   void *userdata);
/* How many arguments it takes. */
void cli_argument_range(const struct cli_command *command, size_t *ret_least, size_t *ret_most);
/* Is the word one of the choices (words between spaces)? */
bool cli_is_choice(const char *choices, const char *word);

/* Help for one command; for those whose names begin with that word; for all. */
void cli_help(const struct cli_command *command, FILE *to);
bool cli_help_group(const char *group, const char *heading, FILE *to);
void cli_help_all(FILE *to);
/* "fairctl: there is no command `flwo`; did you mean `flow`?" */
void cli_complain_command(int argc, char *const argv[]);
