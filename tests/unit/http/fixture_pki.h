/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests of the HTTPS server, made on the spot: one key serves for all. */
#pragma once

#include <gnutls/x509.h>

#include "unit/http/fixture.h"

struct test_pki {
        char dir[64]; /* key.pem ca.pem server.pem */
        unsigned char serial;
        gnutls_x509_privkey_t key;
        gnutls_x509_crt_t ca, foreign_ca, client[ID_COUNT];
};

void test_pki_init(struct test_pki *p);
void test_pki_deinit(struct test_pki *p);
/* Writes server.pem anew, with that name in it. */
void test_pki_server_cert(struct test_pki *p, const char *name);

/* For a group of tests: certificates of the group, and a server of its own for each test, whose state is a fixture. */
extern struct test_pki http_group_pki;
extern const struct http_config http_group_limits;
int http_group_begin(void **state);
int http_group_end(void **state);
int http_group_start(void **state);
/* With other limits. */
int http_group_start_with(void **state, const struct http_config *limits);
int http_group_stop(void **state);
