/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc: one call of grpc.health.v1.Health/Check, unary, over HTTP/2 without TLS. Messages are so small that they are
 * made and read by hand: the request is field 1 (the service's name), the answer is field 1 (the status, a varint).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/probes/handler_run.h"
#include "base/mem.h"
#include "base/str.h"

#define PREFIX             5 /* of a message: compressed?, length in 4 bytes, big endian */
#define FIELD_1_BYTES      0x0a
#define FIELD_1_VARINT     0x08
#define SERVING            1
#define CODE_DEADLINE      "4"
#define CODE_UNIMPLEMENTED "12"

static void add_varint(struct strbuf *b, size_t v)
{
        for (; v >= 0x80; v >>= 7)
                strbuf_add_char(b, (char)(v | 0x80));
        strbuf_add_char(b, (char)v);
}

static void request_text(struct strbuf *b, const char *service)
{
        _cleanup_strbuf_ struct strbuf message = STRBUF_NULL;

        if (*service) {
                strbuf_add_char(&message, FIELD_1_BYTES);
                add_varint(&message, strlen(service));
                strbuf_add_str(&message, service);
        }
        strbuf_add_char(b, 0);
        for (int shift = 24; shift >= 0; shift -= 8)
                strbuf_add_char(b, (char)(message.len >> shift));
        strbuf_add(b, message.data ?: "", message.len);
}

/* Field 1 of the first message; 0 (UNKNOWN) when it is not there. -1: this is no such message. */
static int status_of(const struct strbuf *body)
{
        const unsigned char *p = (const unsigned char *)body->data;
        size_t n;

        if (body->len < PREFIX || p[0])
                return -1;
        n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (n != body->len - PREFIX)
                return -1;
        return n >= 2 && p[PREFIX] == FIELD_1_VARINT && p[PREFIX + 1] < 0x80 ? p[PREFIX + 1] : 0;
}

static void judge(struct handler_run *run, const struct strbuf *body)
{
        static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
        int status = status_of(body);

        if (status == SERVING)
                handler_end(run, HANDLER_SUCCESS, "service healthy");
        else if (status < 0)
                handler_end(run, HANDLER_FAILURE,
                            "error: health rpc probe failed: the answer is no HealthCheckResponse");
        else if ((size_t)status < ARRAY_SIZE(names))
                handler_end(run, HANDLER_FAILURE, "service unhealthy (responded with \"%s\")", names[status]);
        else
                handler_end(run, HANDLER_FAILURE, "service unhealthy (responded with \"%d\")", status);
}

static const char *code_name(const char *code)
{
        static const char *const names[] = {
                "OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
                "NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
                "Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
                "DataLoss", "Unauthenticated",
        };
        uint32_t n;

        return str_parse_u32(code, &n) == 0 && n < ARRAY_SIZE(names) ? names[n] : code;
}

static void refused(struct handler_run *run, const char *code, const char *message)
{
        char buf[32];

        if (str_eq(code, CODE_UNIMPLEMENTED))
                handler_end(
                        run, HANDLER_FAILURE,
                        "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s",
                        message);
        else if (str_eq(code, CODE_DEADLINE))
                handler_end(run, HANDLER_FAILURE, "timeout: health rpc did not complete within %s",
                            handler_duration(run->timeout_ms, buf, sizeof(buf)));
        else
                handler_end(run, HANDLER_FAILURE, "error: health rpc probe failed: rpc error: code = %s desc = %s",
                            code_name(code), message);
}

static void unreached(struct handler_run *run, const struct http_client_response *r)
{
        char buf[32], why[512];

        handler_duration(run->timeout_ms, buf, sizeof(buf));
        handler_dial_error(run, r, why, sizeof(why));
        if (r->error == -ETIMEDOUT)
                handler_end(run, HANDLER_FAILURE, "timeout: health rpc did not complete within %s", buf);
        else if (r->error == -ECONNREFUSED)
                handler_end(run, HANDLER_FAILURE, "error: failed to connect service at \"%s\": %s", run->address, why);
        else
                handler_end(run, HANDLER_FAILURE, "error: health rpc probe failed: %s", r->message);
}

static void grpc_done(void *userdata, struct http_client_response *r)
{
        struct handler_run *run = userdata;
        const char *code = http_response_header(r, "grpc-status");

        if (r->error)
                unreached(run, r);
        else if (r->status != 200)
                handler_end(run, HANDLER_FAILURE, "error: health rpc probe failed: HTTP status %d", r->status);
        else if (!code)
                handler_end(run, HANDLER_FAILURE, "error: health rpc probe failed: the answer has no grpc-status");
        else if (!str_eq(code, "0"))
                refused(run, code, http_response_header(r, "grpc-message") ?: "");
        else
                judge(run, &r->body);
}

int handler_grpc(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                 struct err *reterr)
{
        static const char *const headers[] = {"Content-Type: application/grpc", "TE: trailers", NULL};
        static const struct http_handler handler = {.done = grpc_done};
        _cleanup_strbuf_ struct strbuf body = STRBUF_NULL;
        int r = handler_address(run, t->pod_ip, json_get(action, "port"), t->container, reterr);
        struct http_client_opts opts = {.loop = run->loop,
                                        .user_agent = "kube-probe/1.36",
                                        .http2 = true,
                                        .connect_timeout_ms = (uint32_t)MIN(run->timeout_ms, UINT32_MAX)};
        struct http_client_request req = {.method = "POST",
                                          .path = "/grpc.health.v1.Health/Check",
                                          .headers = headers,
                                          .timeout_ms = (uint32_t)MIN(run->timeout_ms, UINT32_MAX),
                                          .limit = HANDLER_OUTPUT_MAX};

        if (r)
                return r;
        request_text(&body, json_get_str(action, "service") ?: "");
        req.body = body.data;
        req.body_len = body.len;
        run->url = mem_printf("http://%s", run->address);
        opts.base_url = run->url;
        r = http_client_new(&opts, &run->client, reterr);
        if (r)
                return r;
        r = http_start(run->client, &req, &handler, run, NULL);
        return r ? err_set(reterr, r, "%s is no address", run->address) : 0;
}
