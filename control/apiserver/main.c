/* SPDX-License-Identifier: Apache-2.0 */
/* fairlead-apiserver: flags, certificates, start, signals. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/pki.h"
#include "store/sqlite/sqlite.h"

static const char help[] =
        "fairlead-apiserver " FAIRLEAD_VERSION ": the Kubernetes API, kept in one folder\n"
        "\n"
        "Usage:\n"
        "  fairlead-apiserver --data-dir DIR [flags]           serve\n"
        "  fairlead-apiserver snapshot save DIR FILE           copy the store of DIR, running or not, to FILE\n"
        "  fairlead-apiserver snapshot restore FILE DIR [--force]\n"
        "                                                      make the store of DIR (server stopped) from FILE;\n"
        "                                                      --force replaces one that is there (kept as .old)\n"
        "\n"
        "Everything lives in DIR (made when missing, mode 0700): the store (store.db) and, unless you bring your own,\n"
        "certificates and kubeconfigs (pki/). To try it:\n"
        "\n"
        "  fairlead-apiserver --data-dir /tmp/fl --bind-address 127.0.0.1 &\n"
        "  kubectl --kubeconfig /tmp/fl/pki/admin.kubeconfig get namespaces\n"
        "\n"
        "Serving:\n"
        "  --data-dir DIR             where state is kept (required)\n"
        "  --bind-address IP          address to listen on (default 0.0.0.0; also ::)\n"
        "  --secure-port PORT         HTTPS port; 0 takes a free one (default 6443)\n"
        "  --advertise-address IP     address of the `kubernetes` Service's endpoint (default: --bind-address)\n"
        "  --server-name NAME         another DNS name or IP in the server's certificate; may be repeated\n"
        "  --max-requests-inflight N  further requests get 429 (default 400; watches do not count)\n"
        "Certificates of your own (all three or none; else DIR/pki is made and renewed):\n"
        "  --tls-cert-file FILE --tls-private-key-file FILE --client-ca-file FILE\n"
        "Cluster:\n"
        "  --service-cluster-ip-range CIDR[,CIDR]   addresses of Services, one range per family (default "
        "10.96.0.0/16)\n"
        "  --service-node-port-range FIRST-LAST     (default 30000-32767)\n"
        "  --event-ttl DURATION                     how long Events are kept (default 1h)\n"
        "Store:\n"
        "  --history DURATION         how long old revisions can be listed and watched from (default 5m)\n"
        "  --store-max-size MIB       refuse writes beyond that size (default: until the disk is full)\n"
        "  --no-store-check           do not check the store's integrity at start\n"
        "Other:\n"
        "  --log-level LEVEL          debug (each request), info, warn, error (default info)\n"
        "  --help, --version\n"
        "\n"
        "Signals: TERM and INT end it, answering what is in progress; HUP reads the certificates again.\n";

struct flags {
        struct server_config server;
        const char *server_names[17];
        size_t nserver_names;
};

enum flag {
        FLAG_DATA_DIR = 256,
        FLAG_BIND,
        FLAG_PORT,
        FLAG_ADVERTISE,
        FLAG_NAME,
        FLAG_INFLIGHT,
        FLAG_CERT,
        FLAG_KEY,
        FLAG_CA,
        FLAG_SERVICE_RANGE,
        FLAG_PORT_RANGE,
        FLAG_EVENT_TTL,
        FLAG_HISTORY,
        FLAG_MAX_SIZE,
        FLAG_NO_CHECK,
        FLAG_LOG_LEVEL,
        FLAG_HELP,
        FLAG_VERSION,
};

static const struct option options[] = {
        {"data-dir", 1, NULL, FLAG_DATA_DIR},
        {"bind-address", 1, NULL, FLAG_BIND},
        {"secure-port", 1, NULL, FLAG_PORT},
        {"advertise-address", 1, NULL, FLAG_ADVERTISE},
        {"server-name", 1, NULL, FLAG_NAME},
        {"max-requests-inflight", 1, NULL, FLAG_INFLIGHT},
        {"tls-cert-file", 1, NULL, FLAG_CERT},
        {"tls-private-key-file", 1, NULL, FLAG_KEY},
        {"client-ca-file", 1, NULL, FLAG_CA},
        {"service-cluster-ip-range", 1, NULL, FLAG_SERVICE_RANGE},
        {"service-node-port-range", 1, NULL, FLAG_PORT_RANGE},
        {"event-ttl", 1, NULL, FLAG_EVENT_TTL},
        {"history", 1, NULL, FLAG_HISTORY},
        {"store-max-size", 1, NULL, FLAG_MAX_SIZE},
        {"no-store-check", 0, NULL, FLAG_NO_CHECK},
        {"log-level", 1, NULL, FLAG_LOG_LEVEL},
        {"help", 0, NULL, FLAG_HELP},
        {"version", 0, NULL, FLAG_VERSION},
        {NULL, 0, NULL, 0},
};

static _noreturn_ void die(int code, const char *fmt, ...) _printf_(2, 3);
static void die(int code, const char *fmt, ...)
{
        va_list ap;

        fputs("fairlead-apiserver: ", stderr);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(code);
}

static int64_t parse_seconds(const char *flag, const char *value)
{
        int64_t ns;

        if (str_parse_duration(value, &ns) || ns < (int64_t)NS_PER_S)
                die(2, "--%s %s: use a duration of at least a second, such as 30s, 5m or 1h", flag, value);
        return ns / (int64_t)NS_PER_S;
}

static uint64_t parse_number(const char *flag, const char *value, uint64_t max)
{
        uint64_t n;

        if (str_parse_u64(value, &n) || n > max)
                die(2, "--%s %s: use a number from 0 to %llu", flag, value, (unsigned long long)max);
        return n;
}

static void set_log_level(const char *value)
{
        enum log_level level;

        if (log_level_parse(value, &level))
                die(2, "--log-level %s: use debug, info, warn or error", value);
        log_set_level(level);
}

static void parse_flag(struct flags *f, int flag)
{
        struct server_config *c = &f->server;

        switch (flag) {
        case FLAG_DATA_DIR:
                c->data_dir = optarg;
                break;
        case FLAG_BIND:
                c->bind_address = optarg;
                break;
        case FLAG_PORT:
                c->secure_port = (uint16_t)parse_number("secure-port", optarg, 65535);
                break;
        case FLAG_ADVERTISE:
                c->advertise_address = optarg;
                break;
        case FLAG_NAME:
                if (f->nserver_names + 1 == ARRAY_SIZE(f->server_names))
                        die(2, "--server-name: at most %zu of them", ARRAY_SIZE(f->server_names) - 1);
                f->server_names[f->nserver_names++] = optarg;
                break;
        case FLAG_INFLIGHT:
                c->max_requests_inflight = (unsigned)parse_number("max-requests-inflight", optarg, 100000);
                break;
        case FLAG_CERT:
                c->cert_file = optarg;
                break;
        case FLAG_KEY:
                c->key_file = optarg;
                break;
        case FLAG_CA:
                c->client_ca_file = optarg;
                break;
        case FLAG_SERVICE_RANGE:
                c->service_cidr = optarg;
                break;
        case FLAG_PORT_RANGE:
                c->node_port_range = optarg;
                break;
        case FLAG_EVENT_TTL:
                c->event_ttl_seconds = parse_seconds("event-ttl", optarg);
                break;
        case FLAG_HISTORY:
                c->history_seconds = parse_seconds("history", optarg);
                break;
        case FLAG_MAX_SIZE:
                c->store_max_bytes = parse_number("store-max-size", optarg, 1 << 24) << 20;
                break;
        case FLAG_NO_CHECK:
                c->skip_store_check = true;
                break;
        case FLAG_LOG_LEVEL:
                set_log_level(optarg);
                break;
        case FLAG_HELP:
                fputs(help, stdout);
                exit(0);
        case FLAG_VERSION:
                puts("fairlead-apiserver " FAIRLEAD_VERSION);
                exit(0);
        default:
                die(2, "see fairlead-apiserver --help");
        }
}

static void parse_flags(struct flags *f, int argc, char **argv)
{
        struct server_config *c = &f->server;
        struct ipaddr ip;
        int flag;

        while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1)
                parse_flag(f, flag);
        if (optind < argc)
                die(2, "unexpected argument %s; see --help", argv[optind]);
        if (!c->data_dir)
                die(2, "--data-dir DIR is required: the folder where the cluster's state is kept; see --help");
        if (ipaddr_parse(c->bind_address, &ip))
                die(2, "--bind-address %s: use an IP address", c->bind_address);
        if (c->advertise_address && ipaddr_parse(c->advertise_address, &ip))
                die(2, "--advertise-address %s: use an IP address", c->advertise_address);
        if (!c->cert_file != !c->key_file || !c->cert_file != !c->client_ca_file)
                die(2,
                    "--tls-cert-file, --tls-private-key-file and --client-ca-file go together: give all three or none");
}

/* ---- certificates ---- */

struct names {
        const char *dns[20], *ips[24];
        size_t ndns, nips;
        char service_ips[2][IPADDR_TEXT_SIZE];
};

static void add_name(struct names *n, const char *name)
{
        struct ipaddr ip;

        if (!ipaddr_parse(name, &ip))
                n->ips[n->nips++] = name;
        else
                n->dns[n->ndns++] = name;
}

static void add_service_ips(struct names *n, const char *ranges)
{
        const char *rest = ranges;
        struct str_span piece;
        size_t i = 0;

        while (i < 2 && str_split(&rest, ',', &piece)) {
                struct ipcidr cidr;
                struct ipaddr ip;
                char text[80];

                if (piece.n >= sizeof(text))
                        continue;
                memcpy(text, piece.s, piece.n);
                text[piece.n] = '\0';
                if (ipcidr_parse(text, &cidr))
                        continue;
                ip = ipcidr_first(&cidr);
                ip = ipaddr_add(&ip, 1);
                n->ips[n->nips++] = ipaddr_format(&ip, n->service_ips[i++]);
        }
}

/* Makes DIR/pki, or brings it up to date, and points the configuration there. */
static int prepare_pki(struct flags *f, uint16_t port, struct err *reterr)
{
        struct server_config *c = &f->server;
        struct names names = {0};
        struct ipaddr bind = IPADDR_NULL;
        const char *host = c->advertise_address ? c->advertise_address : c->bind_address;
        struct pki_opts opts = {0};
        struct pki_result result;
        char *dir = mem_printf("%s/pki", c->data_dir);
        int r;

        ipaddr_parse(host, &bind);
        if (ipaddr_is_unspecified(&bind))
                host = "127.0.0.1";
        else
                add_name(&names, host);
        for (size_t i = 0; i < f->nserver_names; i++)
                add_name(&names, f->server_names[i]);
        add_service_ips(&names, c->service_cidr);
        opts.server =
                strchr(host, ':') ? mem_printf("https://[%s]:%u", host, port) : mem_printf("https://%s:%u", host, port);
        opts.dns_names = names.dns;
        opts.ips = names.ips;
        r = pki_init(dir, &opts, &result, reterr);
        c->cert_file = mem_printf("%s/apiserver.crt", dir);
        c->key_file = mem_printf("%s/apiserver.key", dir);
        c->client_ca_file = mem_printf("%s/ca.crt", dir);
        free((char *)opts.server);
        free(dir);
        return r;
}

/* A free port, so that kubeconfigs can name it before the server listens. */
static uint16_t free_port(const char *address)
{
        struct ipaddr ip;
        bool v6 = !ipaddr_parse(address, &ip) && ipaddr_is_v6(&ip);
        struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
        struct sockaddr_in a4 = {.sin_family = AF_INET};
        struct sockaddr *sa = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
        socklen_t len = v6 ? sizeof(a6) : sizeof(a4);
        _cleanup_close_ int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        inet_pton(sa->sa_family, address, v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
        if (fd < 0 || bind(fd, sa, len) || getsockname(fd, sa, &len))
                return 0;
        return ntohs(v6 ? a6.sin6_port : a4.sin_port);
}

/* ---- running ---- */

/* Takes the folder before anything in it is touched: a second server must not write the first one's kubeconfigs. The
 * lock goes with the process. */
static void lock_data_dir(const char *dir)
{
        char *path = mem_printf("%s/lock", dir);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                die(1, "%s cannot be made: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB))
                die(1, "%s is in use by another fairlead-apiserver; end that one, or give another --data-dir", dir);
        free(path);
}

/* systemd's Type=notify: sd_notify(3) without the library. */
static void notify(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = -1;
        size_t n = path ? strlen(path) : 0;

        if (!n || n >= sizeof(un.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(un.sun_path, path, n);
        if (path[0] == '@')
                un.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
                sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&un,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

static void wait_for_end(struct server *s, const sigset_t *signals)
{
        struct err err = ERR_NULL;
        int sig;

        while (sigwait(signals, &sig) == 0) {
                if (sig != SIGHUP)
                        break;
                if (http_server_reload(s->http, &err))
                        log_error("the certificates cannot be read again; the old ones stay", "error=%s", err.msg);
                else
                        log_info("certificates were read again", "file=%s", s->config.cert_file);
        }
        log_info("ending", "signal=%s", strsignal(sig));
}

static int serve(struct flags *f)
{
        struct err err = ERR_NULL;
        struct server *s = NULL;
        bool own_pki = !f->server.cert_file;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk, not a reason to die */
        if (mkdir(f->server.data_dir, 0700) && errno != EEXIST)
                die(1, "%s cannot be made: %s", f->server.data_dir, strerror(errno));
        lock_data_dir(f->server.data_dir);
        if (!f->server.secure_port)
                f->server.secure_port = free_port(f->server.bind_address);
        r = own_pki ? prepare_pki(f, f->server.secure_port, &err) : 0;
        if (!r)
                r = server_start(&f->server, &s, &err);
        if (r)
                die(1, "%s", *err.msg ? err.msg : strerror(-r));
        log_info("ready", "address=%s port=%u objects_loaded_and_listening_ms=%llu", f->server.bind_address,
                 http_server_port(s->http), (unsigned long long)((clock_mono_ns() - s->start_mono_ns) / NS_PER_MS));
        if (own_pki)
                log_info("kubectl is welcome",
                         "command=\"kubectl --kubeconfig %s/pki/admin.kubeconfig get namespaces\"", f->server.data_dir);
        notify("READY=1");
        wait_for_end(s, &signals);
        notify("STOPPING=1");
        server_stop(s);
        return 0;
}

static int snapshot(int argc, char **argv)
{
        struct err err = ERR_NULL;
        char path[4096];
        bool force = argc == 6 && strcmp(argv[5], "--force") == 0;
        int r;

        if (argc < 5 || (argc > 5 && !force))
                die(2, "use: snapshot save DIR FILE, or: snapshot restore FILE DIR [--force]");
        if (strcmp(argv[2], "save") == 0) {
                snprintf(path, sizeof(path), "%s/store.db", argv[3]);
                r = store_sqlite_snapshot_save(path, argv[4], &err);
        } else if (strcmp(argv[2], "restore") == 0) {
                snprintf(path, sizeof(path), "%s/store.db", argv[4]);
                r = store_sqlite_snapshot_restore(argv[3], path, force, &err);
        } else {
                die(2, "snapshot %s: use save or restore", argv[2]);
        }
        if (r)
                die(1, "%s", *err.msg ? err.msg : strerror(-r));
        printf("%s\n", argv[4]);
        return 0;
}

int main(int argc, char **argv)
{
        struct flags f = {
                .server =
                        {
                                .bind_address = "0.0.0.0",
                                .secure_port = 6443,
                                .service_cidr = "10.96.0.0/16",
                                .node_port_range = "30000-32767",
                                .max_requests_inflight = 400,
                                .event_ttl_seconds = 3600,
                                .history_seconds = 300,
                        },
        };

        /* Threads come and go with the load; arenas of their own would keep the memory of the busiest moment. */
        mallopt(M_ARENA_MAX, 4);
        log_init("apiserver", LOG_LEVEL_INFO);
        if (argc > 1 && strcmp(argv[1], "snapshot") == 0)
                return snapshot(argc, argv);
        parse_flags(&f, argc, argv);
        return serve(&f);
}
