/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/resource.h>

#include "apiserver/metrics.h"
#include "apiserver/server.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"

/* Seconds; kube-apiserver's buckets, thinned out. */
static const double buckets[] = {0.0005, 0.001, 0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10, 30, 60};
#define SERIES_MAX 4000 /* what clients make up must not grow without end */

struct series {
        char *labels;
        uint64_t count, bytes;
        uint64_t duration_ns;
        uint64_t bucket[ARRAY_SIZE(buckets)];
};

struct metrics {
        pthread_mutex_t lock;
        struct hashmap series; /* by labels */
};

struct metrics *metrics_new(void)
{
        struct metrics *m = mem_new(struct metrics);

        pthread_mutex_init(&m->lock, NULL);
        hashmap_init(&m->series, HASHMAP_STR);
        return m;
}

void metrics_free(struct metrics *m)
{
        if (!m)
                return;
        hashmap_foreach (&m->series, slot) {
                struct series *s = slot->value;

                free(s->labels);
                free(s);
        }
        hashmap_deinit(&m->series);
        pthread_mutex_destroy(&m->lock);
        free(m);
}

static const char *verb_label(const struct api_request *r)
{
        static const char *const names[][2] = {
                {"get", "GET"},    {"list", "LIST"},   {"watch", "WATCH"},   {"create", "POST"},
                {"update", "PUT"}, {"patch", "PATCH"}, {"delete", "DELETE"}, {"deletecollection", "DELETECOLLECTION"},
        };

        if (str_eq(r->verb, "list") && strstr(r->http->query, "watch=") && !strstr(r->http->query, "watch=false"))
                return "WATCH";
        if (r->sub && r->sub->verbs & VERB_CONNECT)
                return "CONNECT";
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(r->verb, names[i][0]))
                        return names[i][1];
        return "other";
}

static void labels_of(const struct http_request *http, int status, char *buf, size_t size)
{
        struct arena a = ARENA_NULL;
        struct api_request r = {.arena = &a, .http = http};
        const char *scope;

        api_route(&r);
        scope = r.name ? "resource" : r.namespace ? "namespace" : "cluster";
        if (r.resource)
                snprintf(buf, size,
                         "verb=\"%s\",group=\"%s\",version=\"%s\",resource=\"%s\",subresource=\"%s\",scope=\"%s\",code="
                         "\"%d\"",
                         verb_label(&r), r.group, r.version, r.resource->plural, r.sub ? r.sub->name : "", scope,
                         status);
        else
                snprintf(buf, size,
                         "verb=\"%s\",group=\"\",version=\"\",resource=\"\",subresource=\"\",scope=\"\",code=\"%d\"",
                         verb_label(&r), status);
        arena_deinit(&a);
}

static struct series *series_get(struct metrics *m, const char *labels)
{
        struct series *s = hashmap_get(&m->series, labels);

        if (s || m->series.count >= SERIES_MAX)
                return s;
        s = mem_new(struct series);
        s->labels = mem_strdup(labels);
        hashmap_put(&m->series, s->labels, s);
        return s;
}

void metrics_request(struct metrics *m, const struct http_request *req, int status, uint64_t bytes,
                     uint64_t duration_ns)
{
        double seconds = (double)duration_ns / 1e9;
        char labels[400];
        struct series *s;

        labels_of(req, status, labels, sizeof(labels));
        pthread_mutex_lock(&m->lock);
        s = series_get(m, labels);
        if (s) {
                s->count++;
                s->bytes += bytes;
                s->duration_ns += duration_ns;
                for (size_t i = 0; i < ARRAY_SIZE(buckets); i++)
                        s->bucket[i] += seconds <= buckets[i];
        }
        pthread_mutex_unlock(&m->lock);
}

/* ---- output ---- */

static void head(struct strbuf *b, const char *name, const char *type, const char *help)
{
        strbuf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct strbuf *b, const char *name, const char *help, double value)
{
        head(b, name, "gauge", help);
        strbuf_printf(b, "%s %.15g\n", name, value);
}

static void counter(struct strbuf *b, const char *name, const char *help, double value)
{
        head(b, name, "counter", help);
        strbuf_printf(b, "%s %.15g\n", name, value);
}

static void write_histogram(struct strbuf *b, const struct series *s)
{
        const char *code = strstr(s->labels, ",code=");
        int n = code ? (int)(code - s->labels) : (int)strlen(s->labels);
        const char *name = "apiserver_request_duration_seconds";

        for (size_t i = 0; i < ARRAY_SIZE(buckets); i++)
                strbuf_printf(b, "%s_bucket{%.*s%s,le=\"%g\"} %" PRIu64 "\n", name, n, s->labels, code ? code : "",
                              buckets[i], s->bucket[i]);
        strbuf_printf(b, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, s->labels, s->count);
        strbuf_printf(b, "%s_sum{%s} %.9f\n", name, s->labels, (double)s->duration_ns / 1e9);
        strbuf_printf(b, "%s_count{%s} %" PRIu64 "\n", name, s->labels, s->count);
}

static void write_requests(struct metrics *m, struct strbuf *b)
{
        pthread_mutex_lock(&m->lock);
        head(b, "apiserver_request_total", "counter", "Requests by verb, resource and HTTP code.");
        hashmap_foreach (&m->series, slot) {
                const struct series *s = slot->value;

                strbuf_printf(b, "apiserver_request_total{%s} %" PRIu64 "\n", s->labels, s->count);
        }
        head(b, "apiserver_request_duration_seconds", "histogram",
             "Time from the first byte of a request to the last of its answer.");
        hashmap_foreach (&m->series, slot) {
                write_histogram(b, slot->value);
        }
        head(b, "apiserver_response_sizes_total", "counter", "Bytes of answers.");
        hashmap_foreach (&m->series, slot) {
                const struct series *s = slot->value;

                strbuf_printf(b, "apiserver_response_sizes_total{%s} %" PRIu64 "\n", s->labels, s->bytes);
        }
        pthread_mutex_unlock(&m->lock);
}

static void count_watcher(void *arg, struct cache_watcher *w _unused_)
{
        (*(uint64_t *)arg)++;
}

static void write_objects(struct server *s, struct strbuf *b)
{
        head(b, "apiserver_storage_objects", "gauge", "Stored objects by resource.");
        for (size_t i = 0; i < cache_count(s->caches); i++) {
                struct cache *c = cache_at(s->caches, i);
                const struct schema_resource *r = cache_resource(c);

                strbuf_printf(b, "apiserver_storage_objects{resource=\"%s%s%s\"} %zu\n", r->plural,
                              *r->group ? "." : "", r->group, cache_objects(c));
        }
        head(b, "apiserver_longrunning_requests", "gauge", "Open watches by resource.");
        for (size_t i = 0; i < cache_count(s->caches); i++) {
                const struct schema_resource *r = cache_resource(cache_at(s->caches, i));
                uint64_t n = 0;

                cache_each_watcher(cache_at(s->caches, i), count_watcher, &n);
                if (n)
                        strbuf_printf(b,
                                      "apiserver_longrunning_requests{verb=\"WATCH\",group=\"%s\",version=\"%s\","
                                      "resource=\"%s\"} %" PRIu64 "\n",
                                      r->group, r->version, r->plural, n);
        }
}

static void write_store(struct server *s, struct strbuf *b)
{
        struct store_stats st;

        store_stats(s->store, &st);
        gauge(b, "apiserver_storage_size_bytes", "Size of the store's files.", (double)st.size_bytes);
        counter(b, "fairlead_store_revision", "The latest revision.", (double)st.revision);
        counter(b, "fairlead_store_compacted_revision", "History before it is gone.", (double)st.compacted_revision);
        counter(b, "fairlead_store_commits_total", "Durable commits; each carries one or more transactions.",
                (double)st.commits);
        counter(b, "fairlead_store_transactions_total", "Committed transactions.", (double)st.txns);
        counter(b, "fairlead_store_commit_seconds_total", "Time spent committing.", (double)st.commit_ns_total / 1e9);
        gauge(b, "fairlead_store_full", "1 while writes are refused for want of space.", st.full);
}

static void write_http(struct server *s, struct strbuf *b)
{
        struct http_stats st;

        http_server_stats(s->http, &st);
        gauge(b, "apiserver_current_inflight_requests", "Requests in workers and in their queue.",
              (double)(st.workers_busy + st.queue_len));
        gauge(b, "fairlead_http_connections", "Open connections.", (double)st.connections);
        counter(b, "fairlead_http_connections_total", "Accepted connections.", (double)st.accepted_total);
        counter(b, "apiserver_tls_handshake_errors_total", "TLS handshakes that failed.",
                (double)st.tls_failures_total);
        counter(b, "fairlead_http_bad_requests_total", "Requests that were no HTTP or beyond a limit.",
                (double)st.bad_requests_total);
}

static double count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        double n = 0;

        while (d && readdir(d))
                n++;
        if (d)
                closedir(d);
        return MAX(n - 3, 0.0); /* ".", ".." and the folder's own */
}

static void write_process(struct strbuf *b)
{
        struct rusage ru = {0};
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");

        if (f && fscanf(f, "%*s %ld", &pages) != 1)
                pages = 0;
        if (f)
                fclose(f);
        getrusage(RUSAGE_SELF, &ru);
        gauge(b, "process_resident_memory_bytes", "Resident memory.", (double)pages * (double)sysconf(_SC_PAGESIZE));
        counter(b, "process_cpu_seconds_total", "User and system CPU time.",
                (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                        (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
        gauge(b, "process_open_fds", "Open file descriptors.", count_fds());
}

int metrics_answer(struct api_request *req)
{
        struct strbuf b = STRBUF_NULL;

        write_requests(req->server->metrics, &b);
        write_objects(req->server, &b);
        write_store(req->server, &b);
        write_http(req->server, &b);
        write_process(&b);
        return api_answer_buffer(req, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
