/* SPDX-License-Identifier: Apache-2.0 */
/* What a SPDY client writes, and what it understands, for tests. */
#pragma once

#include "agent/kubelet/server/spdy.h"

struct spdy_client {
        struct strbuf out; /* towards the server */
        struct spdy_deflater *deflater;
        struct spdy_inflater *inflater;
        struct strbuf told; /* what the server's frames say: "reply 1;data 1 hello;fin 1;" */
};

void spdy_client_init(struct spdy_client *c);
void spdy_client_deinit(struct spdy_client *c);
/* headers: "streamtype=data,port=80" */
void spdy_client_open(struct spdy_client *c, uint32_t id, const char *headers, bool fin);
void spdy_client_data(struct spdy_client *c, uint32_t id, const char *data, size_t n, bool fin);
void spdy_client_control(struct spdy_client *c, unsigned type, const uint32_t *words, size_t n);
/* Whole frames. */
void spdy_client_hear(struct spdy_client *c, const char *data, size_t n);
