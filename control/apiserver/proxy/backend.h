/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to somebody else, TCP or TLS, that never waits. Counts of bytes are as recv's: 0 is the end, -EAGAIN not
 * now; other errors come with a text. */
#pragma once

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "base/err.h"

union backend_address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

struct backend {
        int fd;
        gnutls_session_t tls;              /* NULL: plain */
        gnutls_typed_vdata_st expected[2]; /* of its certificate; GnuTLS reads it during the handshake */
};

#define BACKEND_NULL ((struct backend){.fd = -1})
#define BACKEND_READ 16384 /* the most that one backend_recv gives */

/* 0, or -EINVAL when ip is none. */
int backend_address(const char *ip, uint16_t port, union backend_address *ret);
/* Begins to connect. */
int backend_open(struct backend *b, const union backend_address *to, struct err *reterr);
/* Once it can be written: whether it is connected. */
int backend_connected(const struct backend *b, struct err *reterr);
/* Before the handshake. server_name: whose server certificate is expected, must live as long as b;
 * NULL: anybody's. */
int backend_secure(struct backend *b, gnutls_certificate_credentials_t cred, const char *server_name);
/* 0, -EAGAIN, or what is wrong. */
int backend_handshake(struct backend *b, struct err *reterr);
/* What backend_handshake waits for. */
bool backend_wants_write(const struct backend *b);
ssize_t backend_recv(struct backend *b, char *buf, size_t n);
/* After -EAGAIN the same bytes must be sent next. */
ssize_t backend_send(struct backend *b, const char *data, size_t n);
/* Tells that nothing more will be sent. 0, -EAGAIN or negative errno. */
int backend_bye(struct backend *b);
/* Bytes that were read and that polling the descriptor does not tell of. */
bool backend_has_input(const struct backend *b);
void backend_close(struct backend *b);
