/* SPDX-License-Identifier: Apache-2.0 */
/* netload's command line. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "load/net.h"

static const char usage_text[] =
        "usage: netload serve [--name NAME] [--address IP] [--tcp PORTS] [--udp PORTS]\n"
        "       netload connect [options] ADDRESS:PORT...     a connection for each request\n"
        "       netload hold [options] ADDRESS:PORT...        connections that stay, request after request\n"
        "\n"
        "Servers that say who they are, and clients that count. Ends early, with its result, on SIGTERM and SIGINT.\n"
        "\n"
        "serve: to each line (TCP) or datagram (UDP) the answer is \"NAME CLIENT LOCAL REQUEST\", CLIENT and LOCAL "
        "being\n"
        "the connection's addresses as the server sees them. A line that begins with '!' is the last: the server "
        "closes.\n"
        "Works with nc. Prints {\"ready\": true, ...} when it listens, and {\"connections\", \"requests\", "
        "\"datagrams\"}\n"
        "at the end.\n"
        "  --name NAME       default: the host's name\n"
        "  --address IP      listen there only (default: all addresses of both families)\n"
        "  --tcp PORTS       80,8000-8010\n"
        "  --udp PORTS\n"
        "\n"
        "connect, hold: several targets are used in turn; [fd00::1]:80 is IPv6. Every answer must be that of its "
        "request\n"
        "and come from where the request was sent to.\n"
        "  --udp             datagrams (connect: a new socket for each) instead of TCP\n"
        "  --unconnected     UDP by sendto and recvfrom instead of connect\n"
        "  --mapped          IPv4 targets on an IPv6 socket (::ffff:a.b.c.d)\n"
        "  --bind IP[:PORT]  of the client\n"
        "  --concurrency C   connections at a time (default 1)\n"
        "  --count N         requests in all (default: connect without --duration 1, else no end)\n"
        "  --duration S      seconds\n"
        "  --bytes N         of each request, at least 16 (default 32); the answer is a little longer\n"
        "  --text T          the request, instead of a number\n"
        "  --timeout MS      of connecting and of an answer (default 2000); what comes later counts as lost\n"
        "  --interval MS     hold: between an answer and the connection's next request (default 0)\n"
        "  --reopen          hold: open a broken connection again (else it is not used any more)\n"
        "  --slow MS         connect: count as \"slow\" what takes longer to get connected\n"
        "  --by-address      names: count by the server's address (LOCAL) instead of its name\n"
        "  --announce        hold: print {\"open\": C} once all connections have been answered\n"
        "  --close HOW       connect: who closes first: client (default), server, reset (no TIME_WAIT)\n"
        "\n"
        "One JSON object is printed: ok and failed (requests); errors by errno's name, \"timeout\", \"closed\", "
        "\"garbled\"\n"
        "(another answer than the request's) or \"source\" (from another address); names: answers by server; seconds; "
        "rate\n"
        "(ok a second); connect_us, answer_us (p50, p90, p99, max, mean). connect: from connect() until connected, "
        "and\n"
        "until answered. hold adds opened and broken (connections) and longest_gap_ms: the longest time between two\n"
        "answers of one connection, --interval included. With --count 1, \"last\" tells the server's name, the "
        "addresses\n"
        "as the server sees them (client, local), the client's own (own) and the peer by getpeername or recvfrom "
        "(peer).\n"
        "Exit code: 0 when nothing failed, 1 else, 2 wrong usage.\n"
        "\n"
        "Example: netload serve --name web-1 --tcp 8080 --udp 8080 &\n"
        "         netload connect --concurrency 32 --duration 5 127.0.0.1:8080\n";

volatile int net_stopped;

static void stop(int sig)
{
        net_stopped = sig;
}

int net_wait(int epoll, struct epoll_event *events, int n, int timeout_ms)
{
        sigset_t none;

        sigemptyset(&none);
        return epoll_pwait(epoll, events, n, timeout_ms, &none);
}

static void catch_signals(void)
{
        struct sigaction action = {.sa_handler = stop};
        sigset_t both;

        sigemptyset(&both);
        sigaddset(&both, SIGTERM);
        sigaddset(&both, SIGINT);
        sigprocmask(SIG_BLOCK, &both, NULL);
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
}

static int parse_port_range(const char *text, struct net_ports *ret)
{
        char *dash = strchr(text, '-');
        uint16_t first, last;

        if (dash)
                *dash = '\0';
        if (str_parse_u16(text, &first) < 0 || !first)
                return -1;
        last = first;
        if (dash && (str_parse_u16(dash + 1, &last) < 0 || last < first))
                return -1;
        ret->port = realloc(ret->port, (ret->n + last - first + 1) * sizeof(*ret->port));
        if (!ret->port)
                abort();
        for (unsigned p = first; p <= last; p++)
                ret->port[ret->n++] = (uint16_t)p;
        return 0;
}

static int parse_ports(char *text, struct net_ports *ret)
{
        char *rest = NULL;

        for (char *part = strtok_r(text, ",", &rest); part; part = strtok_r(NULL, ",", &rest))
                if (parse_port_range(part, ret) < 0)
                        return -1;
        return ret->n ? 0 : -1;
}

static bool name_ok(const char *name)
{
        return *name && strlen(name) < sizeof(((struct net_count *)0)->name) &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-") == strlen(name);
}

static int main_serve(int argc, char **argv)
{
        static const struct option longs[] = {
                {"name", 1, NULL, 'n'}, {"address", 1, NULL, 'a'}, {"tcp", 1, NULL, 't'},
                {"udp", 1, NULL, 'u'},  {NULL, 0, NULL, 0},
        };
        char host[65] = "";
        struct net_server_opts o = {.name = host};
        int opt, r = 0;

        gethostname(host, sizeof(host) - 1);
        while (!r && (opt = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
                if (opt == 'n')
                        o.name = optarg;
                else if (opt == 'a')
                        o.address = optarg;
                else if (opt == 't' || opt == 'u')
                        r = parse_ports(optarg, opt == 't' ? &o.tcp : &o.udp);
                else
                        r = -1;
        }
        if (!r && optind == argc && name_ok(o.name) && o.tcp.n + o.udp.n)
                r = net_serve(&o);
        else
                r = -1;
        free(o.tcp.port);
        free(o.udp.port);
        return r;
}

static int parse_ns(const char *text, uint64_t unit_ns, uint64_t *ret)
{
        char *end;
        double v = strtod(text, &end);

        if (end == text || *end || v < 0 || v > 1e6)
                return -1;
        *ret = (uint64_t)(v * (double)unit_ns);
        return 0;
}

static int parse_bind(const char *text, struct net_address *ret)
{
        char with_port[NET_TEXT];

        if (net_address_parse(text, ret) == 0)
                return 0;
        snprintf(with_port, sizeof(with_port), strchr(text, ':') ? "[%s]:0" : "%s:0", text);
        return net_address_parse(with_port, ret);
}

static int parse_close(const char *how, enum net_close *ret)
{
        static const char *const names[] = {"client", "server", "reset"};

        for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(how, names[i])) {
                        *ret = (enum net_close)i;
                        return 0;
                }
        return -1;
}

static int take_number(struct net_client_opts *o, int opt, const char *arg)
{
        switch (opt) {
        case 'c':
                return str_parse_u32(arg, &o->concurrency) < 0 || !o->concurrency || o->concurrency > 100000 ? -1 : 0;
        case 'N':
                return str_parse_u64(arg, &o->count);
        case 'd':
                return parse_ns(arg, NS_PER_S, &o->duration_ns);
        case 'B':
                return str_parse_u32(arg, &o->bytes) < 0 || o->bytes < 16 || o->bytes > 64 << 20 ? -1 : 0;
        case 'T':
                return parse_ns(arg, NS_PER_MS, &o->timeout_ns);
        case 'i':
                return parse_ns(arg, NS_PER_MS, &o->interval_ns);
        case 'S':
                return parse_ns(arg, NS_PER_MS, &o->slow_ns);
        default:
                return -1;
        }
}

static int take_option(struct net_client_opts *o, int opt, const char *arg)
{
        switch (opt) {
        case 'u':
                o->udp = true;
                return 0;
        case 'U':
                o->unconnected = true;
                return 0;
        case 'm':
                o->mapped = true;
                return 0;
        case 'r':
                o->reopen = true;
                return 0;
        case 'A':
                o->announce = true;
                return 0;
        case 'L':
                o->by_address = true;
                return 0;
        case 'b':
                return parse_bind(arg, &o->bind);
        case 't':
                o->text = arg;
                return *arg && !strchr(arg, '\n') ? 0 : -1;
        case 'C':
                return parse_close(arg, &o->close);
        default:
                return take_number(o, opt, arg);
        }
}

static int take_targets(struct net_client_opts *o, int n, char **texts)
{
        o->targets = calloc((size_t)n + 1, sizeof(*o->targets));
        if (!o->targets)
                abort();
        for (int i = 0; i < n; i++) {
                if (net_address_parse(texts[i], &o->targets[i]) < 0) {
                        fprintf(stderr, "netload: \"%s\" is no ADDRESS:PORT such as 10.0.0.1:80 or [fd00::1]:80\n",
                                texts[i]);
                        return -1;
                }
                if (o->mapped)
                        net_address_map(&o->targets[i]);
        }
        if (o->mapped && o->bind.len)
                net_address_map(&o->bind);
        o->n_targets = (size_t)n;
        return n ? 0 : -1;
}

static int main_client(bool hold, int argc, char **argv)
{
        static const struct option longs[] = {
                {"udp", 0, NULL, 'u'},
                {"unconnected", 0, NULL, 'U'},
                {"mapped", 0, NULL, 'm'},
                {"reopen", 0, NULL, 'r'},
                {"announce", 0, NULL, 'A'},
                {"bind", 1, NULL, 'b'},
                {"text", 1, NULL, 't'},
                {"close", 1, NULL, 'C'},
                {"concurrency", 1, NULL, 'c'},
                {"count", 1, NULL, 'N'},
                {"duration", 1, NULL, 'd'},
                {"bytes", 1, NULL, 'B'},
                {"timeout", 1, NULL, 'T'},
                {"interval", 1, NULL, 'i'},
                {"slow", 1, NULL, 'S'},
                {"by-address", 0, NULL, 'L'},
                {NULL, 0, NULL, 0},
        };
        struct net_client_opts o = {.concurrency = 1, .bytes = 32, .timeout_ns = 2 * NS_PER_S, .hold = hold};
        int opt, r = 0;

        while (!r && (opt = getopt_long(argc, argv, "", longs, NULL)) >= 0)
                r = take_option(&o, opt, optarg);
        if (!r)
                r = take_targets(&o, argc - optind, argv + optind);
        if (!hold && !o.count && !o.duration_ns)
                o.count = 1;
        if (o.text && strlen(o.text) > o.bytes)
                o.bytes = (uint32_t)strlen(o.text) + 1;
        if ((o.unconnected && !o.udp) || (o.udp && o.bytes > 65000) || !o.timeout_ns)
                r = -1;
        if (!r)
                r = net_client(&o);
        free(o.targets);
        return r;
}

int main(int argc, char **argv)
{
        const char *mode = argc > 1 ? argv[1] : "";
        struct rlimit files;
        int r = -1;

        if (str_eq(mode, "--help")) {
                fputs(usage_text, stdout);
                return 0;
        }
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        catch_signals();
        if (str_eq(mode, "serve"))
                r = main_serve(argc - 1, argv + 1);
        else if (str_eq(mode, "connect") || str_eq(mode, "hold"))
                r = main_client(str_eq(mode, "hold"), argc - 1, argv + 1);
        if (r >= 0)
                return r;
        fputs(usage_text, stderr);
        return 2;
}
