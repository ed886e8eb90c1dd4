/* SPDX-License-Identifier: Apache-2.0 */
/* TLS by GnuTLS, without buffers of its own where the loop's can serve: the pull function reads a socket once into the
 * loop's buffer and feeds records from there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/internal.h"
#include "base/mem.h"

/* AES-128-GCM first: the fastest with the CPU's help, and every client has it. 1.2 is for older clients. */
#define PRIORITY                                                                                                       \
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"          \
        ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"                  \
        ":%SERVER_PRECEDENCE"

int tls_priority_new(gnutls_priority_t *ret, struct err *reterr)
{
        int r = gnutls_priority_init(ret, PRIORITY, NULL);

        return r < 0 ? err_set(reterr, -EINVAL, "TLS priorities: %s", gnutls_strerror(r)) : 0;
}

static struct tls_creds *creds_new(void)
{
        struct tls_creds *creds = calloc(1, sizeof(*creds));

        if (!creds)
                return NULL;
        atomic_init(&creds->refs, 1);
        if (gnutls_certificate_allocate_credentials(&creds->cred) < 0) {
                free(creds);
                return NULL;
        }
        return creds;
}

void tls_creds_unref(struct tls_creds *creds)
{
        if (!creds || atomic_fetch_sub(&creds->refs, 1) != 1)
                return;
        gnutls_certificate_free_credentials(creds->cred);
        free(creds);
}

DEFINE_CLEANUP(struct tls_creds *, tls_creds_unref)

int tls_creds_load(const struct http_server *s, struct tls_creds **ret, struct err *reterr)
{
        _cleanup_(tls_creds_unrefp) struct tls_creds *creds = creds_new();
        int r;

        if (!creds)
                return err_set(reterr, -ENOMEM, "out of memory");
        r = gnutls_certificate_set_x509_key_file(creds->cred, s->cert_file, s->key_file, GNUTLS_X509_FMT_PEM);
        if (r < 0)
                return err_set(reterr, -EINVAL, "server certificate %s with key %s: %s", s->cert_file, s->key_file,
                               gnutls_strerror(r));
        if (s->client_ca_file) {
                r = gnutls_certificate_set_x509_trust_file(creds->cred, s->client_ca_file, GNUTLS_X509_FMT_PEM);
                if (r <= 0)
                        return err_set(reterr, -EINVAL, "client CA %s: %s", s->client_ca_file,
                                       r < 0 ? gnutls_strerror(r) : "there is no certificate in it");
                creds->ask_client = true;
        }
        *ret = TAKE_PTR(creds);
        return 0;
}

static ssize_t tls_pull(gnutls_transport_ptr_t ptr, void *buf, size_t n)
{
        struct conn *c = ptr;
        struct http_loop *l = c->loop;

        if (l->raw_off == l->raw_len) {
                ssize_t r;

                if (!c->readable) {
                        errno = EAGAIN;
                        return -1;
                }
                r = recv(c->fd, l->raw, RAW_SIZE, MSG_DONTWAIT);
                /* A short read emptied the socket; epoll (level-triggered) tells when there is more, or the end. */
                c->readable = r == RAW_SIZE || r == 0;
                if (r <= 0)
                        return r;
                l->raw_off = 0;
                l->raw_len = (size_t)r;
        }
        n = MIN(n, l->raw_len - l->raw_off);
        memcpy(buf, l->raw + l->raw_off, n);
        l->raw_off += n;
        return (ssize_t)n;
}

static ssize_t tls_push(gnutls_transport_ptr_t ptr, const giovec_t *iov, int n)
{
        struct conn *c = ptr;
        struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
        ssize_t r = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (r > 0)
                c->progress = true;
        return r;
}

static struct tls_creds *current_creds(struct http_server *s)
{
        struct tls_creds *creds;

        pthread_mutex_lock(&s->tls_lock);
        creds = s->creds;
        atomic_fetch_add(&creds->refs, 1);
        pthread_mutex_unlock(&s->tls_lock);
        return creds;
}

int tls_start(struct conn *c)
{
        static const gnutls_datum_t alpn = {(unsigned char *)"http/1.1", 8};
        struct http_server *s = c->loop->server;

        if (gnutls_init(&c->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
                                             GNUTLS_NO_AUTO_SEND_TICKET) < 0)
                return -ENOMEM;
        c->creds = current_creds(s);
        if (gnutls_priority_set(c->session, s->priority) < 0 ||
            gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->creds->cred) < 0 ||
            gnutls_alpn_set_protocols(c->session, &alpn, 1, 0) < 0)
                return -ENOMEM;
        if (c->creds->ask_client)
                gnutls_certificate_server_set_request(c->session, GNUTLS_CERT_REQUEST);
        gnutls_handshake_set_timeout(c->session, 0);
        gnutls_transport_set_ptr(c->session, c);
        gnutls_transport_set_pull_function(c->session, tls_pull);
        gnutls_transport_set_vec_push_function(c->session, tls_push);
        return 0;
}

/* Puts back what an earlier turn read and could not use. */
static void unstash(struct conn *c)
{
        struct http_loop *l = c->loop;

        if (l->raw_owner == c)
                return;
        l->raw_owner = c;
        l->raw_off = l->raw_len = 0;
        if (!c->raw)
                return;
        memcpy(l->raw, c->raw, c->raw_len);
        l->raw_len = c->raw_len;
        free(TAKE_PTR(c->raw));
}

void tls_stash(struct conn *c)
{
        struct http_loop *l = c->loop;

        if (l->raw_owner != c)
                return;
        l->raw_owner = NULL;
        c->raw_len = l->raw_len - l->raw_off;
        if (!c->raw_len)
                return;
        c->raw = mem_alloc(c->raw_len);
        memcpy(c->raw, l->raw + l->raw_off, c->raw_len);
        l->raw_off = l->raw_len = 0;
}

static bool again(ssize_t r)
{
        return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
}

enum io tls_handshake(struct conn *c)
{
        int tries, r = 0;

        unstash(c);
        for (tries = 0; tries < 8; tries++) {
                r = gnutls_handshake(c->session);
                if (r == 0) {
                        c->handshake_out = false;
                        return IO_OK;
                }
                if (again(r)) {
                        c->handshake_out = gnutls_record_get_direction(c->session);
                        return IO_WAIT;
                }
                if (gnutls_error_is_fatal(r))
                        break;
        }
        gnutls_alert_send_appropriate(c->session, r);
        return IO_DEAD;
}

enum io tls_recv(struct conn *c, char *buf, size_t n, size_t *ret_n)
{
        ssize_t r;

        unstash(c);
        r = gnutls_record_recv(c->session, buf, n);
        if (r > 0) {
                *ret_n = (size_t)r;
                return IO_OK;
        }
        if (again(r))
                return IO_WAIT;
        return r == 0 || r == GNUTLS_E_PREMATURE_TERMINATION ? IO_EOF : IO_DEAD;
}

static void keep(struct conn *c, const char *buf, size_t n)
{
        c->out = mem_alloc(n);
        memcpy(c->out, buf, n);
        c->out_len = n;
        c->out_off = 0;
}

enum io tls_send(struct conn *c, const char *buf, size_t n)
{
        while (n) {
                ssize_t r = gnutls_record_send(c->session, buf, n);

                if (again(r)) {
                        /* One record of it is kept inside; how long that is depends on what the client asked for, and
                         * tls_flush learns it. */
                        c->flushing = true;
                        keep(c, buf, n);
                        return IO_WAIT;
                }
                if (r < 0)
                        return IO_DEAD;
                buf += r;
                n -= (size_t)r;
        }
        return IO_OK;
}

enum io tls_flush(struct conn *c)
{
        while (c->out_len) {
                ssize_t r = c->flushing ? gnutls_record_send(c->session, NULL, 0)
                                        : gnutls_record_send(c->session, c->out + c->out_off, c->out_len);

                if (again(r)) {
                        c->flushing = true;
                        return IO_WAIT;
                }
                if (r < 0 || (size_t)r > c->out_len)
                        return IO_DEAD;
                c->flushing = false;
                c->out_off += (size_t)r;
                c->out_len -= (size_t)r;
        }
        free(TAKE_PTR(c->out));
        return IO_OK;
}

enum io tls_bye(struct conn *c)
{
        int r;

        if (c->bye)
                return IO_OK;
        r = gnutls_bye(c->session, GNUTLS_SHUT_WR);
        if (again(r))
                return IO_WAIT;
        c->bye = true;
        return r < 0 ? IO_DEAD : IO_OK;
}

void tls_discard(struct conn *c)
{
        if (c->loop->raw_owner == c)
                c->loop->raw_off = c->loop->raw_len = 0;
        free(TAKE_PTR(c->raw));
}

void tls_end(struct conn *c)
{
        if (c->loop->raw_owner == c)
                c->loop->raw_owner = NULL;
        if (c->session)
                gnutls_deinit(c->session);
        tls_creds_unref(c->creds);
        free(c->raw);
        free(c->out);
}
