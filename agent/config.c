/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults, the command line, and what must fit together. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_setting.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define SETTINGS_MAX 128

struct command_line {
        int argc;
        char **argv;
        struct agent_config *config;
        bool given[SETTINGS_MAX]; /* by a flag: lists of the file are replaced once */
        struct err *reterr;
};

/* One flag: "--name value", "--name=value". */
struct flag {
        char name[64];
        const char *value; /* behind '=', or NULL */
};

static int set_defaults(struct agent_config *c, struct err *reterr)
{
        char host[256];
        int r;

        for (size_t i = 0; i < settings_count; i++) {
                if (!settings[i].value)
                        continue;
                r = setting_set(&settings[i], c, settings[i].value, reterr);
                if (r)
                        return r;
        }
        if (gethostname(host, sizeof(host) - 1))
                return err_set(reterr, -errno, "the host's name cannot be read: %s; give --node-name", strerror(errno));
        host[sizeof(host) - 1] = '\0';
        for (char *p = host; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        c->node_name = mem_strdup(host);
        return 0;
}

static int split_flag(const struct command_line *l, const char *arg, struct flag *ret)
{
        const char *name = str_after(arg, "--"), *equals;
        size_t n;

        if (!name)
                return err_set(l->reterr, -EINVAL, "unexpected argument %s; settings look like --node-name=n1", arg);
        equals = strchr(name, '=');
        n = equals ? (size_t)(equals - name) : strlen(name);
        if (!n || n >= sizeof(ret->name))
                return err_set(l->reterr, -EINVAL, "%s: there is no such flag; see --help", arg);
        memcpy(ret->name, name, n);
        ret->name[n] = '\0';
        ret->value = equals ? equals + 1 : NULL;
        return 0;
}

static int unknown_flag(const struct command_line *l, const char *name)
{
        const struct setting *like = setting_like(name);
        char buf[64];

        if (like)
                return err_set(l->reterr, -EINVAL, "--%s: there is no such flag; is --%s meant?", name,
                               setting_flag(like, buf));
        return err_set(l->reterr, -EINVAL, "--%s: there is no such flag; see --help", name);
}

static int add_items(const struct setting *s, struct agent_config *c, const char *value, struct err *reterr)
{
        const char *rest = value;
        struct str_span piece;
        int r = 0;

        while (!r && *value && str_split(&rest, ',', &piece)) {
                _cleanup_free_ char *item = mem_strndup(piece.s, piece.n);

                r = setting_set(s, c, item, reterr);
        }
        return r;
}

static int set_flag(struct command_line *l, const struct setting *s, const char *name, const char *value)
{
        size_t i = (size_t)(s - settings);
        int r;

        if (!l->given[i])
                setting_clear(s, l->config);
        l->given[i] = true;
        r = setting_is_list(s) ? add_items(s, l->config, value, l->reterr)
                               : setting_set(s, l->config, value, l->reterr);
        return r ? err_prefix(l->reterr, r, "--%s", name) : 0;
}

static bool is_switch(const struct setting *s)
{
        return s && s->type == SETTING_BOOL;
}

/* Goes through all flags: set false finds --config, --help and --version only, which decide what else is read. */
static int read_flags(struct command_line *l, bool set, const char **ret_file)
{
        struct flag f;
        int r = 0;

        for (int i = 1; !r && i < l->argc; i++) {
                const struct setting *s;

                r = split_flag(l, l->argv[i], &f);
                if (r)
                        return r;
                if (str_eq(f.name, "help") || str_eq(f.name, "version")) {
                        if (str_eq(f.name, "help"))
                                config_print_help();
                        else
                                puts("fairlead-agent " FAIRLEAD_VERSION);
                        return CONFIG_EXIT;
                }
                s = setting_find_flag(f.name);
                if (!s && !str_eq(f.name, "config"))
                        return unknown_flag(l, f.name);
                if (!f.value && is_switch(s))
                        f.value = "true";
                else if (!f.value && i + 1 == l->argc)
                        return err_set(l->reterr, -EINVAL, "--%s: needs a value", f.name);
                else if (!f.value)
                        f.value = l->argv[++i];
                if (!s)
                        *ret_file = f.value;
                else if (set)
                        r = set_flag(l, s, f.name, f.value);
        }
        return r;
}

/* ---- what must fit together ---- */

static int check_pair(const char *low_key, uint32_t low, const char *high_key, uint32_t high, struct err *reterr)
{
        if (low <= high)
                return 0;
        return err_set(reterr, -EINVAL, "%s is %u and %s is %u: the first must not be above the second", low_key, low,
                       high_key, high);
}

static int check_health_address(const char *address, struct err *reterr)
{
        const char *colon = strrchr(address, ':');
        char host[64] = "";
        struct in6_addr bytes;
        size_t n = colon ? (size_t)(colon - address) : 0;
        bool brackets = n > 2 && address[0] == '[' && address[n - 1] == ']';
        uint16_t port;

        if (n && n < sizeof(host))
                memcpy(host, address + brackets, n - 2 * brackets);
        if (!colon || str_parse_u16(colon + 1, &port) || inet_pton(brackets ? AF_INET6 : AF_INET, host, &bytes) != 1)
                return err_set(reterr, -EINVAL,
                               "healthAddress: \"%s\" is no address and port, such as 0.0.0.0:10256 or [::]:10256",
                               address);
        return 0;
}

static int check_texts(const struct agent_config *c, struct err *reterr)
{
        enum log_level level;

        if (str_empty(c->node_name) || strlen(c->node_name) > 253)
                return err_set(reterr, -EINVAL, "nodeName: must be the name of this machine's Node object");
        if (log_level_parse(c->log_level, &level))
                return err_set(reterr, -EINVAL, "logLevel: \"%s\" is none; use debug, info, warn or error",
                               c->log_level);
        if (c->pin_root[0] != '/' || c->run_dir[0] != '/' || c->cni_conf_dir[0] != '/' ||
            (c->cgroup_root && c->cgroup_root[0] != '/'))
                return err_set(reterr, -EINVAL,
                               "pinRoot, cgroupRoot, runDir and cniConfDir must be absolute: begin with /");
        if (!*c->cni_conf_name || strchr(c->cni_conf_name, '/'))
                return err_set(reterr, -EINVAL, "cniConfName: \"%s\" must be a file's name without a folder",
                               c->cni_conf_name);
        return *c->health_address ? check_health_address(c->health_address, reterr) : 0;
}

static int check(const struct agent_config *c, struct err *reterr)
{
        int r = check_pair("nodePortMin", c->nodeport_min, "nodePortMax", c->nodeport_max, reterr);

        if (!r)
                r = check_pair("snatPortMin", c->snat_port_min, "snatPortMax", c->snat_port_max, reterr);
        if (!r)
                r = check_pair("minSync", c->min_sync_ms, "maxSync", c->max_sync_ms, reterr);
        if (!r && (c->mark & (c->mark - 1)))
                r = err_set(reterr, -EINVAL, "mark: 0x%x has several bits set; give one, such as 0x00800000", c->mark);
        if (!r && c->mtu && c->mtu < 576)
                r = err_set(reterr, -EINVAL, "mtu: %u is too small for IPv4; use 0 (automatic) or 576 and more",
                            c->mtu);
        if (!r && c->snat_port_min <= c->nodeport_max && c->nodeport_min <= c->snat_port_max)
                r = err_set(reterr, -EINVAL, "snatPortMin to snatPortMax (%u-%u) overlaps the NodePorts (%u-%u)",
                            c->snat_port_min, c->snat_port_max, c->nodeport_min, c->nodeport_max);
        return r ? r : check_texts(c, reterr);
}

static int parse(struct command_line *l)
{
        const char *file = NULL;
        int r = read_flags(l, false, &file);

        if (!r)
                r = set_defaults(l->config, l->reterr);
        if (!r && file)
                r = config_read_file(file, l->config, l->reterr);
        if (!r)
                r = read_flags(l, true, &file);
        return r ? r : check(l->config, l->reterr);
}

int agent_config_parse(int argc, char **argv, struct agent_config *ret, struct err *reterr)
{
        struct agent_config c = {0};
        struct command_line l = {.argc = argc, .argv = argv, .config = &c, .reterr = reterr};
        int r = parse(&l);

        if (r)
                agent_config_deinit(&c);
        else
                *ret = c;
        return r;
}

void agent_config_deinit(struct agent_config *config)
{
        for (size_t i = 0; i < settings_count; i++)
                if (!setting_is_heading(&settings[i]))
                        setting_clear(&settings[i], config);
        *config = (struct agent_config){0};
}
