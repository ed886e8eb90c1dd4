/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/service_text.h"

static void add_option(struct strbuf *b, bool json, const char *text)
{
        if (b->len > json)
                strbuf_add_char(b, ',');
        strbuf_printf(b, json ? "\"%s\"" : "%s", text);
}

void service_options(const struct service *s, bool json, struct strbuf *b)
{
        bool hash_in = s->flags & SERVICE_HASH_IN, hash_out = s->flags & SERVICE_HASH_OUT;
        bool outside = s->flags & SERVICE_EXTERNAL;
        const struct {
                bool set;
                const char *name;
        } options[] = {
                {hash_in && (hash_out || !outside), "maglev"},
                {hash_in && outside && !hash_out, "maglev-inside"},
                {!hash_in && hash_out, "maglev-outside"},
                {s->flags & SERVICE_DROP_IN, "internal-local"},
                {s->flags & SERVICE_LOCAL_OUT && !(s->flags & SERVICE_HOSTPORT), "external-local"},
                {s->flags & SERVICE_RANGES, "ranges"},
                {s->flags & SERVICE_DSR, "dsr"},
        };
        char text[32];

        if (json)
                strbuf_add_char(b, '[');
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (options[i].set)
                        add_option(b, json, options[i].name);
        snprintf(text, sizeof(text), "affinity=%" PRIu32 "s", s->affinity_s);
        if (s->flags & SERVICE_AFFINITY)
                add_option(b, json, text);
        if (json)
                strbuf_add_char(b, ']');
        else if (!b->len)
                strbuf_add_char(b, '-');
}

void service_sums_read(const struct view *v, uint32_t id, struct service_sums *ret)
{
        _Static_assert(sizeof(struct service_sums) == sizeof(struct service_stats), "the same counters");
        uint64_t sums[sizeof(*ret) / 8];

        *ret = (struct service_sums){0};
        if (view_sum(v, MAP_SERVICE_STATS, id, sums, ARRAY_SIZE(sums)) == 0)
                *ret = (struct service_sums){.connections = sums[0],
                                             .packets = sums[1],
                                             .bytes = sums[2],
                                             .reply_packets = sums[3],
                                             .reply_bytes = sums[4],
                                             .refused = sums[5]};
}

/* ---- what is wrong */

struct notes {
        void (*fn)(void *userdata, enum tone tone, const char *text);
        void *userdata;
};

__attribute__((format(printf, 3, 4))) static void note(const struct notes *n, enum tone tone, const char *fmt, ...)
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&text, fmt, ap);
        va_end(ap);
        n->fn(n->userdata, tone, text.data);
}

enum fault {
        FAULT_NONE,
        FAULT_REFUSED, /* connections to it are refused */
        FAULT_REFUSED_INSIDE,
        FAULT_REFUSED_OUTSIDE,
        FAULT_LOCAL_INSIDE, /* they are dropped by a policy */
        FAULT_LOCAL_OUTSIDE,
        FAULT_COUNT,
};

static enum fault fault_inside(const struct frontend *f)
{
        if (f->inside)
                return FAULT_NONE;
        if (f->service.flags & SERVICE_DROP_IN)
                return FAULT_LOCAL_INSIDE;
        return frontend_is_external(f) && f->outside ? FAULT_REFUSED_INSIDE : FAULT_REFUSED;
}

static enum fault fault_outside(const struct frontend *f)
{
        if (!frontend_is_external(f) || f->outside)
                return FAULT_NONE;
        if (f->service.flags & SERVICE_DROP_OUT)
                return FAULT_LOCAL_OUTSIDE;
        return f->inside ? FAULT_REFUSED_OUTSIDE : FAULT_NONE; /* said of both */
}

/* A note for each kind of fault, with the frontends that have it. */
static void note_faults(const struct notes *n, const struct endpoints *e, uint32_t id)
{
        static const struct {
                enum tone tone;
                const char *text;
        } texts[FAULT_COUNT] = {
                [FAULT_REFUSED] = {TONE_BAD, "0 endpoints: connections are refused"},
                [FAULT_REFUSED_INSIDE] = {TONE_BAD, "0 endpoints for clients inside: their connections are refused"},
                [FAULT_REFUSED_OUTSIDE] = {TONE_BAD, "0 endpoints for clients outside: their connections are refused"},
                [FAULT_LOCAL_INSIDE] = {TONE_BAD, "the internalTrafficPolicy is Local and no endpoint is on this node: "
                                                  "connections are dropped (connect() fails with EHOSTUNREACH)"},
                [FAULT_LOCAL_OUTSIDE] = {TONE_WARN,
                                         "the externalTrafficPolicy is Local and no endpoint is on this node: "
                                         "what comes from outside to this node is dropped"},
        };

        for (int fault = FAULT_REFUSED; fault < FAULT_COUNT; fault++) {
                _cleanup_strbuf_ struct strbuf list = STRBUF_NULL;
                char text[64];

                for (size_t i = 0; i < e->frontends_n; i++) {
                        const struct frontend *f = &e->frontends[i];

                        if (f->service.id == id && ((int)fault_inside(f) == fault || (int)fault_outside(f) == fault))
                                strbuf_printf(&list, "%s%s", list.len ? ", " : "",
                                              view_endpoint(&f->key.addr, f->key.port, text));
                }
                if (list.len)
                        note(n, texts[fault].tone, "%s: %s", list.data, texts[fault].text);
        }
}

struct endpoint_counts {
        size_t all, terminating, drained;
};

static struct endpoint_counts count(const struct endpoints *e, uint32_t id)
{
        struct endpoint_counts c = {0};

        for (size_t i = 0; i < e->count; i++) {
                const char *state = endpoint_state(&e->items[i]);

                if (e->items[i].backend.service != id)
                        continue;
                c.all++;
                c.terminating += strcmp(state, "terminating") == 0;
                c.drained += strcmp(state, "drained") == 0;
        }
        return c;
}

void service_notes(const struct endpoints *e, uint32_t id, const struct service_sums *sums,
                   void (*fn)(void *userdata, enum tone tone, const char *text), void *userdata)
{
        const struct notes n = {.fn = fn, .userdata = userdata};
        struct endpoint_counts c = count(e, id);
        size_t frontends = 0;

        for (size_t i = 0; i < e->frontends_n; i++) {
                frontends += e->frontends[i].service.id == id;
        }
        note_faults(&n, e, id);
        if (!frontends)
                note(&n, TONE_BAD,
                     "no frontend: no address leads to it (another Service may own it; see fairctl status)");
        if (c.all == c.drained)
                note(&n, TONE_BAD, "no endpoint is ready: kubectl get endpointslices says which there are%s",
                     c.drained ? "; those below keep their old connections only" : "");
        else if (c.terminating == c.all - c.drained)
                note(&n, TONE_WARN, "all endpoints are terminating: they serve until they are gone");
        if (sums->refused)
                note(&n, TONE_WARN, "%" PRIu64 " connection%s refused or dropped for want of an endpoint, so far",
                     sums->refused, sums->refused == 1 ? " was" : "s were");
}
