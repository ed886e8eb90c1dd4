/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_setting.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define AT(field) offsetof(struct agent_config, field)
#define HEADING(text)                                                                                                  \
        {                                                                                                              \
                "", SETTING_TEXT, 0, NULL, 0, 0, text                                                                  \
        }
#define ENTRIES_MAX (16U << 20)

const struct setting settings[] = {
        HEADING("Who and where. With no kubeconfig: $KUBECONFIG, else the pod's service account, else ~/.kube/config."),
        {"kubeconfig", SETTING_TEXT, AT(kubeconfig), NULL, 0, 0, "=FILE: how to reach the API server"},
        {"nodeName", SETTING_TEXT, AT(node_name), NULL, 0, 0,
         "=NAME: the Node object of this machine (default: the host's name in lower case)"},
        {"nodeIPs", SETTING_ADDRESSES, AT(node_ips), NULL, 0, 0,
         "=IP,...: this node's addresses, one a family (default: the Node's InternalIPs that this machine has)"},
        {"devices", SETTING_LIST, AT(devices), NULL, 0, 0,
         "=NIC,...: where traffic from outside comes in (default: NICs with a default route or a node's address)"},

        HEADING("Pods. `vxlan` needs nothing of the network between the nodes; `native` is faster, and needs all nodes "
                "in "
                "one network segment or routers that know the pod CIDRs."),
        {"routing", SETTING_ROUTING, AT(routing), "vxlan", 0, 0,
         "=vxlan|native: how packets get to the pods of other nodes"},
        {"vxlanPort", SETTING_NUMBER, AT(vxlan_port), "8472", 1, 65535,
         "UDP port of the tunnel, the same on all nodes"},
        {"vni", SETTING_NUMBER, AT(vni), "1", 1, 16777215, "number of the VXLAN, the same on all nodes"},
        {"mtu", SETTING_NUMBER, AT(mtu), "0", 0, 65535,
         "of the pods; 0: what the NICs carry, less the tunnel's header. 1280 at least where IPv6 is used"},
        {"masquerade", SETTING_BOOL, AT(masquerade), "true", 0, 0,
         "give traffic of pods to the outside the node's address"},
        {"nonMasqueradeCIDRs", SETTING_CIDRS, AT(non_masquerade_cidrs), NULL, 0, 0,
         "=CIDR,...: destinations that see pods' own addresses, besides all pods and nodes"},

        HEADING("Services. Traffic from outside is spread by consistent hashing, so that it stays with its endpoints "
                "when "
                "a node fails; the annotation fairlead.dev/load-balancing: random|maglev of a Service says otherwise."),
        {"serviceProxyName", SETTING_TEXT, AT(service_proxy_name), NULL, 0, 0,
         "=NAME: serve the Services with this label service.kubernetes.io/service-proxy-name (default: those without)"},
        {"serviceCIDRs", SETTING_CIDRS, AT(service_cidrs), NULL, 0, 0,
         "=CIDR,...: addresses of Services: what is none of them there is refused (default: the API's ServiceCIDRs)"},
        {"nodePortAddresses", SETTING_CIDRS, AT(nodeport_addresses), NULL, 0, 0,
         "=CIDR,...: node addresses that serve NodePorts (default: all)"},
        {"nodePortMin", SETTING_NUMBER, AT(nodeport_min), "30000", 1, 65535, "the API server's range of NodePorts"},
        {"nodePortMax", SETTING_NUMBER, AT(nodeport_max), "32767", 1, 65535, "and its end"},
        {"nodePortLoopback", SETTING_BOOL, AT(nodeport_loopback), "true", 0, 0,
         "serve NodePorts at 127.0.0.0/8 and ::1, too"},
        {"bindProtect", SETTING_BOOL, AT(bind_protect), "true", 0, 0,
         "refuse programs of this machine that bind to a NodePort: they would get no traffic"},
        {"minSync", SETTING_MS, AT(min_sync_ms), "1ms", 0, 60000,
         "so long a change waits for others, to be written to the kernel's tables with them"},
        {"maxSync", SETTING_MS, AT(max_sync_ms), "20ms", 1, 60000,
         "and so long at most when changes do not end and writing takes its time"},

        HEADING("How packets are handled. What the kernel cannot do falls back by itself, and the log says to what; "
                "these "
                "switch off what it can."),
        {"socketPath", SETTING_BOOL, AT(socket_path), "true", 0, 0,
         "translate service addresses once, when a socket connects, instead of in each packet"},
        {"tcx", SETTING_BOOL, AT(tcx), "true", 0, 0, "attach to devices by TCX (Linux 6.6); else by clsact filters"},
        {"vxlanDirect", SETTING_BOOL, AT(vxlan_direct), "true", 0, 0,
         "write and read pods' tunnel headers between NIC and pod; else the host's stack does, with its packet filter "
         "and "
         "IPsec"},
        {"xdp", SETTING_BOOL, AT(xdp), "true", 0, 0, "serve traffic from outside in the NIC's driver"},
        {"xdpGeneric", SETTING_BOOL, AT(xdp_generic), "false", 0, 0,
         "use XDP also where the driver has none (works everywhere, rarely faster)"},
        {"mark", SETTING_NUMBER, AT(mark), "0x00800000", 1, UINT32_MAX,
         "=BIT: bit of a packet's mark that says: fairlead has seen it. Choose one that nothing else uses"},
        {"snatPortMin", SETTING_NUMBER, AT(snat_port_min), "61000", 1024, 65535,
         "source ports for translated connections, outside of net.ipv4.ip_local_port_range"},
        {"snatPortMax", SETTING_NUMBER, AT(snat_port_max), "65535", 1024, 65535, "and their end"},
        {"dropEventsPerSecond", SETTING_NUMBER, AT(drop_events_per_s), "20", 0, 100000,
         "dropped packets that are reported one by one (by CPU); all are counted"},

        HEADING("How long an idle connection is remembered."),
        {"tcpSynTimeout", SETTING_SECONDS, AT(timeouts.tcp_syn), "60s", 1, 86400, "before the handshake is complete"},
        {"tcpEstablishedTimeout", SETTING_SECONDS, AT(timeouts.tcp_established), "8000s", 1, 30 * 86400,
         "established; above the longest keep-alive interval of your programs"},
        {"tcpClosingTimeout", SETTING_SECONDS, AT(timeouts.tcp_closing), "10s", 1, 86400, "after its end"},
        {"udpTimeout", SETTING_SECONDS, AT(timeouts.udp), "30s", 1, 86400, "UDP without an answer"},
        {"udpStreamTimeout", SETTING_SECONDS, AT(timeouts.udp_stream), "120s", 1, 86400, "UDP both ways"},
        {"icmpTimeout", SETTING_SECONDS, AT(timeouts.icmp), "30s", 1, 86400, "ICMP echo"},

        HEADING("Room in the kernel's tables. A full table breaks nothing that is in it; what found no room is "
                "reported "
                "(Event, metric, `fairctl status`). 0: the built-in size. A new size is taken over at the next start, "
                "connections and all."),
        {"flowEntries", SETTING_NUMBER, AT(flow_entries), "131072", 1024, 1U << 26,
         "two for each translated connection, 128 bytes each; rounded up to a power of two"},
        {"maxServices", SETTING_NUMBER, AT(sizes.services), "0", 0, ENTRIES_MAX,
         "frontends: address, port and protocol; a service has one more for each address (262144)"},
        {"maxBackends", SETTING_NUMBER, AT(sizes.backends), "0", 0, ENTRIES_MAX, "endpoints, by service port (262144)"},
        {"maxSlotLines", SETTING_NUMBER, AT(sizes.slot_lines), "0", 0, ENTRIES_MAX,
         "sixteen table places each: an endpoint takes one, by consistent hashing about 100 (262144)"},
        {"maxRoutes", SETTING_NUMBER, AT(sizes.routes), "0", 0, ENTRIES_MAX, "pods here and other nodes (16384)"},
        {"maxSourceRanges", SETTING_NUMBER, AT(sizes.ranges), "0", 0, ENTRIES_MAX, "loadBalancerSourceRanges (16384)"},
        {"maxAffinity", SETTING_NUMBER, AT(sizes.affinity), "0", 0, ENTRIES_MAX,
         "clients of Services with session affinity (65536)"},
        {"maxFragments", SETTING_NUMBER, AT(sizes.fragments), "0", 0, ENTRIES_MAX, "datagrams in pieces (8192)"},
        {"maxSocketReplies", SETTING_NUMBER, AT(sizes.sock_replies), "0", 0, ENTRIES_MAX,
         "peers of unconnected UDP sockets (65536)"},

        HEADING("Files, and what others can ask."),
        {"pinRoot", SETTING_TEXT, AT(pin_root), "/sys/fs/bpf/fairlead", 0, 0,
         "=DIR: where tables and programs live on"},
        {"cgroupRoot", SETTING_TEXT, AT(cgroup_root), NULL, 0, 0,
         "=DIR: root of cgroup v2 (default: where it is mounted)"},
        {"runDir", SETTING_TEXT, AT(run_dir), "/run/fairlead", 0, 0, "=DIR: socket, status, attachments"},
        {"cniConfDir", SETTING_TEXT, AT(cni_conf_dir), "/etc/cni/net.d", 0, 0,
         "=DIR: the CNI configuration appears there when the node is ready for pods"},
        {"cniConfName", SETTING_TEXT, AT(cni_conf_name), "05-fairlead.conflist", 0, 0,
         "=NAME: of that file; the first in the alphabet is the one that is used"},
        {"healthAddress", SETTING_TEXT, AT(health_address), "0.0.0.0:10256", 0, 0,
         "=IP:PORT: /healthz, /livez and /metrics; [::]:10256 for both families, \"\" for none"},
        {"logLevel", SETTING_TEXT, AT(log_level), "info", 0, 0, "=LEVEL: debug, info, warn or error"},
};
const size_t settings_count = ARRAY_SIZE(settings);

bool setting_is_heading(const struct setting *s)
{
        return !*s->key;
}

const char *setting_flag(const struct setting *s, char buf[static 64])
{
        size_t n = 0;

        for (const char *p = s->key; *p && n < 62; p++) {
                bool upper = isupper((unsigned char)*p), before = p > s->key && !isupper((unsigned char)p[-1]);

                if (upper && before)
                        buf[n++] = '-';
                buf[n++] = (char)tolower((unsigned char)*p);
        }
        buf[n] = '\0';
        return buf;
}

const struct setting *setting_find(const char *key)
{
        for (size_t i = 0; i < settings_count; i++)
                if (!setting_is_heading(&settings[i]) && str_eq(settings[i].key, key))
                        return &settings[i];
        return NULL;
}

const struct setting *setting_find_flag(const char *flag)
{
        char buf[64];

        for (size_t i = 0; i < settings_count; i++)
                if (!setting_is_heading(&settings[i]) && str_eq(setting_flag(&settings[i], buf), flag))
                        return &settings[i];
        return NULL;
}

/* Edits between two short words, letters' case, dashes and underscores aside; anything long is far. */
static unsigned distance(const char *a, const char *b)
{
        unsigned row[48];
        size_t n = strlen(b);

        if (n >= ARRAY_SIZE(row))
                return UINT32_MAX;
        for (size_t j = 0; j <= n; j++)
                row[j] = (unsigned)j;
        for (; *a; a++) {
                unsigned corner = row[0]++;

                if (*a == '-' || *a == '_') {
                        row[0]--;
                        continue;
                }
                for (size_t j = 0; j < n; j++) {
                        bool same = tolower((unsigned char)*a) == tolower((unsigned char)b[j]);
                        unsigned cost = MIN(corner + !same, MIN(row[j], row[j + 1]) + 1);

                        corner = row[j + 1];
                        row[j + 1] = cost;
                }
        }
        return row[n];
}

const struct setting *setting_like(const char *name)
{
        const struct setting *best = NULL;
        unsigned least = 4;

        for (size_t i = 0; strlen(name) < 64 && i < settings_count; i++) {
                unsigned d = setting_is_heading(&settings[i]) ? UINT32_MAX : distance(name, settings[i].key);

                if (d < least) {
                        least = d;
                        best = &settings[i];
                }
        }
        return best;
}

bool setting_is_list(const struct setting *s)
{
        return s->type == SETTING_LIST || s->type == SETTING_ADDRESSES || s->type == SETTING_CIDRS;
}

static void *place(const struct setting *s, struct agent_config *c)
{
        return (char *)c + s->offset;
}

void setting_clear(const struct setting *s, struct agent_config *c)
{
        struct string_list *l = place(s, c);

        if (s->type == SETTING_TEXT) {
                free(*(char **)place(s, c));
                *(char **)place(s, c) = NULL;
        }
        if (!setting_is_list(s))
                return;
        for (size_t i = 0; i < l->count; i++)
                free(l->items[i]);
        free(l->items);
        *l = (struct string_list){0};
}

static int set_number(const struct setting *s, uint32_t *ret, const char *text, struct err *reterr)
{
        char *end = NULL;
        unsigned long n = isdigit((unsigned char)*text) ? strtoul(text, &end, str_has_prefix(text, "0x") ? 16 : 10) : 0;

        if (!end || *end || n < s->min || n > s->max)
                return err_set(reterr, -EINVAL, "\"%s\" is no number from %u to %u", text, s->min, s->max);
        *ret = (uint32_t)n;
        return 0;
}

static int set_duration(const struct setting *s, uint32_t *ret, const char *text, struct err *reterr)
{
        bool ms = s->type == SETTING_MS;
        int64_t unit = (int64_t)(ms ? NS_PER_MS : NS_PER_S), ns;

        if (str_parse_duration(text, &ns) || ns % unit || ns / unit < s->min || ns / unit > s->max)
                return err_set(reterr, -EINVAL, "\"%s\" is no duration from %u%s to %u%s, such as %s", text, s->min,
                               ms ? "ms" : "s", s->max, ms ? "ms" : "s", s->value);
        *ret = (uint32_t)(ns / unit);
        return 0;
}

static int set_routing(enum routing_mode *ret, const char *text, struct err *reterr)
{
        if (!str_eq(text, "vxlan") && !str_eq(text, "native"))
                return err_set(reterr, -EINVAL, "\"%s\" is no way to route; use vxlan or native", text);
        *ret = str_eq(text, "vxlan") ? ROUTING_VXLAN : ROUTING_NATIVE;
        return 0;
}

static bool is_address(const char *text)
{
        unsigned char bytes[16];

        return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_cidr(const char *text)
{
        const char *slash = strchr(text, '/');
        char address[64];
        uint16_t bits;

        if (!slash || (size_t)(slash - text) >= sizeof(address) || str_parse_u16(slash + 1, &bits))
                return false;
        memcpy(address, text, (size_t)(slash - text));
        address[slash - text] = '\0';
        return is_address(address) && bits <= (strchr(address, ':') ? 128 : 32);
}

static int add_item(const struct setting *s, struct string_list *l, const char *text, struct err *reterr)
{
        if (!*text)
                return err_set(reterr, -EINVAL, "an entry is empty");
        if (s->type == SETTING_ADDRESSES && !is_address(text))
                return err_set(reterr, -EINVAL, "\"%s\" is no IP address, such as 192.0.2.1 or 2001:db8::1", text);
        if (s->type == SETTING_CIDRS && !is_cidr(text))
                return err_set(reterr, -EINVAL, "\"%s\" is no prefix, such as 10.0.0.0/8 or fd00::/8", text);
        l->items = mem_realloc(l->items, l->count + 1, sizeof(*l->items));
        l->items[l->count++] = mem_strdup(text);
        return 0;
}

int setting_set(const struct setting *s, struct agent_config *c, const char *text, struct err *reterr)
{
        void *at = place(s, c);

        switch (s->type) {
        case SETTING_TEXT:
                free(*(char **)at);
                *(char **)at = mem_strdup(text);
                return 0;
        case SETTING_NUMBER:
                return set_number(s, at, text, reterr);
        case SETTING_BOOL:
                if (str_parse_bool(text, at))
                        return err_set(reterr, -EINVAL, "\"%s\" is neither true nor false", text);
                return 0;
        case SETTING_SECONDS:
        case SETTING_MS:
                return set_duration(s, at, text, reterr);
        case SETTING_ROUTING:
                return set_routing(at, text, reterr);
        case SETTING_LIST:
        case SETTING_ADDRESSES:
        case SETTING_CIDRS:
                return add_item(s, at, text, reterr);
        }
        return -EINVAL;
}
