/* SPDX-License-Identifier: Apache-2.0 */
/* fairlead-apiserver: certificates, start, signals. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/flags.h"
#include "apiserver/proxy/proxy.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/supervisor.h"
#include "kube/pki.h"
#include "store/sqlite/sqlite.h"

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
        if (!c->kubelet_ca_file)
                c->kubelet_ca_file = f->own_files[0] = mem_printf("%s/ca.crt", dir);
        if (!c->kubelet_cert_file) {
                c->kubelet_cert_file = f->own_files[1] = mem_printf("%s/apiserver-kubelet-client.crt", dir);
                c->kubelet_key_file = f->own_files[2] = mem_printf("%s/apiserver-kubelet-client.key", dir);
        }
        if (!c->token_signing_file)
                c->token_signing_file = f->own_files[3] = mem_printf("%s/sa.key", dir);
        free((char *)opts.server);
        free(dir);
        return r;
}

static void forget_pki(struct flags *f)
{
        struct server_config *c = &f->server;

        for (size_t i = 0; i < ARRAY_SIZE(f->own_files); i++)
                free(TAKE_PTR(f->own_files[i]));
        free((char *)TAKE_PTR(c->cert_file));
        free((char *)TAKE_PTR(c->key_file));
        free((char *)TAKE_PTR(c->client_ca_file));
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
                        proxy_reload(s->proxy);
                if (!*err.msg)
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
        supervisor_notify("READY=1");
        wait_for_end(s, &signals);
        supervisor_notify("STOPPING=1");
        server_stop(s);
        if (own_pki)
                forget_pki(f);
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
                if (mkdir(argv[4], 0700) && errno != EEXIST)
                        die(1, "%s: cannot make the folder: %s", argv[4], strerror(errno));
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
        struct flags f;

        log_init("apiserver", LOG_LEVEL_INFO);
        if (argc > 1 && strcmp(argv[1], "snapshot") == 0)
                return snapshot(argc, argv);
        flags_parse(&f, argc, argv);
        return serve(&f);
}
