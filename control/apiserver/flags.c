/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <string.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/flags.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

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
        "Kubelets (logs, exec, attach, port-forward, nodes/proxy; certificates by default those of DIR/pki):\n"
        "  --kubelet-certificate-authority FILE     signs the kubelets' certificates, which are for their nodes' "
        "names\n"
        "  --kubelet-client-certificate FILE --kubelet-client-key FILE    what is shown to kubelets\n"
        "  --kubelet-preferred-address-types LIST   of a Node's addresses, those that are IPs (default\n"
        "                                           InternalIP,ExternalIP,Hostname)\n"
        "  --kubelet-insecure-tls                   do not verify kubelets: whoever is in between can read and answer\n"
        "Service account tokens (by default signed with DIR/pki/sa.key):\n"
        "  --service-account-signing-key-file FILE  RSA (RS256) or ECDSA P-256 (ES256), PEM\n"
        "  --service-account-key-file FILE          another key whose tokens are accepted; may be repeated\n"
        "  --service-account-issuer URL             (default https://kubernetes.default.svc.cluster.local)\n"
        "  --api-audiences LIST                     what tokens for this server are for (default: the issuer)\n"
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

enum flag_kind {
        FLAG_TEXT,
        FLAG_NUMBER, /* unsigned int, up to max */
        FLAG_PORT,
        FLAG_SECONDS, /* a duration */
        FLAG_MIB,
        FLAG_TRUE,
        FLAG_SERVER_NAME,
        FLAG_TOKEN_KEY,
        FLAG_AUDIENCES,
        FLAG_LOG_LEVEL,
        FLAG_HELP,
        FLAG_VERSION,
};

#define IN(field) offsetof(struct flags, server.field)

static const struct flag {
        const char *name;
        enum flag_kind kind;
        size_t offset; /* in struct flags, for the first six kinds */
} flags[] = {
        {"data-dir", FLAG_TEXT, IN(data_dir)},
        {"bind-address", FLAG_TEXT, IN(bind_address)},
        {"secure-port", FLAG_PORT, IN(secure_port)},
        {"advertise-address", FLAG_TEXT, IN(advertise_address)},
        {"server-name", FLAG_SERVER_NAME, 0},
        {"max-requests-inflight", FLAG_NUMBER, IN(max_requests_inflight)},
        {"tls-cert-file", FLAG_TEXT, IN(cert_file)},
        {"tls-private-key-file", FLAG_TEXT, IN(key_file)},
        {"client-ca-file", FLAG_TEXT, IN(client_ca_file)},
        {"service-account-signing-key-file", FLAG_TEXT, IN(token_signing_file)},
        {"service-account-key-file", FLAG_TOKEN_KEY, 0},
        {"service-account-issuer", FLAG_TEXT, IN(token_issuer)},
        {"api-audiences", FLAG_AUDIENCES, 0},
        {"kubelet-certificate-authority", FLAG_TEXT, IN(kubelet_ca_file)},
        {"kubelet-client-certificate", FLAG_TEXT, IN(kubelet_cert_file)},
        {"kubelet-client-key", FLAG_TEXT, IN(kubelet_key_file)},
        {"kubelet-preferred-address-types", FLAG_TEXT, IN(kubelet_address_types)},
        {"kubelet-insecure-tls", FLAG_TRUE, IN(kubelet_insecure)},
        {"service-cluster-ip-range", FLAG_TEXT, IN(service_cidr)},
        {"service-node-port-range", FLAG_TEXT, IN(node_port_range)},
        {"event-ttl", FLAG_SECONDS, IN(event_ttl_seconds)},
        {"history", FLAG_SECONDS, IN(history_seconds)},
        {"store-max-size", FLAG_MIB, IN(store_max_bytes)},
        {"no-store-check", FLAG_TRUE, IN(skip_store_check)},
        {"log-level", FLAG_LOG_LEVEL, 0},
        {"help", FLAG_HELP, 0},
        {"version", FLAG_VERSION, 0},
};

void die(int code, const char *fmt, ...)
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

static void add_server_name(struct flags *f, const char *name)
{
        if (f->nserver_names == SERVER_NAMES_MAX)
                die(2, "--server-name: at most %d of them", SERVER_NAMES_MAX);
        f->server_names[f->nserver_names++] = name;
}

static void add_token_key(struct flags *f, const char *file)
{
        size_t n = 0;

        while (f->token_keys[n])
                if (++n == TOKEN_KEYS_MAX)
                        die(2, "--service-account-key-file: at most %d of them", TOKEN_KEYS_MAX);
        f->token_keys[n] = file;
        f->server.token_key_files = f->token_keys;
}

/* The text is cut apart in place. */
static void set_audiences(struct flags *f, char *list)
{
        size_t n = 0;

        for (char *word; (word = strsep(&list, ","));) {
                if (!*word || n == AUDIENCES_MAX)
                        die(2, "--api-audiences: give up to %d of them, separated by commas", AUDIENCES_MAX);
                f->audiences[n++] = word;
        }
        f->audiences[n] = NULL;
        f->server.api_audiences = f->audiences;
}

static void set_flag(struct flags *f, const struct flag *flag, char *value)
{
        void *at = (char *)f + flag->offset;

        switch (flag->kind) {
        case FLAG_TEXT:
                *(const char **)at = value;
                break;
        case FLAG_NUMBER:
                *(unsigned *)at = (unsigned)parse_number(flag->name, value, 100000);
                break;
        case FLAG_PORT:
                *(uint16_t *)at = (uint16_t)parse_number(flag->name, value, UINT16_MAX);
                break;
        case FLAG_SECONDS:
                *(int64_t *)at = parse_seconds(flag->name, value);
                break;
        case FLAG_MIB:
                *(uint64_t *)at = parse_number(flag->name, value, 1 << 24) << 20;
                break;
        case FLAG_TRUE:
                *(bool *)at = true;
                break;
        case FLAG_SERVER_NAME:
                add_server_name(f, value);
                break;
        case FLAG_TOKEN_KEY:
                add_token_key(f, value);
                break;
        case FLAG_AUDIENCES:
                set_audiences(f, value);
                break;
        case FLAG_LOG_LEVEL:
                set_log_level(value);
                break;
        case FLAG_HELP:
                fputs(help, stdout);
                exit(0);
        case FLAG_VERSION:
                puts("fairlead-apiserver " FAIRLEAD_VERSION);
                exit(0);
        }
}

static void check_service_ranges(const char *ranges)
{
        struct ipcidr found[2];
        const char *rest = ranges;
        struct str_span word;
        size_t n = 0;

        while (str_split(&rest, ',', &word)) {
                char text[64];

                if (n == 2 || word.n >= sizeof(text))
                        die(2, "--service-cluster-ip-range %s: give one range, or one for each IP family", ranges);
                memcpy(text, word.s, word.n);
                text[word.n] = '\0';
                if (ipcidr_parse(text, &found[n++]))
                        die(2, "--service-cluster-ip-range %s: %s is no prefix like 10.96.0.0/16", ranges, text);
        }
        if (n == 2 && found[0].addr.len == found[1].addr.len)
                die(2, "--service-cluster-ip-range %s: two ranges must be of different IP families", ranges);
}

static void check_node_ports(const char *range)
{
        const char *dash = strchr(range, '-');
        char first[8];
        uint16_t low = 0, high = 0;

        if (!dash || (size_t)(dash - range) >= sizeof(first))
                die(2, "--service-node-port-range %s: use FIRST-LAST, such as 30000-32767", range);
        memcpy(first, range, (size_t)(dash - range));
        first[dash - range] = '\0';
        if (str_parse_u16(first, &low) || str_parse_u16(dash + 1, &high) || !low || low > high)
                die(2, "--service-node-port-range %s: use two ports, the lower one first", range);
}

static void check_address_types(const char *list)
{
        static const char *const known[] = {"InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"};
        const char *rest = list;
        struct str_span word;

        while (rest && str_split(&rest, ',', &word)) {
                size_t i = 0;

                while (i < ARRAY_SIZE(known) && !str_span_eq(word, known[i]))
                        i++;
                if (i == ARRAY_SIZE(known))
                        die(2,
                            "--kubelet-preferred-address-types %s: use InternalIP, ExternalIP, Hostname, InternalDNS, "
                            "ExternalDNS, separated by commas",
                            list);
        }
}

static void check(const struct server_config *c)
{
        struct ipaddr ip;

        if (!c->data_dir)
                die(2, "--data-dir DIR is required: the folder where the cluster's state is kept; see --help");
        if (ipaddr_parse(c->bind_address, &ip))
                die(2, "--bind-address %s: use an IP address", c->bind_address);
        if (!c->kubelet_cert_file != !c->kubelet_key_file)
                die(2, "--kubelet-client-certificate and --kubelet-client-key go together: give both or none");
        check_address_types(c->kubelet_address_types);
        check_service_ranges(c->service_cidr);
        check_node_ports(c->node_port_range);
        if (c->advertise_address && ipaddr_parse(c->advertise_address, &ip))
                die(2, "--advertise-address %s: use an IP address", c->advertise_address);
        if (!c->cert_file != !c->key_file || !c->cert_file != !c->client_ca_file)
                die(2,
                    "--tls-cert-file, --tls-private-key-file and --client-ca-file go together: give all three or none");
}

void flags_parse(struct flags *f, int argc, char **argv)
{
        struct option options[ARRAY_SIZE(flags) + 1] = {0};
        int i;

        *f = (struct flags){
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
        for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
                options[k] = (struct option){
                        flags[k].name, flags[k].kind == FLAG_TRUE || flags[k].kind >= FLAG_HELP ? 0 : 1, NULL, (int)k};
        while ((i = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (i < 0 || (size_t)i >= ARRAY_SIZE(flags))
                        die(2, "see fairlead-apiserver --help");
                set_flag(f, &flags[i], optarg);
        }
        if (optind < argc)
                die(2, "unexpected argument %s; see --help", argv[optind]);
        check(&f->server);
}
