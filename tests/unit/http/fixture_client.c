/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "unit/http/fixture_pki.h"

#define TIMEOUT_S 10

static void ok(const char *what, ssize_t r)
{
        if (r < 0)
                fail_msg("%s: %s", what, gnutls_strerror((int)r));
}

static int dial(uint16_t port)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000001)};
        struct timeval tv = {.tv_sec = TIMEOUT_S};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        assert_true(fd >= 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
        return fd;
}

void client_open(struct fixture *f, struct client *c, enum identity id)
{
        int r;

        *c = (struct client){.fd = dial(f->port)};
        ok("credentials", gnutls_certificate_allocate_credentials(&c->cred));
        if (id != ID_NONE)
                ok("client certificate", gnutls_certificate_set_x509_key(c->cred, &f->pki->client[id], 1, f->pki->key));
        ok("session", gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT | GNUTLS_NO_SIGNAL));
        ok("priority", gnutls_set_default_priority(c->session));
        ok("credentials", gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->cred));
        gnutls_transport_set_int(c->session, c->fd);
        gnutls_handshake_set_timeout(c->session, 0);
        do
                r = gnutls_handshake(c->session);
        while (r < 0 && !gnutls_error_is_fatal(r) && r != GNUTLS_E_AGAIN);
        ok("handshake", r);
}

bool client_accepted(struct fixture *f)
{
        int fd = dial(f->port);
        ssize_t r;
        char b;

        /* The server of an accepted connection waits for us to begin. */
        r = recv(fd, &b, 1, MSG_DONTWAIT);
        if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                usleep(200000);
                r = recv(fd, &b, 1, MSG_DONTWAIT);
        }
        close(fd);
        return r < 0 && errno == EAGAIN;
}

void client_close(struct client *c)
{
        gnutls_deinit(c->session);
        gnutls_certificate_free_credentials(c->cred);
        closep(&c->fd);
        strbuf_deinit(&c->in);
        *c = (struct client){.fd = -1};
}

void client_send(struct client *c, const char *data, size_t n)
{
        while (n) {
                ssize_t r = gnutls_record_send(c->session, data, n);

                ok("send", r);
                data += r;
                n -= (size_t)r;
        }
}

void client_say(struct client *c, const char *text)
{
        client_send(c, text, strlen(text));
}

/* More bytes, or 0 at the end. */
static size_t fill(struct client *c)
{
        ssize_t r = gnutls_record_recv(c->session, strbuf_reserve(&c->in, 16384), 16384);

        if (r == GNUTLS_E_PREMATURE_TERMINATION)
                return 0;
        ok("receive", r);
        c->in.len += (size_t)r;
        c->in.data[c->in.len] = '\0';
        return (size_t)r;
}

static void drop(struct client *c, size_t n)
{
        c->in.len -= n;
        memmove(c->in.data, c->in.data + n, c->in.len + 1);
}

static void take(struct client *c, size_t n, struct strbuf *ret)
{
        while (c->in.len < n)
                if (!fill(c))
                        fail_msg("the server closed %zu bytes early", n - c->in.len);
        strbuf_add(ret, c->in.data, n);
        drop(c, n);
}

void client_reply_head(struct client *c, struct reply *ret)
{
        char *end;

        *ret = (struct reply){0};
        while (!c->in.len || !(end = strstr(c->in.data, "\r\n\r\n")))
                if (!fill(c))
                        fail_msg("the server closed without an answer");
        ret->head = strndup(c->in.data, (size_t)(end + 2 - c->in.data));
        drop(c, (size_t)(end + 4 - c->in.data));
        assert_int_equal(sscanf(ret->head, "HTTP/1.1 %d ", &ret->status), 1);
        ret->chunked = strstr(ret->head, "Transfer-Encoding: chunked\r\n");
        strbuf_add_str(&ret->body, "");
}

bool client_chunk(struct client *c, struct strbuf *ret)
{
        _cleanup_strbuf_ struct strbuf end = STRBUF_NULL;
        size_t n;
        char *eol;

        while (!c->in.len || !(eol = strstr(c->in.data, "\r\n")))
                if (!fill(c))
                        fail_msg("the server closed within a chunked body");
        n = strtoul(c->in.data, NULL, 16);
        drop(c, (size_t)(eol + 2 - c->in.data));
        take(c, n, ret);
        take(c, 2, &end);
        assert_string_equal(end.data, "\r\n");
        return n;
}

void client_reply(struct client *c, struct reply *ret, bool to_head)
{
        const char *length;

        client_reply_head(c, ret);
        if (to_head || ret->status == 100)
                return;
        if (ret->chunked) {
                while (client_chunk(c, &ret->body))
                        ;
                return;
        }
        length = strstr(ret->head, "Content-Length: ");
        assert_non_null(length);
        take(c, strtoul(length + 16, NULL, 10), &ret->body);
}

void reply_deinit(struct reply *r)
{
        free(r->head);
        strbuf_deinit(&r->body);
}

void client_expect(struct client *c, const char *text, int status, const char *body)
{
        struct reply r;

        client_say(c, text);
        client_reply(c, &r, false);
        if (r.status != status)
                print_error("%s-> %s%s\n", text, r.head, r.body.data);
        assert_int_equal(r.status, status);
        if (body)
                assert_string_equal(r.body.data, body);
        reply_deinit(&r);
}

void client_expect_closed(struct client *c)
{
        assert_int_equal(c->in.len, 0);
        if (fill(c))
                fail_msg("more came: %s", c->in.data);
}
