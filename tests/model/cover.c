// SPDX-License-Identifier: Apache-2.0
/* What has been reached: reasons, hooks, families, kinds of steps, and every sentence of the model's reasoning. */
#include <stdio.h>
#include <string.h>

#include "model/case.h"

static const char *const reasons[] = {
#define X(name, label, text) label,
        REASONS(X)
#undef X
};
static const char *const hooks[] = {
#define X(name, label) label,
        HOOKS(X)
#undef X
};

static uint64_t by_hook[HOOK_COUNT][REASON_COUNT], by_family[2], by_step[STEP_SPEND + 1], evicted, ports_tried;

/* What one packet at a time cannot reach: TEST_RUN has no second CPU in the middle of an insertion, no device that
 * refuses a header, no maps that contradict each other; REFUSED is never counted (the cause is), and bind() is a
 * socket's. tests/bpf has races, sockets and contradicting maps. */
static bool is_out_of_reach(int reason)
{
        return reason == REASON_REFUSED || reason == REASON_FLOW_TABLE || reason == REASON_NO_ROOM ||
               reason == REASON_NO_BACKEND || reason == REASON_BIND_TAKEN;
}

void cover_packet(const struct event *e, const struct observed *o, const struct expect *x)
{
        struct pkt p;

        frame_read(&e->in, e->gso, &p);
        if (!x->not_counted)
                by_hook[e->hook][x->reason]++;
        if (p.flags & PKT_IP)
                by_family[!!(p.flags & PKT_V6)]++;
        evicted += o->flows.evicted;
        ports_tried += o->flows.port_collisions;
}

void cover_step(const struct step *s)
{
        by_step[s->kind]++;
}

static bool missing(const char *what, const char *of)
{
        printf("never reached: %s %s\n", what, of);
        return false;
}

static void print_table(void)
{
        printf("%-20s", "packets");
        for (int hook = 1; hook < HOOK_COUNT; hook++)
                printf(" %11s", hooks[hook]);
        printf("\n");
        for (int reason = 0; reason < REASON_COUNT; reason++) {
                uint64_t sum = 0;

                for (int hook = 1; hook < HOOK_COUNT; hook++)
                        sum += by_hook[hook][reason];
                if (!sum)
                        continue;
                printf("%-20s", reasons[reason]);
                for (int hook = 1; hook < HOOK_COUNT; hook++)
                        printf(" %11llu", (unsigned long long)by_hook[hook][reason]);
                printf("\n");
        }
        printf("IPv4 %llu, IPv6 %llu; connections evicted %llu, source ports tried in vain %llu\n",
               (unsigned long long)by_family[0], (unsigned long long)by_family[1], (unsigned long long)evicted,
               (unsigned long long)ports_tried);
}

bool cover_report(bool must)
{
        bool fine = true;

        print_table();
        for (const struct said *s = __start_model_said; s < __stop_model_said; s++)
                printf("%8llu  %s\n", (unsigned long long)s->times, s->format);
        if (!must)
                return true;
        for (const struct said *s = __start_model_said; s < __stop_model_said; s++)
                if (!s->times)
                        fine = missing("reasoning", s->format);
        for (int reason = 0; reason < REASON_COUNT; reason++) {
                uint64_t sum = 0;

                for (int hook = 1; hook < HOOK_COUNT; hook++)
                        sum += by_hook[hook][reason];
                if (!sum && !is_out_of_reach(reason))
                        fine = missing("reason", reasons[reason]);
        }
        for (int hook = 1; hook < HOOK_COUNT; hook++)
                if (!by_hook[hook][REASON_OK] ||
                    (hook != HOOK_EDGE && !by_hook[hook][REASON_TRANSLATED] && !by_hook[hook][REASON_FORWARDED]))
                        fine = missing("hook", hooks[hook]);
        if (!by_hook[HOOK_EDGE][REASON_FORWARDED])
                fine = missing("hook", "edge, sending");
        for (int i = STEP_FRESH; i <= STEP_ON; i++)
                if (!by_step[i])
                        fine = missing("step", "of some kind");
        if (!by_family[0] || !by_family[1] || !evicted || !ports_tried)
                fine = missing("family, eviction or", "port collision");
        return fine;
}
