/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "apiserver/proxy/backend.h"
#include "base/str.h"

/* "connection refused": as Go words it, which is what users know. */
static int fail(int error, const char *doing, struct err *reterr)
{
        char text[128];

        str_copy(text, sizeof(text), strerror(error));
        text[0] = (char)tolower(text[0]);
        return err_set(reterr, -error, "%s: %s", doing, text);
}

int backend_address(const char *ip, uint16_t port, union backend_address *ret)
{
        *ret = (union backend_address){.v6 = {0}};
        if (inet_pton(AF_INET, ip, &ret->v4.sin_addr) == 1) {
                ret->v4.sin_family = AF_INET;
                ret->v4.sin_port = htons(port);
                return 0;
        }
        if (inet_pton(AF_INET6, ip, &ret->v6.sin6_addr) != 1)
                return -EINVAL;
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        return 0;
}

/* A peer that vanished without a word is found after two minutes. */
static void set_options(int fd)
{
        static const struct {
                int level, name, value;
        } options[] = {
                {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 60},
                {IPPROTO_TCP, TCP_KEEPINTVL, 15}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
        };

        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

int backend_open(struct backend *b, const union backend_address *to, struct err *reterr)
{
        socklen_t len = to->any.sa_family == AF_INET ? sizeof(to->v4) : sizeof(to->v6);

        *b = BACKEND_NULL;
        b->fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (b->fd < 0)
                return fail(errno, "socket", reterr);
        set_options(b->fd);
        if (connect(b->fd, &to->any, len) < 0 && errno != EINPROGRESS)
                return fail(errno, "connect", reterr);
        return 0;
}

int backend_connected(const struct backend *b, struct err *reterr)
{
        int error = 0;
        socklen_t len = sizeof(error);

        getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        return error ? fail(error, "connect", reterr) : 0;
}

/* A client's certificate of that name is none of a server: whoever has one must not play the kubelet. */
static void expect_server(struct backend *b, const char *name)
{
        b->expected[0] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name};
        b->expected[1] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                                 .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER};
        gnutls_session_set_verify_cert2(b->tls, b->expected, ARRAY_SIZE(b->expected), 0);
}

int backend_secure(struct backend *b, gnutls_certificate_credentials_t cred, const char *server_name)
{
        static const gnutls_datum_t alpn = {(unsigned char *)"http/1.1", 8};

        if (gnutls_init(&b->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
                return -ENOMEM;
        if (gnutls_set_default_priority(b->tls) < 0 ||
            gnutls_credentials_set(b->tls, GNUTLS_CRD_CERTIFICATE, cred) < 0 ||
            gnutls_alpn_set_protocols(b->tls, &alpn, 1, 0) < 0)
                return -ENOMEM;
        if (server_name) {
                gnutls_server_name_set(b->tls, GNUTLS_NAME_DNS, server_name, strlen(server_name));
                expect_server(b, server_name);
        }
        gnutls_handshake_set_timeout(b->tls, 0);
        gnutls_transport_set_int(b->tls, b->fd);
        return 0;
}

static int refuse_certificate(const struct backend *b, struct err *reterr)
{
        gnutls_datum_t text = {0};
        unsigned status = gnutls_session_get_verify_cert_status(b->tls);

        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
                return err_set(reterr, -EPROTO, "tls: failed to verify certificate");
        err_set(reterr, -EPROTO, "tls: failed to verify certificate: %s", text.data);
        gnutls_free(text.data);
        return -EPROTO;
}

int backend_handshake(struct backend *b, struct err *reterr)
{
        int r;

        do
                r = gnutls_handshake(b->tls);
        while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r));
        if (r == GNUTLS_E_AGAIN)
                return -EAGAIN;
        if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
                return refuse_certificate(b, reterr);
        if (r == GNUTLS_E_FATAL_ALERT_RECEIVED)
                return err_set(reterr, -EPROTO, "remote error: tls: %s",
                               gnutls_alert_get_name(gnutls_alert_get(b->tls)));
        return r < 0 ? err_set(reterr, -EPROTO, "tls: %s", gnutls_strerror(r)) : 0;
}

bool backend_wants_write(const struct backend *b)
{
        return b->tls && gnutls_record_get_direction(b->tls);
}

/* GnuTLS' results as errno's; what is not fatal (a ticket, a rekeying) is only not yet anything. */
static ssize_t tls_result(ssize_t r)
{
        if (r >= 0)
                return r;
        if (!gnutls_error_is_fatal((int)r))
                return -EAGAIN;
        return r == GNUTLS_E_PREMATURE_TERMINATION ? -ECONNRESET : -EPIPE;
}

ssize_t backend_recv(struct backend *b, char *buf, size_t n)
{
        ssize_t r;

        if (b->tls) {
                do
                        r = gnutls_record_recv(b->tls, buf, n);
                while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)r));
                return tls_result(r);
        }
        r = recv(b->fd, buf, n, MSG_DONTWAIT);
        return r < 0 ? -errno : r;
}

ssize_t backend_send(struct backend *b, const char *data, size_t n)
{
        ssize_t r;

        if (b->tls)
                return tls_result(gnutls_record_send(b->tls, data, n));
        r = send(b->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        return r < 0 ? -errno : r;
}

int backend_bye(struct backend *b)
{
        if (b->tls)
                return (int)tls_result(gnutls_bye(b->tls, GNUTLS_SHUT_WR));
        return shutdown(b->fd, SHUT_WR) < 0 ? -errno : 0;
}

bool backend_has_input(const struct backend *b)
{
        return b->tls && gnutls_record_check_pending(b->tls) > 0;
}

void backend_close(struct backend *b)
{
        if (b->tls)
                gnutls_deinit(b->tls);
        b->tls = NULL;
        closep(&b->fd);
}
