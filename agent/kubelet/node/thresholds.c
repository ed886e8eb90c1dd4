/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/node/thresholds.h"
#include "base/str.h"
#include "kube/quantity.h"

static const char *const names[EVICTION_SIGNALS] = {
        [EVICT_MEMORY] = "memory.available",           [EVICT_NODEFS] = "nodefs.available",
        [EVICT_NODEFS_INODES] = "nodefs.inodesFree",   [EVICT_IMAGEFS] = "imagefs.available",
        [EVICT_IMAGEFS_INODES] = "imagefs.inodesFree", [EVICT_PID] = "pid.available",
};

const char *eviction_signal_name(enum eviction_signal s)
{
        return names[s];
}

static int find_signal(const char *name, enum eviction_signal *ret)
{
        for (size_t i = 0; i < EVICTION_SIGNALS; i++)
                if (str_eq(names[i], name)) {
                        *ret = (enum eviction_signal)i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_percentage(const char *text, struct eviction_amount *ret, struct err *reterr)
{
        char *end;
        double percent = strtod(text, &end);

        if (end == text || !str_eq(end, "%") || !(percent >= 0 && percent <= 100))
                return err_set(reterr, -EINVAL, "\"%s\" is no percentage between 0%% and 100%%", text);
        *ret = (struct eviction_amount){.part = percent / 100};
        return 0;
}

static int parse_amount(const char *text, struct eviction_amount *ret, struct err *reterr)
{
        struct quantity q;
        int r;

        if (*text && str_has_suffix(text, "%"))
                return parse_percentage(text, ret, reterr);
        r = quantity_parse(text, &q, reterr);
        if (r)
                return r;
        if (quantity_sign(&q) < 0)
                return err_set(reterr, -EINVAL, "\"%s\" is below zero", text);
        *ret = (struct eviction_amount){.value = (uint64_t)quantity_value(&q)};
        return 0;
}

/* "SIGNAL<AMOUNT" or, for the minimum reclaim, "SIGNAL=AMOUNT". */
static int parse_piece(const char *piece, char sep, enum eviction_signal *ret_signal, struct eviction_amount *ret,
                       struct err *reterr)
{
        const char *at = strchr(piece, sep);
        char name[64];

        if (!at)
                return err_set(reterr, -EINVAL,
                               "\"%s\": want a signal, \"%c\" and an amount, as in memory.available%c100Mi", piece, sep,
                               sep);
        snprintf(name, sizeof(name), "%.*s", (int)MIN(at - piece, 63), piece);
        if (find_signal(name, ret_signal))
                return err_set(reterr, -EINVAL, "unsupported eviction signal %s", name);
        return parse_amount(at + 1, ret, reterr) ? err_prefix(reterr, -EINVAL, "%s", name) : 0;
}

/* A threshold of nothing, or of everything, is none. */
static void set_threshold(struct eviction_threshold *t, const struct eviction_amount *a)
{
        t->set = a->part > 0 ? a->part < 1 : a->value > 0;
        t->below = *a;
}

static int parse_list(const char *list, char sep, struct eviction_thresholds *t, struct err *reterr)
{
        bool seen[EVICTION_SIGNALS] = {0};
        struct str_span span;

        for (const char *rest = list; *list && str_split(&rest, ',', &span);) {
                enum eviction_signal signal = EVICT_MEMORY;
                struct eviction_amount a;
                char piece[128];
                int r;

                snprintf(piece, sizeof(piece), "%.*s", (int)MIN(span.n, sizeof(piece) - 1), span.s);
                r = parse_piece(piece, sep, &signal, &a, reterr);
                if (r)
                        return r;
                if (seen[signal])
                        return err_set(reterr, -EINVAL, "%s is there twice", names[signal]);
                seen[signal] = true;
                if (sep == '<')
                        set_threshold(&t->of[signal], &a);
                else
                        t->of[signal].reclaim = a;
        }
        return 0;
}

int thresholds_parse(const char *hard, const char *reclaim, struct eviction_thresholds *ret, struct err *reterr)
{
        struct eviction_thresholds t = {0};
        int r = parse_list(str_eq(hard, "none") ? "" : hard ? hard : EVICTION_DEFAULTS, '<', &t, reterr);

        if (r)
                return err_prefix(reterr, r, "--eviction-hard");
        r = parse_list(reclaim ? reclaim : "", '=', &t, reterr);
        if (r)
                return err_prefix(reterr, r, "--eviction-minimum-reclaim");
        *ret = t;
        return 0;
}

uint64_t eviction_amount_of(const struct eviction_amount *a, uint64_t capacity)
{
        return a->part > 0 ? (uint64_t)(a->part * (double)capacity) : a->value;
}
