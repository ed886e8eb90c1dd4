/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of fairlead-apiserver. */
#pragma once

#include "apiserver/server.h"

#define SERVER_NAMES_MAX 16
#define TOKEN_KEYS_MAX   4
#define AUDIENCES_MAX    8

struct flags {
        struct server_config server;
        const char *server_names[SERVER_NAMES_MAX + 1]; /* further names for the certificate */
        size_t nserver_names;
        const char *token_keys[TOKEN_KEYS_MAX + 1];
        const char *audiences[AUDIENCES_MAX + 1];
        char *own_files[4]; /* of server's configuration, those of our own pki */
};

/* Fills f, defaults included. Ends the process with a message for --help, --version and whatever is wrong (status 2).
 */
void flags_parse(struct flags *f, int argc, char **argv);
/* Prints "fairlead-apiserver: message" on stderr and ends the process. */
_noreturn_ void die(int code, const char *fmt, ...) _printf_(2, 3);
