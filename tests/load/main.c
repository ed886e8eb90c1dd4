/* SPDX-License-Identifier: Apache-2.0 */
/* Load from the command line; one JSON object as the result. See usage(). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/str.h"
#include "load/load.h"

#define MARK "\"load-sent\":\""

static const char usage_text[] =
        "usage: load --server IP:PORT [--cert PEM --key PEM] [options]\n"
        "\n"
        "Sends requests on many connections, receives streams meanwhile, prints one JSON object.\n"
        "\n"
        "  --connections N   for requests (default 1)\n"
        "  --count N         end after that many requests\n"
        "  --duration S      end after that many seconds\n"
        "  --rate R          requests per second (default: as fast as answers come)\n"
        "  --method M        default GET\n"
        "  --path P          {n} in it stands for the request's number\n"
        "  --first N         number of the first request (default 0)\n"
        "  --body FILE       JSON; {n} as above, {now} the time of sending in nanoseconds\n"
        "  --watchers N      streams opened before the requests\n"
        "  --watch P         their path; for each " MARK "{now}\" in what arrives the delay is measured\n"
        "  --hold S          receive for that many seconds before the requests, say {\"open\": N} when all is open\n"
        "\n"
        "Example: load --server 127.0.0.1:6443 --cert admin.crt --key admin.key --connections 32 --duration 5 \\\n"
        "              --path /api/v1/namespaces/default\n";

struct options {
        struct load_target target;
        char address[64];
        unsigned connections, watchers;
        const char *method, *path, *watch;
        uint64_t first;
        double hold_s;
        struct strbuf body;
        struct load_requests plan;
        struct load_samples delays;
};

/* Appends text with {n} and {now} filled in. */
static void expand(struct strbuf *b, const char *text, uint64_t n)
{
        const char *brace;

        while ((brace = strchr(text, '{'))) {
                strbuf_add(b, text, (size_t)(brace - text));
                if (str_has_prefix(brace, "{n}")) {
                        strbuf_add_u64(b, n);
                        text = brace + 3;
                } else if (str_has_prefix(brace, "{now}")) {
                        strbuf_add_u64(b, clock_mono_ns());
                        text = brace + 5;
                } else {
                        strbuf_add_char(b, '{');
                        text = brace + 1;
                }
        }
        strbuf_add_str(b, text);
}

static void make_request(void *userdata, uint64_t seq, struct strbuf *b)
{
        struct options *o = userdata;
        _cleanup_strbuf_ struct strbuf body = STRBUF_NULL;

        strbuf_printf(b, "%s ", o->method);
        expand(b, o->path, o->first + seq);
        strbuf_add_str(b, " HTTP/1.1\r\nHost: load\r\nUser-Agent: fairlead-load/1.0 (linux/amd64)\r\n"
                          "Accept: application/json\r\n");
        if (o->body.len) {
                expand(&body, o->body.data, o->first + seq);
                strbuf_printf(b, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
        }
        strbuf_add_str(b, "\r\n");
        strbuf_add(b, body.data ? body.data : "", body.len);
}

static void on_data(void *userdata, unsigned stream, const char *data, size_t n)
{
        struct options *o = userdata;
        uint64_t now = clock_mono_ns();
        const char *end = data + n, *hit;

        (void)stream;
        while ((hit = memmem(data, (size_t)(end - data), MARK, strlen(MARK)))) {
                uint64_t sent = 0;

                data = hit + strlen(MARK);
                for (; data < end && *data >= '0' && *data <= '9'; data++)
                        sent = sent * 10 + (uint64_t)(*data - '0');
                if (data < end && sent && sent < now)
                        load_samples_add(&o->delays, (double)(now - sent) / 1e3);
        }
}

static int read_body(struct options *o, const char *path)
{
        FILE *f = fopen(path, "r");
        size_t n;

        if (!f) {
                fprintf(stderr, "load: %s: %m\n", path);
                return -1;
        }
        while ((n = fread(strbuf_reserve(&o->body, 65536), 1, 65536, f)) > 0)
                o->body.len += n;
        fclose(f);
        strbuf_add_str(&o->body, "");
        return 0;
}

static int take_server(struct options *o, const char *s)
{
        const char *colon = strrchr(s, ':');

        if (!colon || (size_t)(colon - s) >= sizeof(o->address) || str_parse_u16(colon + 1, &o->target.port) < 0)
                return -1;
        str_copy(o->address, (size_t)(colon - s) + 1, s);
        o->target.address = o->address;
        return 0;
}

static int take_option(struct options *o, int opt, const char *arg)
{
        static const double ns_per_s = 1e9;

        switch (opt) {
        case 's':
                return take_server(o, arg);
        case 'c':
                o->target.cert_file = arg;
                return 0;
        case 'k':
                o->target.key_file = arg;
                return 0;
        case 'n':
                return str_parse_u32(arg, &o->connections);
        case 'N':
                return str_parse_u64(arg, &o->plan.count);
        case 'd':
                o->plan.duration_ns = (uint64_t)(atof(arg) * ns_per_s);
                return 0;
        case 'r':
                o->plan.every_ns = atof(arg) > 0 ? (uint64_t)(ns_per_s / atof(arg)) : 0;
                return 0;
        case 'm':
                o->method = arg;
                return 0;
        case 'p':
                o->path = arg;
                return 0;
        case 'f':
                return str_parse_u64(arg, &o->first);
        case 'b':
                return read_body(o, arg);
        case 'w':
                return str_parse_u32(arg, &o->watchers);
        case 'W':
                o->watch = arg;
                return 0;
        case 'h':
                o->hold_s = atof(arg);
                return 0;
        default:
                return -1;
        }
}

static int parse(struct options *o, int argc, char **argv)
{
        static const struct option longs[] = {
                {"server", 1, NULL, 's'},      {"cert", 1, NULL, 'c'},   {"key", 1, NULL, 'k'},
                {"connections", 1, NULL, 'n'}, {"count", 1, NULL, 'N'},  {"duration", 1, NULL, 'd'},
                {"rate", 1, NULL, 'r'},        {"method", 1, NULL, 'm'}, {"path", 1, NULL, 'p'},
                {"first", 1, NULL, 'f'},       {"body", 1, NULL, 'b'},   {"watchers", 1, NULL, 'w'},
                {"watch", 1, NULL, 'W'},       {"hold", 1, NULL, 'h'},   {NULL, 0, NULL, 0},
        };
        int opt;

        *o = (struct options){.connections = 1, .method = "GET"};
        o->plan.userdata = o;
        o->plan.make = make_request;
        while ((opt = getopt_long(argc, argv, "", longs, NULL)) >= 0)
                if (take_option(o, opt, optarg) < 0)
                        return -1;
        if (!o->target.address || optind != argc || (o->watchers && !o->watch) || (!o->path && !o->watchers) ||
            (o->path && !o->plan.count && !o->plan.duration_ns) || !o->target.cert_file != !o->target.key_file)
                return -1;
        return 0;
}

static void print_result(struct options *o, const struct load_result *r)
{
        printf("{\"requests\": %llu, \"errors\": %llu, \"first_error\": %d, \"seconds\": %.3f, \"per_s\": %.1f, "
               "\"bytes\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f",
               (unsigned long long)r->requests, (unsigned long long)r->errors, r->first_error, r->seconds,
               r->seconds > 0 ? (double)r->requests / r->seconds : 0, (unsigned long long)r->bytes, r->p50_us,
               r->p90_us, r->p99_us, r->max_us);
        if (o->watchers)
                printf(", \"deliveries\": %zu, \"watch_p50_us\": %.1f, \"watch_p90_us\": %.1f, \"watch_p99_us\": %.1f, "
                       "\"watch_max_us\": %.1f",
                       o->delays.n, load_samples_quantile(&o->delays, 0.5), load_samples_quantile(&o->delays, 0.9),
                       load_samples_quantile(&o->delays, 0.99), load_samples_quantile(&o->delays, 1));
        printf("}\n");
}

static int run(struct options *o, struct load *l, struct err *e)
{
        struct load_result result = {0};
        int r = 0;

        if (o->watchers)
                r = load_open_streams(l, o->watchers, o->watch, on_data, o, e);
        if (!r && o->path)
                r = load_open(l, o->connections, e);
        if (!r && o->hold_s > 0) {
                printf("{\"open\": %u}\n", o->watchers + (o->path ? o->connections : 0));
                fflush(stdout);
                r = load_listen(l, (uint64_t)(o->hold_s * 1e9), e);
        }
        if (!r && o->path) {
                o->delays.n = 0;
                r = load_run(l, &o->plan, &result, e);
                if (!r && o->watchers) /* what is still on its way */
                        r = load_listen(l, 500 * NS_PER_MS, e);
        }
        if (!r)
                print_result(o, &result);
        return r;
}

int main(int argc, char **argv)
{
        struct rlimit files;
        struct load *l = NULL;
        struct err e = ERR_NULL;
        struct options o;
        int r;

        if (parse(&o, argc, argv) < 0) {
                fputs(usage_text, stderr);
                return 2;
        }
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        r = load_new(&o.target, &l, &e);
        if (!r)
                r = run(&o, l, &e);
        if (r)
                fprintf(stderr, "load: %s\n", e.msg);
        load_free(l);
        strbuf_deinit(&o.body);
        load_samples_deinit(&o.delays);
        return r ? 1 : 0;
}
