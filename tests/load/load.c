/* SPDX-License-Identifier: Apache-2.0 */
#include "load/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define RAW_SIZE     65536
#define CLEAR_SIZE   16384
#define OPEN_AT_ONCE 64
#define STALL_MS     10000
#define PRIORITY                                                                                                       \
        "NONE:+VERS-TLS1.3:+AEAD:+AES-128-GCM:+ECDHE-ECDSA:+GROUP-X25519:+GROUP-SECP256R1"                             \
        ":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-RSA-PSS-RSAE-SHA256:+CTYPE-X509"

enum phase {
        PHASE_HANDSHAKE,
        PHASE_IDLE,
        PHASE_HEAD,
        PHASE_BODY,
        PHASE_STREAM,
};

struct link {
        struct load *load;
        gnutls_session_t session;
        int fd;
        unsigned stream; /* number of the stream + 1 */
        enum phase phase;
        bool chunked, wants_out;
        int status;
        uint64_t left, sent_ns;
        struct strbuf head; /* or a chunk's size line */
        struct strbuf out;  /* a request that the socket did not take at once */
        size_t out_off;
};

struct load {
        struct sockaddr_in addr;
        gnutls_certificate_credentials_t cred;
        gnutls_priority_t priority;
        int epoll_fd;
        struct link **links;
        unsigned nlinks, ready, nstreams, nidle;
        struct link **idle;

        char *stream_path;
        load_data_fn on_data;
        void *userdata;

        struct load_result result;
        struct load_samples samples;

        struct link *reading;
        size_t raw_off, raw_len;
        bool raw_more;
        char raw[RAW_SIZE], clear[CLEAR_SIZE];
        struct strbuf request;
};

void load_samples_add(struct load_samples *s, double us)
{
        if (s->n == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 4096;
                s->us = mem_realloc(s->us, s->cap, sizeof(*s->us));
        }
        s->us[s->n++] = (float)us;
}

static int compare(const void *a, const void *b)
{
        float x = *(const float *)a, y = *(const float *)b;

        return x < y ? -1 : x > y;
}

double load_samples_quantile(struct load_samples *s, double share)
{
        size_t i = (size_t)(share * (double)s->n);

        if (!s->n)
                return 0;
        qsort(s->us, s->n, sizeof(*s->us), compare);
        return s->us[MIN(i, s->n - 1)];
}

void load_samples_deinit(struct load_samples *s)
{
        free(s->us);
        *s = (struct load_samples){0};
}

/* One read of the socket serves many records. */
static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t n)
{
        struct link *k = ptr;
        struct load *l = k->load;

        if (l->reading != k || (l->raw_off == l->raw_len && !l->raw_more)) {
                errno = EAGAIN;
                return -1;
        }
        if (l->raw_off == l->raw_len) {
                ssize_t r = recv(k->fd, l->raw, RAW_SIZE, MSG_DONTWAIT);

                if (r <= 0)
                        return r;
                l->raw_off = 0;
                l->raw_len = (size_t)r;
                l->raw_more = r == RAW_SIZE;
        }
        n = MIN(n, l->raw_len - l->raw_off);
        memcpy(buf, l->raw + l->raw_off, n);
        l->raw_off += n;
        return (ssize_t)n;
}

static void begin_reading(struct link *k)
{
        k->load->reading = k;
        k->load->raw_off = k->load->raw_len = 0;
        k->load->raw_more = true;
}

static void arm(struct link *k, bool out)
{
        struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0U), .data.ptr = k};

        if (k->wants_out != out)
                epoll_ctl(k->load->epoll_fd, EPOLL_CTL_MOD, k->fd, &ev);
        k->wants_out = out;
}

static int link_new(struct load *l, unsigned stream, struct err *reterr)
{
        struct link *k = mem_new(struct link);
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = k};
        int one = 1;

        l->links = mem_realloc(l->links, l->nlinks + 1, sizeof(struct link *));
        l->links[l->nlinks++] = k;
        *k = (struct link){.load = l, .stream = stream, .wants_out = true};
        k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (k->fd < 0)
                return err_set(reterr, -errno, "socket: %m");
        setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (connect(k->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) < 0 && errno != EINPROGRESS)
                return err_set(reterr, -errno, "connect: %m");
        gnutls_init(&k->session,
                    GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS | GNUTLS_FORCE_CLIENT_CERT);
        gnutls_priority_set(k->session, l->priority);
        gnutls_credentials_set(k->session, GNUTLS_CRD_CERTIFICATE, l->cred);
        gnutls_handshake_set_timeout(k->session, 0);
        gnutls_transport_set_int(k->session, k->fd);
        gnutls_transport_set_ptr2(k->session, k, (gnutls_transport_ptr_t)(intptr_t)k->fd);
        gnutls_transport_set_pull_function(k->session, pull);
        if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, k->fd, &ev) < 0)
                return err_set(reterr, -errno, "epoll: %m");
        return 0;
}

static bool again(ssize_t r)
{
        return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
}

/* Goes on sending k->out. */
static int flush(struct link *k, struct err *reterr)
{
        while (k->out_off < k->out.len) {
                ssize_t r = gnutls_record_send(k->session, k->out.data + k->out_off, k->out.len - k->out_off);

                if (again(r)) {
                        arm(k, true);
                        return 0;
                }
                if (r < 0)
                        return err_set(reterr, -EIO, "send: %s", gnutls_strerror((int)r));
                k->out_off += (size_t)r;
        }
        arm(k, false);
        return 0;
}

static int send_request(struct link *k, const struct strbuf *b, struct err *reterr)
{
        k->out.len = k->out_off = 0;
        strbuf_add(&k->out, b->data, b->len);
        k->head.len = 0;
        k->phase = PHASE_HEAD;
        k->sent_ns = clock_mono_ns();
        return flush(k, reterr);
}

static int shake_hands(struct link *k, struct err *reterr)
{
        struct load *l = k->load;
        int r = gnutls_handshake(k->session);

        if (again(r)) {
                arm(k, gnutls_record_get_direction(k->session));
                return 0;
        }
        if (r < 0)
                return gnutls_error_is_fatal(r) ? err_set(reterr, -EPROTO, "handshake: %s", gnutls_strerror(r)) : 0;
        arm(k, false);
        k->phase = PHASE_IDLE;
        if (!k->stream) {
                l->ready++;
                l->idle[l->nidle++] = k;
                return 0;
        }
        l->request.len = 0;
        strbuf_printf(&l->request, "GET %s HTTP/1.1\r\nHost: load\r\nAccept: application/json\r\n\r\n", l->stream_path);
        return send_request(k, &l->request, reterr);
}

static void answered(struct link *k)
{
        struct load *l = k->load;

        load_samples_add(&l->samples, (double)(clock_mono_ns() - k->sent_ns) / 1e3);
        l->result.requests++;
        if (k->status / 100 != 2) {
                l->result.errors++;
                if (!l->result.first_error)
                        l->result.first_error = k->status;
        }
        k->phase = PHASE_IDLE;
        l->idle[l->nidle++] = k;
}

/* A line that ends a head or a chunk's size: bytes used, 0 when the end is not there yet. */
static size_t until(struct strbuf *b, const char *p, size_t n, const char *end)
{
        size_t had = b->len, k = strlen(end);
        const char *hit;

        strbuf_add(b, p, n);
        hit = memmem(b->data, b->len, end, k);
        if (!hit)
                return 0;
        b->len = (size_t)(hit - b->data) + k;
        b->data[b->len] = '\0';
        return b->len - had;
}

static int read_head(struct link *k, struct err *reterr)
{
        const char *length = strcasestr(k->head.data, "\r\ncontent-length: ");

        k->chunked = strcasestr(k->head.data, "\r\ntransfer-encoding: chunked") != NULL;
        if (sscanf(k->head.data, "HTTP/1.%*d %d ", &k->status) != 1 || (!k->chunked && !length))
                return err_set(reterr, -EPROTO, "not an answer: %.200s", k->head.data);
        k->left = length ? strtoull(length + 18, NULL, 10) : 0;
        k->head.len = 0;
        k->phase = PHASE_BODY;
        if (!k->stream)
                return 0;
        if (k->status != 200 || !k->chunked)
                return err_set(reterr, -EPROTO, "a stream was answered with status %d", k->status);
        k->phase = PHASE_STREAM;
        k->load->ready++;
        return 0;
}

static void take_data(struct link *k, const char *p, size_t n)
{
        struct load *l = k->load;

        k->left -= n;
        if (k->stream)
                l->on_data(l->userdata, k->stream - 1, p, n);
        else
                l->result.bytes += n;
}

/* left counts a chunk's bytes with its line end. */
static int take_chunked(struct link *k, const char **p, size_t *n, struct err *reterr)
{
        while (*n) {
                size_t used;

                if (!k->left) {
                        used = until(&k->head, *p, *n, "\r\n");
                        *p += used ? used : *n;
                        *n -= used ? used : *n;
                        if (!used)
                                return 0;
                        k->left = strtoull(k->head.data, NULL, 16);
                        k->status |= k->left ? 0 : 0x10000; /* the last */
                        k->left += 2;
                        k->head.len = 0;
                        continue;
                }
                used = MIN(*n, k->left);
                if (k->left > 2) {
                        used = MIN(used, k->left - 2);
                        take_data(k, *p, used);
                } else {
                        k->left -= used;
                }
                *p += used;
                *n -= used;
                if (!k->left && k->status & 0x10000) {
                        k->status &= 0xffff;
                        if (k->stream)
                                return err_set(reterr, -ECONNRESET, "the server ended a stream");
                        answered(k);
                        return 0;
                }
        }
        return 0;
}

static int take(struct link *k, const char *p, size_t n, struct err *reterr)
{
        int r = 0;

        while (n && !r) {
                size_t used = n;

                if (k->phase == PHASE_HEAD) {
                        used = until(&k->head, p, n, "\r\n\r\n");
                        if (!used)
                                return 0;
                        r = read_head(k, reterr);
                } else if (k->phase == PHASE_IDLE) {
                        return err_set(reterr, -EPROTO, "bytes that nobody asked for");
                } else if (k->chunked) {
                        r = take_chunked(k, &p, &n, reterr);
                        continue;
                } else {
                        used = MIN(n, k->left);
                        take_data(k, p, used);
                }
                p += used;
                n -= used;
                if (!r && k->phase == PHASE_BODY && !k->chunked && !k->left)
                        answered(k);
        }
        return r;
}

static int receive(struct link *k, struct err *reterr)
{
        struct load *l = k->load;

        for (;;) {
                ssize_t r = gnutls_record_recv(k->session, l->clear, CLEAR_SIZE);

                if (again(r))
                        return 0;
                if (r <= 0)
                        return err_set(reterr, -ECONNRESET, "the server closed a connection: %s",
                                       r ? gnutls_strerror((int)r) : "end");
                if (take(k, l->clear, (size_t)r, reterr) < 0)
                        return reterr ? reterr->code : -EIO;
        }
}

static int handle(struct link *k, uint32_t events, struct err *reterr)
{
        int r = 0;

        begin_reading(k);
        if (k->phase == PHASE_HANDSHAKE) {
                r = shake_hands(k, reterr);
                if (r < 0 || k->phase == PHASE_HANDSHAKE)
                        return r;
        } else if (events & EPOLLOUT) {
                r = flush(k, reterr);
        }
        return r < 0 ? r : receive(k, reterr);
}

/* Returns the number of connections that had something to say, or negative errno. */
static int turn(struct load *l, int timeout_ms, struct err *reterr)
{
        struct epoll_event events[256];
        int i, r, n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);

        for (i = 0; i < n; i++) {
                r = handle(events[i].data.ptr, events[i].events, reterr);
                if (r < 0)
                        return r;
        }
        return n;
}

int load_new(const struct load_target *target, struct load **ret, struct err *reterr)
{
        struct load *l = mem_new(struct load);
        int r = 0;

        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        l->addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(target->port)};
        gnutls_certificate_allocate_credentials(&l->cred);
        if (gnutls_priority_init(&l->priority, PRIORITY, NULL) < 0)
                r = err_set(reterr, -EINVAL, "TLS priorities");
        else if (inet_pton(AF_INET, target->address, &l->addr.sin_addr) != 1)
                r = err_set(reterr, -EINVAL, "%s is not an IPv4 address", target->address);
        else if (target->cert_file)
                r = gnutls_certificate_set_x509_key_file(l->cred, target->cert_file, target->key_file,
                                                         GNUTLS_X509_FMT_PEM);
        if (r < 0) {
                load_free(l);
                return r == -EINVAL ? r : err_set(reterr, -EINVAL, "%s: %s", target->cert_file, gnutls_strerror(r));
        }
        *ret = l;
        return 0;
}

void load_free(struct load *l)
{
        unsigned i;

        if (!l)
                return;
        for (i = 0; i < l->nlinks; i++) {
                struct link *k = l->links[i];

                if (k->session)
                        gnutls_deinit(k->session);
                closep(&k->fd);
                strbuf_deinit(&k->head);
                strbuf_deinit(&k->out);
                free(k);
        }
        gnutls_certificate_free_credentials(l->cred);
        if (l->priority)
                gnutls_priority_deinit(l->priority);
        closep(&l->epoll_fd);
        load_samples_deinit(&l->samples);
        strbuf_deinit(&l->request);
        free(l->links);
        free(l->idle);
        free(l->stream_path);
        free(l);
}

static int open_links(struct load *l, unsigned n, bool streams, struct err *reterr)
{
        unsigned begun = 0, first = l->ready;
        int r;

        l->idle = mem_realloc(l->idle, l->nlinks + n, sizeof(struct link *));
        while (l->ready - first < n) {
                for (; begun < n && begun - (l->ready - first) < OPEN_AT_ONCE; begun++) {
                        r = link_new(l, streams ? ++l->nstreams : 0, reterr);
                        if (r < 0)
                                return r;
                }
                r = turn(l, STALL_MS, reterr);
                if (r <= 0)
                        return r < 0 ? r : err_set(reterr, -ETIMEDOUT, "no connection got on for %d ms", STALL_MS);
        }
        return 0;
}

int load_open(struct load *l, unsigned n, struct err *reterr)
{
        return open_links(l, n, false, reterr);
}

int load_open_streams(struct load *l, unsigned n, const char *path, load_data_fn on_data, void *userdata,
                      struct err *reterr)
{
        free(l->stream_path);
        l->stream_path = mem_strdup(path);
        l->on_data = on_data;
        l->userdata = userdata;
        return open_links(l, n, true, reterr);
}

static void summarize(struct load *l, uint64_t start_ns, struct load_result *ret)
{
        l->result.seconds = (double)(clock_mono_ns() - start_ns) / 1e9;
        l->result.p50_us = load_samples_quantile(&l->samples, 0.5);
        l->result.p90_us = load_samples_quantile(&l->samples, 0.9);
        l->result.p99_us = load_samples_quantile(&l->samples, 0.99);
        l->result.max_us = load_samples_quantile(&l->samples, 1);
        *ret = l->result;
}

int load_run(struct load *l, const struct load_requests *plan, struct load_result *ret, struct err *reterr)
{
        uint64_t start = clock_mono_ns(), now = start, progress = start, seq = 0, next = start;
        unsigned links = l->nidle;
        bool over = false;

        l->result = (struct load_result){0};
        l->samples.n = 0;
        while (!over || l->nidle < links) {
                int r, wait_ms = 1000;

                over |= (plan->count && seq == plan->count) || (plan->duration_ns && now - start >= plan->duration_ns);
                while (!over && l->nidle && now >= next && (!plan->count || seq < plan->count)) {
                        l->request.len = 0;
                        plan->make(plan->userdata, seq++, &l->request);
                        r = send_request(l->idle[--l->nidle], &l->request, reterr);
                        if (r < 0)
                                return r;
                        next += plan->every_ns;
                }
                if (plan->every_ns && !over)
                        wait_ms = next > now ? (int)((next - now) / NS_PER_MS) : 0;
                r = turn(l, over && l->nidle == links ? 0 : wait_ms, reterr);
                if (r < 0)
                        return r;
                now = clock_mono_ns();
                progress = r ? now : progress;
                if (now - progress > STALL_MS * NS_PER_MS && l->nidle < links)
                        return err_set(reterr, -ETIMEDOUT, "no answer for %d ms", STALL_MS);
        }
        summarize(l, start, ret);
        return 0;
}

int load_listen(struct load *l, uint64_t duration_ns, struct err *reterr)
{
        uint64_t until_ns = clock_mono_ns() + duration_ns, now;

        while ((now = clock_mono_ns()) < until_ns) {
                int r = turn(l, (int)MIN((until_ns - now) / NS_PER_MS + 1, 1000), reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}
