/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/httptransfer.h"
#include "base/mem.h"

#define DEFAULT_LIMIT ((size_t)64 << 20)
#define ERROR_LIMIT   ((size_t)1 << 20) /* of the body of a refused stream */

/* A watch is silent for minutes, and a server without power says no farewell, nor is one heard by who has lost the
 * address that the connection is from: after half a minute the connection counts as broken. */
#define KEEP_IDLE_S     15
#define KEEP_INTERVAL_S 5
#define KEEP_PROBES     3
#define KEEP_UNACKED_MS ((KEEP_IDLE_S + KEEP_INTERVAL_S * KEEP_PROBES) * 1000)

void http_response_deinit(struct http_client_response *r)
{
        strbuf_deinit(&r->headers);
        strbuf_deinit(&r->body);
        *r = HTTP_CLIENT_RESPONSE_NULL;
}

const char *http_response_header(const struct http_client_response *r, const char *name)
{
        size_t n = strlen(name);

        for (const char *p = r->headers.data; p && p < r->headers.data + r->headers.len; p += strlen(p) + 1)
                if (strncasecmp(p, name, n) == 0 && p[n] == ':')
                        return p + n + 1 + strspn(p + n + 1, " \t");
        return NULL;
}

void http_escape(struct strbuf *b, const char *s)
{
        for (; *s; s++) {
                unsigned char c = (unsigned char)*s;

                if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c))
                        strbuf_add_char(b, (char)c);
                else
                        strbuf_printf(b, "%%%02X", c);
        }
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
        struct http_transfer *t = arg;
        size_t len = n;

        while (len && strchr("\r\n", line[len - 1]))
                len--;
        if (len > 5 && strncmp(line, "HTTP/", 5) == 0) { /* also after a 100 Continue */
                long status = 0;

                t->resp.headers.len = 0;
                for (const char *p = memchr(line, ' ', len); p && p + 1 < line + len && p[1] >= '0' && p[1] <= '9'; p++)
                        status = status * 10 + (p[1] - '0');
                t->resp.status = (int)status;
        } else if (len) {
                strbuf_add(&t->resp.headers, line, len);
                strbuf_add_char(&t->resp.headers, '\0');
        }
        return n;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
        struct http_transfer *t = arg;
        bool ok = t->resp.status >= 200 && t->resp.status < 300;
        bool streamed = t->handler && t->handler->data;
        size_t room = (streamed ? ERROR_LIMIT : t->limit) - t->resp.body.len;

        if (streamed && ok) {
                t->verdict = t->handler->data(t->userdata, &t->resp, data, n);
                return t->verdict < 0 ? 0 : n;
        }
        strbuf_add(&t->resp.body, data, MIN(n, room));
        if (n > room)
                t->verdict = -EFBIG;
        return n > room ? 0 : n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
        struct http_transfer *t = arg;

        if (!t->cancel || !atomic_load(t->cancel))
                return 0;
        t->verdict = -ECANCELED;
        return 1;
}

static void set_method(struct http_transfer *t, const struct http_client_request *req)
{
        const char *method = req->method ? req->method : "GET";
        bool body =
                req->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;

        if (strcmp(method, "HEAD") == 0) {
                curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        } else if (body) {
                curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
                curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, req->body ? req->body : "");
                curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
        } else if (strcmp(method, "GET") != 0) {
                curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
        }
}

static void set_headers(struct http_transfer *t, const struct http_client_request *req)
{
        t->headers = curl_slist_append(NULL, "Expect:"); /* no 100-continue round trip */
        for (size_t i = 0; req->headers && req->headers[i]; i++)
                t->headers = curl_slist_append(t->headers, req->headers[i]);
        curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_tls(struct http_transfer *t)
{
        const struct http_client *c = t->client;

        if (c->ca.path) {
                curl_easy_setopt(t->easy, CURLOPT_CAINFO, c->ca.path);
                curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL); /* only that one */
        }
        if (c->cert.path)
                curl_easy_setopt(t->easy, CURLOPT_SSLCERT, c->cert.path);
        if (c->key.path)
                curl_easy_setopt(t->easy, CURLOPT_SSLKEY, c->key.path);
        if (c->insecure) {
                curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
                curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
        }
}

/* What this libcurl has no options for. */
static int on_socket(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
        const int probes = KEEP_PROBES;
        const unsigned int unacked_ms = KEEP_UNACKED_MS;

        /* They fail for Unix sockets, which need neither. */
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
        return CURL_SOCKOPT_OK;
}

static void set_connection(struct http_transfer *t, const struct http_client_request *req)
{
        const struct http_client *c = t->client;

        curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
        curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION,
                         c->http2 ? (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPIDLE, (long)KEEP_IDLE_S);
        curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPINTVL, (long)KEEP_INTERVAL_S);
        curl_easy_setopt(t->easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
        curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
        if (req->timeout_ms)
                curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
        if (c->unix_socket)
                curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
        if (c->connect_to_list)
                curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, c->connect_to_list);
        if (c->user_agent)
                curl_easy_setopt(t->easy, CURLOPT_USERAGENT, c->user_agent);
        if (req->compressed)
                curl_easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
        set_tls(t);
}

int http_transfer_prepare(struct http_transfer *t, const struct http_client_request *req)
{
        _cleanup_free_ char *url = mem_printf("%s%s", t->client->base_url, req->path);

        if (curl_easy_setopt(t->easy, CURLOPT_URL, url))
                return -EINVAL;
        curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
        t->limit = req->limit ? req->limit : DEFAULT_LIMIT;
        t->cancel = req->cancel;
        set_connection(t, req);
        if (req->connect_only)
                curl_easy_setopt(t->easy, CURLOPT_CONNECT_ONLY, 1L);
        set_method(t, req);
        set_headers(t, req);
        curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->curl_error);
        curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
        if (t->cancel) {
                curl_easy_setopt(t->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
                curl_easy_setopt(t->easy, CURLOPT_XFERINFODATA, t);
                curl_easy_setopt(t->easy, CURLOPT_NOPROGRESS, 0L);
        }
        return 0;
}

static int errno_of(CURLcode code)
{
        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
                return -ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
                return -EPROTO;
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
                return -ECONNRESET;
        default:
                return -EIO;
        }
}

void http_transfer_finish(struct http_transfer *t, CURLcode result)
{
        struct http_client_response *r = &t->resp;
        long os_error = 0;
        const char *text = t->curl_error[0] ? t->curl_error : curl_easy_strerror(result);

        if (t->verdict < 0) {
                r->error = t->verdict;
                text = r->error == -EFBIG ? "the answer is too large" : strerror(-r->error);
        } else {
                r->error = errno_of(result);
        }
        if (curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK)
                r->os_error = (int)os_error;
        if (r->error)
                snprintf(r->message, sizeof(r->message), "%s", text);
}

void http_transfer_deinit(struct http_transfer *t)
{
        curl_slist_free_all(t->headers);
        t->headers = NULL;
        http_response_deinit(&t->resp);
}
