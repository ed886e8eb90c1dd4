/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted HTTP server on 127.0.0.1 (or a unix socket): each connection has a thread, each request calls the script,
 * which writes bytes as it likes: whole answers, chunks cut anywhere, half an answer and then a cut. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_request {
        char method[16];
        char target[2048]; /* path and query */
        char headers[4096];
        char *body;
        size_t body_len;
        int connection; /* counts connections from 1 */
        int number;     /* counts requests from 1 */
};

struct fake_conn {
        int fd;
        struct fake_server *server;
};

/* Returns false to close the connection. */
typedef bool (*fake_script)(void *userdata, struct fake_conn *c, const struct fake_request *r);

struct fake_server *fake_server_start(fake_script script, void *userdata);
struct fake_server *fake_server_start_unix(const char *path, fake_script script, void *userdata);
/* "http://127.0.0.1:PORT" */
const char *fake_server_url(const struct fake_server *s);
int fake_server_requests(const struct fake_server *s);
/* Closes all connections and waits for their threads. */
void fake_server_stop(struct fake_server *s);

void fake_send(struct fake_conn *c, const void *data, size_t n);
/* A whole answer; extra is further header lines ("A: b\r\n") or "". */
void fake_answer(struct fake_conn *c, int status, const char *extra, const char *body);
/* A chunked answer: its head, chunks, its end. */
void fake_stream(struct fake_conn *c, int status);
void fake_chunk(struct fake_conn *c, const void *data, size_t n);
void fake_chunk_str(struct fake_conn *c, const char *s);
void fake_stream_end(struct fake_conn *c);
/* Waits until the server is stopped or the client goes away, at most that long. */
void fake_linger(struct fake_conn *c, int ms);
