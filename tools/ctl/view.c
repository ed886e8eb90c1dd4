/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/view.h"
#include "datapath/address.h"
#include "datapath/pinned.h"

#define STATUS_LIMIT (4U << 20)

int view_wrong(const struct view *v, const char *fmt, ...)
{
        va_list ap;

        fprintf(stderr, "fairctl %s: ", v->command);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        return 2;
}

/* no-color.org: NO_COLOR, when it is there and not empty. */
static bool wants_color(const char *when)
{
        const char *term = getenv("TERM");

        if (when && str_eq(when, "always"))
                return true;
        if (when && str_eq(when, "never"))
                return false;
        return isatty(STDOUT_FILENO) && str_empty(getenv("NO_COLOR")) && !str_empty(term) && !str_eq(term, "dumb");
}

static void set_format(struct view *v)
{
        const char *format = view_value(v, "-o");

        v->json = format && str_eq(format, "json");
        v->format = v->json ? TABLE_JSON : format && str_eq(format, "wide") ? TABLE_WIDE : TABLE_TEXT;
        v->color = !v->json && wants_color(view_value(v, "--color"));
}

static void complain_maps(const struct view *v, int r, const struct err *err)
{
        if (r == -ENOENT && access(v->pin_root, F_OK))
                fprintf(stderr,
                        "fairctl %s: is fairlead-agent running on this node? Nothing is pinned below %s. Start the "
                        "agent, or name its place with --pin-root\n",
                        v->command, v->pin_root);
        else if (r == -EACCES || r == -EPERM)
                fprintf(stderr, "fairctl %s: %s: reading BPF maps needs root\n", v->command, err->msg);
        else
                fprintf(stderr, "fairctl %s: %s\n", v->command, err->msg);
}

static int open_maps(struct view *v, struct err *reterr)
{
        v->pin_root = view_value(v, "--pin-root") ?: "/sys/fs/bpf/fairlead";
        v->run_dir = view_value(v, "--run-dir") ?: "/run/fairlead";
        return maps_open_pinned(&v->maps, v->pin_root, true, reterr);
}

int view_open(struct view *v)
{
        struct err err = ERR_NULL;
        int r;

        v->command = v->cli.command->name;
        if (v->cli.command->prints)
                set_format(v);
        if (!v->cli.command->has_maps)
                return 0;
        r = open_maps(v, &err);
        v->maps_result = r;
        v->maps_err = err;
        return v->cli.command->maps_optional ? 0 : view_need_maps(v);
}

int view_need_maps(struct view *v)
{
        if (!v->maps_result)
                return 0;
        complain_maps(v, v->maps_result, &v->maps_err);
        return v->cli.command->blind ?: 1;
}

int view_open_quietly(struct view *v)
{
        return open_maps(v, NULL);
}

void view_close(struct view *v)
{
        for (uint32_t i = 0; v->names && i < SERVICE_IDS; i++)
                free(v->names[i]);
        free(v->names);
        json_object_put(v->agent);
        maps_deinit(&v->maps);
        cli_deinit(&v->cli);
}

/* ---- tables */

void view_table(const struct view *v, struct table *ret)
{
        table_init(ret, v->cli.command->columns, v->cli.command->width, v->format, v->color);
}

int view_print(const struct view *v, struct table *t)
{
        table_print(t, stdout);
        table_deinit(t);
        return fflush(stdout) ? 1 : 0;
}

/* ---- texts */

static char *read_name(const struct view *v, uint32_t id)
{
        struct service_name name;

        if (map_lookup(v->maps.m[MAP_SERVICE_NAMES], &id, &name) || !*name.name)
                return mem_printf("#%" PRIu32, id);
        return mem_strndup(name.name, SERVICE_NAME_SIZE - 1);
}

const char *view_service_name(struct view *v, uint32_t id)
{
        if (id == 0 || id >= SERVICE_IDS)
                return "-";
        if (!v->names)
                v->names = mem_zalloc(SERVICE_IDS * sizeof(*v->names));
        if (!v->names[id])
                v->names[id] = read_name(v, id);
        return v->names[id];
}

const char *view_proto(uint8_t proto, char buf[static 8])
{
        static const struct {
                uint8_t number;
                const char *name;
        } names[] = {{IPPROTO_TCP, "TCP"},
                     {IPPROTO_UDP, "UDP"},
                     {IPPROTO_SCTP, "SCTP"},
                     {IPPROTO_ICMP, "ICMP"},
                     {IPPROTO_ICMPV6, "ICMPv6"}};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (names[i].number == proto)
                        return strcpy(buf, names[i].name);
        snprintf(buf, 8, "%u", proto);
        return buf;
}

bool view_is_any(const struct addr *a)
{
        static const struct addr none;
        struct addr any = address_of_v4(0);

        return address_equal(a, &any) || address_equal(a, &none);
}

const char *view_endpoint(const struct addr *a, __be16 port, char buf[static 64])
{
        if (view_is_any(a))
                snprintf(buf, 64, address_is_v4(a) ? "*:%u" : "[*]:%u", ntohs(port));
        else
                address_port_text(a, port, buf);
        return buf;
}

const char *view_age(uint64_t s, char buf[static 16])
{
        if (s < 60)
                snprintf(buf, 16, "%us", (unsigned int)s);
        else if (s < 3600)
                snprintf(buf, 16, "%um%us", (unsigned int)(s / 60), (unsigned int)(s % 60));
        else if (s < 86400)
                snprintf(buf, 16, "%uh%um", (unsigned int)(s / 3600), (unsigned int)(s % 3600 / 60));
        else
                snprintf(buf, 16, "%ud%uh", (unsigned int)(s / 86400), (unsigned int)(s % 86400 / 3600));
        return buf;
}

const char *view_amount(uint64_t n, char buf[static 16])
{
        static const char units[] = "kMGTPE";
        double x = (double)n;
        int unit = -1;

        if (n < 10000) {
                snprintf(buf, 16, "%u", (unsigned int)n);
                return buf;
        }
        while (x >= 999.95 && units[unit + 1]) {
                x /= 1000;
                unit++;
        }
        snprintf(buf, 16, "%.1f%c", x, units[unit]);
        return buf;
}

const char *view_mac(const __u8 mac[static 6], char buf[static 18])
{
        snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        return buf;
}

/* ---- maps */

int view_sum(const struct view *v, enum map_id id, uint32_t index, uint64_t *ret, size_t n)
{
        const struct map *m = v->maps.m[id];
        size_t stride = (map_info(m)->value_size + 7) / 8, cpus = (size_t)map_cpus();
        _cleanup_free_ uint64_t *values = mem_zalloc(stride * cpus * sizeof(*values));
        int r = map_lookup(m, &index, values);

        if (r)
                return r;
        memset(ret, 0, n * sizeof(*ret));
        for (size_t cpu = 0; cpu < cpus; cpu++)
                for (size_t i = 0; i < n; i++)
                        ret[i] += values[cpu * stride + i];
        return 0;
}

int view_slots(const struct view *v, struct slot_range range, uint32_t **ret)
{
        _cleanup_free_ uint32_t *ids = mem_realloc(NULL, MAX(range.size, 1U), sizeof(*ids));
        struct slot_line line;
        uint32_t at = UINT32_MAX;

        for (uint32_t i = 0; i < range.size; i++) {
                uint32_t slot = range.base + i, index = slot / SLOT_LINE;
                int r;

                if (index != at) {
                        r = map_lookup(v->maps.m[MAP_SLOTS], &index, &line);
                        if (r)
                                return r;
                        at = index;
                }
                ids[i] = line.backend[slot % SLOT_LINE];
        }
        *ret = TAKE_PTR(ids);
        return 0;
}

/* ---- the agent */

const struct json_object *view_agent_status(struct view *v)
{
        _cleanup_free_ char *path = mem_printf("%s/status.json", v->run_dir), *text = NULL;
        size_t len;

        if (!v->agent_read && file_read(path, STATUS_LIMIT, &text, &len, NULL) == 0)
                json_parse(text, len, &v->agent, NULL);
        v->agent_read = true;
        return v->agent;
}

/* A number may be another process's by now. */
static bool is_agent(pid_t pid)
{
        _cleanup_free_ char *path = mem_printf("/proc/%d/comm", (int)pid), *name = NULL;

        return pid > 0 && file_read(path, 4096, &name, NULL, NULL) == 0 && str_has_prefix(name, "fairlead-agent");
}

bool view_agent_runs(struct view *v)
{
        return pinned_in_use(v->pin_root) || is_agent((pid_t)json_get_i64(view_agent_status(v), "pid", 0));
}

static void agent_timeouts(struct view *v, struct flow_timeouts *ret)
{
        static const struct {
                const char *key;
                size_t offset;
                uint32_t otherwise;
        } fields[] = {
                {"tcp_syn", offsetof(struct flow_timeouts, tcp_syn), 60},
                {"tcp_established", offsetof(struct flow_timeouts, tcp_established), 8000},
                {"tcp_closing", offsetof(struct flow_timeouts, tcp_closing), 10},
                {"udp", offsetof(struct flow_timeouts, udp), 30},
                {"udp_stream", offsetof(struct flow_timeouts, udp_stream), 120},
                {"icmp", offsetof(struct flow_timeouts, icmp), 30},
        };
        const struct json_object *timeouts = json_get(view_agent_status(v), "timeouts");

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                *(uint32_t *)((char *)ret + fields[i].offset) =
                        (uint32_t)json_get_i64(timeouts, fields[i].key, fields[i].otherwise);
}

void view_timeouts(struct view *v, struct flow_timeouts *ret)
{
        struct knobs knobs;

        if (pinned_knobs(v->pin_root, &knobs) == 0)
                *ret = knobs.timeouts;
        else
                agent_timeouts(v, ret);
}
