/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "agent/kubelet/runtime/builtin/cni_conf.h"
#include "base/str.h"

#define NAME_MAX_BYTES 200
#define BURST_BITS     UINT32_MAX /* as much as the plugin's kernel interface takes: the rate alone limits */

static const char *const versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

/* -1: not spoken here. */
static int version_index(const char *text)
{
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
                if (str_eq(text, versions[i]))
                        return (int)i;
        return -1;
}

static int choose_version(const struct json_object *o)
{
        int best = version_index(json_get_str(o, "cniVersion"));

        json_array_foreach (json_get(o, "cniVersions"), i, v)
                best = MAX(best, version_index(json_is_string(v) ? json_object_get_string(v) : NULL));
        return best;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* As the specification has it: a letter or digit, then those and _ . - */
static bool is_name(const char *s)
{
        return s && *s && strchr(ALNUM, *s) && strlen(s) <= NAME_MAX_BYTES && !s[strspn(s, ALNUM "_.-")];
}

static int check_plugins(const struct json_object *plugins, struct err *reterr)
{
        if (!json_is_array(plugins) || !json_len(plugins))
                return err_set(reterr, -EINVAL, "plugins: must be a list of at least one plugin");
        json_array_foreach (plugins, i, p) {
                const char *type = json_get_str(p, "type");

                if (str_empty(type) || strchr(type, '/') || type[0] == '.')
                        return err_set(reterr, -EINVAL, "plugins[%zu].type: must be the name of a program", i);
        }
        return 0;
}

static struct json_object *only(const struct json_object *plugin)
{
        struct json_object *a = json_object_new_array();

        json_object_array_add(a, json_object_get((struct json_object *)plugin));
        return a;
}

static int normalise(const struct json_object *o, struct json_object **ret, struct err *reterr)
{
        const char *name = json_get_str(o, "name");
        int version = choose_version(o), r;
        struct json_object *list, *plugins;

        if (version < 0)
                return err_set(reterr, -EINVAL, "cniVersion \"%s\": must be 0.3.1, 0.4.0, 1.0.0 or 1.1.0",
                               json_get_str(o, "cniVersion") ?: "");
        if (!is_name(name))
                return err_set(reterr, -EINVAL, "name \"%s\": must be letters, digits, and _ . - inside", name ?: "");
        plugins = json_has(o, "plugins") ? json_object_get(json_get(o, "plugins")) : only(o);
        r = check_plugins(plugins, reterr);
        if (r) {
                json_object_put(plugins);
                return r;
        }
        list = json_object_new_object();
        json_set_str(list, "name", name);
        json_set_str(list, "cniVersion", versions[version]);
        json_set_bool(list, "disableGC", json_get_bool(o, "disableGC", false));
        json_set(list, "plugins", plugins);
        *ret = list;
        return 0;
}

int cni_list_parse(const char *text, size_t len, struct json_object **ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        int r = json_parse(text, len, &o, reterr);

        if (r)
                return r;
        if (!json_is_object(o))
                return err_set(reterr, -EINVAL, "must be a JSON object");
        return normalise(o, ret, reterr);
}

bool cni_list_speaks(const struct json_object *list, const char *version)
{
        return version_index(json_get_str(list, "cniVersion")) >= version_index(version);
}

static struct json_object *port_mappings(const struct sandbox_config *c)
{
        struct json_object *a = json_object_new_array();

        for (size_t i = 0; i < c->nports; i++) {
                const struct port_mapping *p = &c->ports[i];
                struct json_object *o = json_object_new_object();
                char protocol[8] = "tcp";

                if (p->protocol)
                        str_copy(protocol, sizeof(protocol), p->protocol);
                for (char *s = protocol; *s; s++)
                        *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 'a' - 'A' : *s);
                json_set_i64(o, "hostPort", p->host_port);
                json_set_i64(o, "containerPort", p->container_port);
                json_set_str(o, "protocol", protocol);
                if (!str_empty(p->host_ip))
                        json_set_str(o, "hostIP", p->host_ip);
                json_object_array_add(a, o);
        }
        return a;
}

static struct json_object *bandwidth(const struct sandbox_config *c)
{
        struct json_object *o = json_object_new_object();

        if (c->ingress_bits) {
                json_set_i64(o, "ingressRate", (int64_t)c->ingress_bits);
                json_set_i64(o, "ingressBurst", BURST_BITS);
        }
        if (c->egress_bits) {
                json_set_i64(o, "egressRate", (int64_t)c->egress_bits);
                json_set_i64(o, "egressBurst", BURST_BITS);
        }
        return o;
}

/* The words of a line behind the first one. */
static void add_words(struct json_object *list, struct str_span line)
{
        bool first = true;

        for (const char *s = line.s, *end = line.s + line.n; s < end;) {
                size_t n = strcspn(s, " \t\n");

                n = MIN(n, (size_t)(end - s));
                if (n && !first)
                        json_object_array_add(list, json_object_new_string_len(s, (int)n));
                first = first && !n;
                s += n + 1;
        }
}

static bool begins(struct str_span line, const char *word)
{
        size_t n = strlen(word);

        return line.n > n && memcmp(line.s, word, n) == 0 && (line.s[n] == ' ' || line.s[n] == '\t');
}

/* resolv.conf: nameservers add up, of search and options the last line counts. */
static struct json_object *dns(const char *resolv_conf)
{
        struct json_object *o = json_object_new_object(), *servers = json_object_new_array();
        struct str_span line;

        json_set(o, "servers", servers);
        for (const char *rest = resolv_conf; str_split(&rest, '\n', &line);) {
                const char *key = begins(line, "search") ? "searches" : begins(line, "options") ? "options" : NULL;

                if (begins(line, "nameserver"))
                        add_words(servers, line);
                if (!key)
                        continue;
                json_set(o, key, json_object_new_array());
                add_words(json_get(o, key), line);
        }
        return o;
}

struct json_object *cni_asked(const struct sandbox_config *c)
{
        struct json_object *o = json_object_new_object(), *ips, *annotations;

        if (c->nports)
                json_set(o, "portMappings", port_mappings(c));
        if (c->ingress_bits || c->egress_bits)
                json_set(o, "bandwidth", bandwidth(c));
        if (c->resolv_conf)
                json_set(o, "dns", dns(c->resolv_conf));
        if (c->ips && c->ips[0]) {
                ips = json_object_new_array();
                for (const char *const *ip = c->ips; *ip; ip++)
                        json_object_array_add(ips, json_object_new_string(*ip));
                json_set(o, "ips", ips);
        }
        if (c->nannotations) {
                annotations = json_ensure(o, "io.kubernetes.cri.pod-annotations");
                for (size_t i = 0; i < c->nannotations; i++)
                        json_set_str(annotations, c->annotations[i].key, c->annotations[i].value);
        }
        return o;
}

static bool declares(const struct json_object *plugin, const char *capability)
{
        return json_get_bool(json_get(plugin, "capabilities"), capability, false);
}

const char *cni_list_lacks(const struct json_object *list, const struct json_object *asked)
{
        static const char *const needed[] = {"portMappings", "bandwidth", "ips"};

        for (size_t n = 0; n < ARRAY_SIZE(needed); n++) {
                bool there = !json_has(asked, needed[n]);

                json_array_foreach (json_get(list, "plugins"), i, plugin)
                        there = there || declares(plugin, needed[n]);
                if (!there)
                        return needed[n];
        }
        return NULL;
}

struct json_object *cni_plugin_input(const struct json_object *list, size_t i, const struct json_object *asked,
                                     struct json_object *prev_result)
{
        const struct json_object *plugin = json_idx(json_get(list, "plugins"), i);
        struct json_object *o = json_copy(plugin);

        json_set_str(o, "name", json_get_str(list, "name"));
        json_set_str(o, "cniVersion", json_get_str(list, "cniVersion"));
        json_del(o, "cniVersions");
        json_foreach (asked, capability, value)
                if (declares(plugin, capability))
                        json_set(json_ensure(o, "runtimeConfig"), capability, json_object_get(value));
        if (prev_result)
                json_set(o, "prevResult", json_object_get(prev_result));
        return o;
}

const char *cni_plugin_type(const struct json_object *list, size_t i)
{
        return json_get_str(json_idx(json_get(list, "plugins"), i), "type") ?: "";
}

/* Of "10.0.0.1/24". 0 or -EINVAL. */
static int address_of(const char *cidr, char ret[static INET6_ADDRSTRLEN])
{
        unsigned char binary[16];
        char text[INET6_ADDRSTRLEN];
        size_t n = cidr ? strcspn(cidr, "/") : sizeof(text);

        if (n >= sizeof(text))
                return -EINVAL;
        memcpy(text, cidr, n);
        text[n] = '\0';
        if (inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, binary) != 1)
                return -EINVAL;
        memcpy(ret, text, n + 1);
        return 0;
}

int cni_result_parse(const char *text, size_t len, struct json_object **ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        char ip[INET6_ADDRSTRLEN];
        int r = json_parse(text, len, &o, reterr);

        if (r)
                return err_prefix(reterr, r, "its result is no JSON");
        if (!json_is_object(o))
                return err_set(reterr, -EINVAL, "its result is no JSON object");
        if (json_has(o, "ips") && !json_is_array(json_get(o, "ips")))
                return err_set(reterr, -EINVAL, "ips of its result: must be a list");
        json_array_foreach (json_get(o, "ips"), i, entry)
                if (address_of(json_get_str(entry, "address"), ip))
                        return err_set(reterr, -EINVAL,
                                       "ips[%zu].address of its result: must be an address like "
                                       "\"10.0.0.1/24\"",
                                       i);
        *ret = TAKE_PTR(o);
        return 0;
}

/* An address without an interface is the pod's. */
static bool is_of_pod(const struct json_object *result, const struct json_object *ip)
{
        int64_t i = json_get_i64(ip, "interface", -1);
        const struct json_object *interface;

        if (i < 0)
                return true;
        interface = json_idx(json_get(result, "interfaces"), (size_t)i);
        return str_eq(json_get_str(interface, "name"), CNI_IFNAME) && !str_empty(json_get_str(interface, "sandbox"));
}

struct json_object *cni_result_ips(const struct json_object *result)
{
        struct json_object *a = json_object_new_array();
        char ip[INET6_ADDRSTRLEN];

        json_array_foreach (json_get(result, "ips"), i, entry)
                if (is_of_pod(result, entry) && address_of(json_get_str(entry, "address"), ip) == 0)
                        json_object_array_add(a, json_object_new_string(ip));
        return a;
}

int cni_error_parse(const char *text, size_t len, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        const char *msg, *details;

        if (json_parse(text, len, &o, NULL))
                return 0;
        msg = json_get_str(o, "msg");
        details = json_get_str(o, "details");
        if (!msg)
                return 0;
        err_set(reterr, -EIO, str_empty(details) ? "%s" : "%s: %s", msg, details);
        return (int)json_get_i64(o, "code", 0);
}
