/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/view.h"
#include "datapath/address.h"

#define EXIT_WITH(status) ((status) + 1)

static const char *value_of(const char *arg, const char *name, int *i, int argc, char **argv)
{
        const char *rest = str_after(arg, name);

        if (!rest || (*rest && *rest != '='))
                return NULL;
        if (*rest == '=')
                return rest + 1;
        return *i + 1 < argc ? argv[++*i] : NULL;
}

static bool take_flag(const char *arg, const struct view_flag *flag, int *i, int argc, char **argv)
{
        if (!flag->value) {
                if (strcmp(arg, flag->name) != 0)
                        return false;
                *flag->set = true;
                return true;
        }
        const char *value = value_of(arg, flag->name, i, argc, argv);

        if (value)
                *flag->value = value;
        return value != NULL;
}

static int wrong_usage(const struct view *v, const char *arg)
{
        fprintf(stderr, "fairctl %s: cannot use `%s`; see fairctl %s --help\n", v->command, arg, v->command);
        return EXIT_WITH(2);
}

static bool take_own_flag(const char *arg, const struct view_flag *flags, int *i, int argc, char **argv)
{
        for (const struct view_flag *f = flags; f->name; f++)
                if (take_flag(arg, f, i, argc, argv))
                        return true;
        return false;
}

static int parse_flags(struct view *v, int argc, char **argv, const struct view_flag *flags, const char *help)
{
        const char *format = NULL;
        const struct view_flag common[] = {
                {"-o", &format, NULL},
                {"--output", &format, NULL},
                {"--pin-root", &v->pin_root, NULL},
                {"--run-dir", &v->run_dir, NULL},
                {NULL, NULL, NULL},
        };

        for (int i = 1; i < argc; i++) {
                const char *arg = argv[i];

                if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
                        fputs(help, stdout);
                        return EXIT_WITH(0);
                }
                if (!take_own_flag(arg, common, &i, argc, argv) && !take_own_flag(arg, flags, &i, argc, argv))
                        return wrong_usage(v, arg);
        }
        if (format && strcmp(format, "json") != 0 && strcmp(format, "table") != 0) {
                fprintf(stderr, "fairctl %s: -o %s: give json or table\n", v->command, format);
                return EXIT_WITH(2);
        }
        v->json = format && strcmp(format, "json") == 0;
        return 0;
}

int view_open(struct view *v, int argc, char **argv, const struct view_flag *flags, const char *help)
{
        struct err err = ERR_NULL;
        int r;

        v->pin_root = "/sys/fs/bpf/fairlead";
        v->run_dir = "/run/fairlead";
        v->maps = MAPS_NULL;
        r = parse_flags(v, argc, argv, flags, help);
        if (r)
                return r;
        r = maps_open_pinned(&v->maps, v->pin_root, true, &err);
        if (r == -ENOENT)
                fprintf(stderr,
                        "fairctl %s: no dataplane is loaded here: nothing is pinned below %s. Start fairlead-agent, or "
                        "name its place with --pin-root\n",
                        v->command, v->pin_root);
        else if (r)
                fprintf(stderr, "fairctl %s: %s%s\n", v->command, err.msg,
                        r == -EPERM || r == -EACCES ? " (reading BPF maps needs root)" : "");
        return r ? EXIT_WITH(1) : 0;
}

int view_open_list(struct view *v, int argc, char **argv, const struct view_flag *flags, const char *help)
{
        bool list = argc > 1 && strcmp(argv[1], "list") == 0;

        if (!list && (argc < 2 || strcmp(argv[1], "--help") != 0)) {
                fprintf(stderr, "fairctl %s: use `fairctl %s`; see fairctl %s --help\n", argv[0], v->command,
                        v->command);
                return EXIT_WITH(2);
        }
        return view_open(v, argc - list, argv + list, flags, help);
}

void view_close(struct view *v)
{
        maps_deinit(&v->maps);
}

int view_print(const struct view *v, struct table *t)
{
        table_sort(t);
        if (v->json)
                table_print_json(t, stdout);
        else
                table_print(t, stdout);
        table_deinit(t);
        return fflush(stdout) ? 1 : 0;
}

const char *view_service_name(const struct view *v, uint32_t id, char buf[static SERVICE_NAME_SIZE])
{
        struct service_name name;

        if (id && map_lookup(v->maps.m[MAP_SERVICE_NAMES], &id, &name) == 0 && *name.name) {
                memcpy(buf, name.name, SERVICE_NAME_SIZE);
                buf[SERVICE_NAME_SIZE - 1] = '\0';
        } else {
                snprintf(buf, SERVICE_NAME_SIZE, id ? "#%" PRIu32 : "-", id);
        }
        return buf;
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

uint32_t view_flow_now(void)
{
        return (uint32_t)(clock_mono_ms() / 1000);
}

#define STATUS_LIMIT (4U << 20)

struct json_object *view_agent_status(const struct view *v)
{
        _cleanup_free_ char *path = mem_printf("%s/status.json", v->run_dir), *text = NULL;
        struct json_object *o = NULL;
        size_t len;

        if (file_read(path, STATUS_LIMIT, &text, &len, NULL) || json_parse(text, len, &o, NULL))
                return NULL;
        return o;
}

void view_timeouts(const struct view *v, struct flow_timeouts *ret)
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
        _cleanup_json_ struct json_object *status = view_agent_status(v);
        const struct json_object *timeouts = json_get(status, "timeouts");

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                *(uint32_t *)((char *)ret + fields[i].offset) =
                        (uint32_t)json_get_i64(timeouts, fields[i].key, fields[i].otherwise);
}
