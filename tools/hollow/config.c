/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "hollow/config.h"
#include "kube/quantity.h"

#define NODES_MAX 16384 /* so many /24 has the range of made-up pod addresses */

static const char help[] =
        "fairlead-hollow " FAIRLEAD_VERSION ": nodes that are only played, for tests of controllers and schedulers\n"
        "\n"
        "Usage: fairlead-hollow [flags]\n"
        "\n"
        "Registers nodes at any Kubernetes API server, sends their heartbeats, and says of every pod that is bound to\n"
        "one of them what a kubelet would: that it runs, is ready, ends. Nothing is run. Annotations of a pod,\n"
        "" PLAN_PREFIX "..., say what it is to do; tools/hollow/README.md lists them.\n"
        "\n"
        "  --kubeconfig FILE        (default $KUBECONFIG, the pod's service account, ~/.kube/config)\n"
        "Nodes:\n"
        "  --nodes N                how many (default 10, at most 16384)\n"
        "  --prefix TEXT            their names: TEXT and a number (default hollow-)\n"
        "  --first N                the first number, so that several may run beside each other (default 0)\n"
        "  --zones N                label topology.kubernetes.io/zone: zone-0 to zone-(N-1), taking turns (default 1)\n"
        "  --label KEY=VALUE        may be repeated\n"
        "  --taint KEY[=VALUE]:EFFECT  may be repeated\n"
        "  --capacity NAME=QUANTITY may be repeated (default cpu=32, memory=256Gi, ephemeral-storage=1Ti, pods=110)\n"
        "  --untaint                takes the taint node.kubernetes.io/not-ready, with which nodes begin, off them "
        "itself;\n"
        "                           for clusters without a node controller\n"
        "  --image NAME=BYTES       an image that every node has; may be repeated\n"
        "  --lease-period DURATION  between renewals of a node's Lease (default 10s)\n"
        "  --status-period DURATION between reports of its conditions (default 5m)\n"
        "Pods whose annotations do not say otherwise:\n"
        "  --ready-after DURATION   from start to readiness (default 0s)\n"
        "  --stop-after DURATION    from deletion to end, at most the grace period; or grace (default 0s)\n"
        "  --job-run-for DURATION   how long pods of Jobs run; or never, for without end (default 0s)\n"
        "Control:\n"
        "  --control PATH           socket for commands (kill NODE, revive NODE, restart NODE, stats, help)\n"
        "  --stdin                  takes the same commands from standard input\n"
        "Other:\n"
        "  --parallel N             requests at a time (default 32)\n"
        "  --log-level LEVEL        debug, info, warn, error (default info)\n"
        "  --help, --version\n"
        "\n"
        "It keeps nothing: started again, it goes on from what the API says. Signals: TERM and INT end it; the nodes\n"
        "stay, and become unready when their Leases are not renewed.\n";

enum flag_kind {
        FLAG_TEXT,
        FLAG_NUMBER,
        FLAG_DURATION,
        FLAG_DURATION_OR_GRACE,
        FLAG_DURATION_OR_NEVER,
        FLAG_PAIRS,
        FLAG_TAINT,
        FLAG_TRUE,
        FLAG_LOG_LEVEL,
        FLAG_HELP,
        FLAG_VERSION,
};

#define AT(field) offsetof(struct hollow_config, field)

static const struct flag {
        const char *name;
        enum flag_kind kind;
        size_t offset;
        uint64_t min, max; /* of a number, or of a duration in ms */
} flags[] = {
        {"kubeconfig", FLAG_TEXT, AT(kubeconfig), 0, 0},
        {"nodes", FLAG_NUMBER, AT(nodes), 1, NODES_MAX},
        {"prefix", FLAG_TEXT, AT(prefix), 0, 0},
        {"first", FLAG_NUMBER, AT(first), 0, 1000000},
        {"zones", FLAG_NUMBER, AT(zones), 1, 1000},
        {"label", FLAG_PAIRS, AT(labels), 0, 0},
        {"taint", FLAG_TAINT, AT(taints), 0, 0},
        {"capacity", FLAG_PAIRS, AT(capacity), 0, 0},
        {"image", FLAG_PAIRS, AT(images), 0, 0},
        {"lease-period", FLAG_DURATION, AT(lease_period_ms), 100, 3600000},
        {"status-period", FLAG_DURATION, AT(status_period_ms), 100, 86400000},
        {"ready-after", FLAG_DURATION, AT(pods.ready_after), 0, 86400000},
        {"stop-after", FLAG_DURATION_OR_GRACE, AT(pods.stop_after), 0, 86400000},
        {"job-run-for", FLAG_DURATION_OR_NEVER, AT(pods.job_run_for), 0, 86400000},
        {"untaint", FLAG_TRUE, AT(untaint), 0, 0},
        {"control", FLAG_TEXT, AT(control), 0, 0},
        {"stdin", FLAG_TRUE, AT(use_stdin), 0, 0},
        {"parallel", FLAG_NUMBER, AT(parallel), 1, 1000},
        {"log-level", FLAG_LOG_LEVEL, AT(log_level), 0, 0},
        {"help", FLAG_HELP, 0, 0, 0},
        {"version", FLAG_VERSION, 0, 0, 0},
};

static bool takes_value(const struct flag *f)
{
        return f->kind != FLAG_TRUE && f->kind != FLAG_HELP && f->kind != FLAG_VERSION;
}

static int set_number(uint32_t *ret, const struct flag *f, const char *value, struct err *reterr)
{
        uint64_t n;

        if (str_parse_u64(value, &n) || n < f->min || n > f->max)
                return err_set(reterr, -EINVAL, "--%s %s: use a number from %llu to %llu", f->name, value,
                               (unsigned long long)f->min, (unsigned long long)f->max);
        *ret = (uint32_t)n;
        return 0;
}

static int set_duration(int64_t *ret, const struct flag *f, const char *value, struct err *reterr)
{
        const char *word = f->kind == FLAG_DURATION_OR_GRACE   ? "grace"
                           : f->kind == FLAG_DURATION_OR_NEVER ? "never"
                                                               : NULL;
        int64_t ns, ms;

        if (word && str_eq(value, word)) {
                *ret = PLAN_NEVER;
                return 0;
        }
        if (str_parse_duration(value, &ns))
                return err_set(reterr, -EINVAL, "--%s %s: use a duration such as 500ms, 2s or 1m%s%s", f->name, value,
                               word ? ", or " : "", word ? word : "");
        ms = ns / (int64_t)NS_PER_MS;
        if (ms < (int64_t)f->min || ms > (int64_t)f->max)
                return err_set(reterr, -EINVAL, "--%s %s: use a duration from %llums to %llus", f->name, value,
                               (unsigned long long)f->min, (unsigned long long)f->max / 1000);
        *ret = ms;
        return 0;
}

static int add_pair(struct config_list *list, const struct flag *f, const char *value, char separator,
                    struct err *reterr)
{
        const char *cut = strrchr(value, separator);

        if (!cut || cut == value)
                return err_set(reterr, -EINVAL, "--%s %s: use %s", f->name, value,
                               f->kind == FLAG_TAINT ? "KEY=VALUE:EFFECT or KEY:EFFECT" : "NAME=VALUE");
        if (list->n == CONFIG_LIST_MAX)
                return err_set(reterr, -EINVAL, "--%s: at most %d of them", f->name, CONFIG_LIST_MAX);
        list->items[list->n++] = (struct config_pair){mem_strndup(value, (size_t)(cut - value)), cut + 1};
        return 0;
}

static int set_log_level(enum log_level *ret, const char *value, struct err *reterr)
{
        if (log_level_parse(value, ret))
                return err_set(reterr, -EINVAL, "--log-level %s: use debug, info, warn or error", value);
        return 0;
}

static int set_flag(struct hollow_config *c, const struct flag *f, const char *value, struct err *reterr)
{
        void *at = (char *)c + f->offset;

        switch (f->kind) {
        case FLAG_TEXT:
                *(const char **)at = value;
                return 0;
        case FLAG_NUMBER:
                return set_number(at, f, value, reterr);
        case FLAG_DURATION:
        case FLAG_DURATION_OR_GRACE:
        case FLAG_DURATION_OR_NEVER:
                return set_duration(at, f, value, reterr);
        case FLAG_PAIRS:
                return add_pair(at, f, value, '=', reterr);
        case FLAG_TAINT:
                return add_pair(at, f, value, ':', reterr);
        case FLAG_TRUE:
                *(bool *)at = true;
                return 0;
        case FLAG_LOG_LEVEL:
                return set_log_level(at, value, reterr);
        case FLAG_HELP:
                fputs(help, stdout);
                return CONFIG_EXIT;
        case FLAG_VERSION:
                puts("fairlead-hollow " FAIRLEAD_VERSION);
                return CONFIG_EXIT;
        }
        return 0;
}

static int check_quantities(const struct config_list *list, struct err *reterr)
{
        for (size_t i = 0; i < list->n; i++) {
                struct quantity q;

                if (quantity_parse(list->items[i].value, &q, NULL))
                        return err_set(reterr, -EINVAL, "--capacity %s=%s: use a quantity such as 4, 500m or 16Gi",
                                       list->items[i].key, list->items[i].value);
        }
        return 0;
}

static int check_effects(const struct config_list *list, struct err *reterr)
{
        for (size_t i = 0; i < list->n; i++) {
                const char *effect = list->items[i].value;

                if (!str_eq(effect, "NoSchedule") && !str_eq(effect, "PreferNoSchedule") &&
                    !str_eq(effect, "NoExecute"))
                        return err_set(reterr, -EINVAL,
                                       "--taint %s:%s: the effect is NoSchedule, PreferNoSchedule or NoExecute",
                                       list->items[i].key, effect);
        }
        return 0;
}

static int check_images(const struct config_list *list, struct err *reterr)
{
        for (size_t i = 0; i < list->n; i++) {
                uint64_t bytes;

                if (str_parse_u64(list->items[i].value, &bytes) || bytes > INT64_MAX)
                        return err_set(reterr, -EINVAL, "--image %s=%s: use NAME=BYTES, such as nginx:1.27=192000000",
                                       list->items[i].key, list->items[i].value);
        }
        return 0;
}

static int check(const struct hollow_config *c, struct err *reterr)
{
        int r;

        if (strlen(c->prefix) > 40)
                return err_set(reterr, -EINVAL, "--prefix %s: at most 40 characters", c->prefix);
        r = check_quantities(&c->capacity, reterr);
        if (!r)
                r = check_effects(&c->taints, reterr);
        return r ? r : check_images(&c->images, reterr);
}

int hollow_config_parse(int argc, char **argv, struct hollow_config *ret, struct err *reterr)
{
        struct option options[ARRAY_SIZE(flags) + 1] = {0};
        int i, r = 0;

        *ret = (struct hollow_config){.prefix = "hollow-",
                                      .nodes = 10,
                                      .zones = 1,
                                      .parallel = 32,
                                      .lease_period_ms = 10000,
                                      .status_period_ms = 300000,
                                      .log_level = LOG_LEVEL_INFO};
        for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
                options[k] = (struct option){flags[k].name, takes_value(&flags[k]), NULL, (int)k};
        while (!r && (i = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (i < 0 || (size_t)i >= ARRAY_SIZE(flags))
                        return err_set(reterr, -EINVAL, "see fairlead-hollow --help");
                r = set_flag(ret, &flags[i], optarg, reterr);
        }
        if (!r && optind < argc)
                return err_set(reterr, -EINVAL, "unexpected argument %s; see --help", argv[optind]);
        return r ? r : check(ret, reterr);
}

static void list_deinit(struct config_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->items[i].key);
}

void hollow_config_deinit(struct hollow_config *c)
{
        list_deinit(&c->labels);
        list_deinit(&c->capacity);
        list_deinit(&c->images);
        list_deinit(&c->taints);
}
