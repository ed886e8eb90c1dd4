// SPDX-License-Identifier: Apache-2.0
#include "bpf/story.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const reason_labels[] = {
#define X(name, label, text) label,
        REASONS(X)
#undef X
};
static const char *const hook_labels[] = {
#define X(name, label) label,
        HOOKS(X)
#undef X
};
static const char *const verdict_labels[] = {"unset", "pass", "drop", "sent"};

enum verdict story_verdict(enum hook hook, int verdict)
{
        if (hook == HOOK_EDGE)
                return verdict == XDP_PASS ? PASS : verdict == XDP_DROP ? DROP : verdict == XDP_ABORTED ? UNSET : SENT;
        if (verdict == TC_ACT_OK || verdict == TC_ACT_UNSPEC)
                return PASS;
        if (verdict == TC_ACT_REDIRECT)
                return SENT;
        return verdict == TC_ACT_SHOT ? DROP : UNSET;
}

/* --- flows */

static const char *flow_text(const struct flow *f, char *buf, size_t size)
{
        snprintf(buf, size, "%s:%u -> %s:%u becomes %s:%u -> %s:%u, proto %u flags 0x%x state 0x%x",
                 packet_who(&f->key.src), ntohs(f->key.sport), packet_who(&f->key.dst), ntohs(f->key.dport),
                 packet_who(&f->new_src), ntohs(f->new_sport), packet_who(&f->new_dst), ntohs(f->new_dport),
                 f->key.proto, f->flags, f->state);
        return buf;
}

static bool same_addr(const struct addr *a, enum who who, int family)
{
        struct addr b = packet_addr(who, family);

        return memcmp(a, &b, sizeof(b)) == 0;
}

static bool flow_is(const struct flow *f, const struct flow_row *row, int family)
{
        return same_addr(&f->key.src, row->src, family) && same_addr(&f->key.dst, row->dst, family) &&
               same_addr(&f->new_src, row->new_src, family) && same_addr(&f->new_dst, row->new_dst, family) &&
               ntohs(f->key.sport) == row->sport && ntohs(f->key.dport) == row->dport &&
               ntohs(f->new_sport) == row->new_sport && ntohs(f->new_dport) == row->new_dport &&
               f->key.proto == packet_proto(row->proto ? row->proto : IPPROTO_TCP, family) && f->flags == row->flags &&
               (f->state & row->state) == row->state && !(f->state & row->not_state);
}

void story_flows(struct lab *lab, const struct flow_row *rows, int family)
{
        struct flow flows[32];
        size_t n = lab_flows(lab, flows, 32), wanted = 0, found = 0;

        for (const struct flow_row *row = rows; row && wanted < STORY_FLOWS && row->src != NOBODY; row++, wanted++)
                for (size_t i = 0; i < n && i < 32; i++)
                        found += flow_is(&flows[i], row, family);
        if (found == wanted && n == wanted)
                return;
        fprintf(stderr, "%zu flows are expected, %zu of them are there, among these %zu:\n", wanted, found, n);
        for (size_t i = 0; i < n && i < 32; i++) {
                char text[256];

                fprintf(stderr, "  %s\n", flow_text(&flows[i], text, sizeof(text)));
        }
        fail_msg("the flow table is not what it should be");
}

/* --- steps */

struct counts {
        uint64_t of[REASON_COUNT];
};

static void counts_read(struct lab *lab, enum hook hook, struct counts *ret)
{
        for (int reason = 0; reason < REASON_COUNT; reason++)
                ret->of[reason] = lab_counter(lab, hook, (enum reason)reason);
}

static void check_counts(const struct step *step, const struct counts *before, const struct counts *after)
{
        bool bad = false;

        for (int reason = 0; reason < REASON_COUNT; reason++) {
                uint64_t more = after->of[reason] - before->of[reason];
                uint64_t wanted = (enum reason)reason == step->reason;

                if (more == wanted)
                        continue;
                fprintf(stderr, "reason %s at %s: %llu more, should be %llu\n", reason_labels[reason],
                        hook_labels[step->hook], (unsigned long long)more, (unsigned long long)wanted);
                bad = true;
        }
        if (bad)
                fail_msg("the reason is not %s", reason_labels[step->reason]);
}

static void check_bytes(const struct step *step, const struct packet *in, const struct packet *out, int family)
{
        static struct packet wanted;

        if (step->any_out || step->verdict == DROP)
                return;
        if (step->out.src == NOBODY)
                wanted = *in;
        else
                packet_build(&wanted, &step->out, family);
        if (step->out.outer && step->out.outer->flags & OUTER_ANY_PORT)
                packet_adopt_outer(&wanted, out);
        if (out->len == wanted.len && memcmp(out->data, wanted.data, wanted.len) == 0)
                return;
        packet_dump("in", in->data, in->len, NULL, 0);
        packet_dump("expected", wanted.data, wanted.len, NULL, 0);
        packet_dump("out", out->data, out->len, wanted.data, wanted.len);
        fail_msg("the packet's bytes are not the expected ones");
}

static void run_step(struct lab *lab, const struct step *step, int family, int number)
{
        static struct packet in;
        static struct lab_run run;
        enum hook counted = step->counted ? step->counted : step->hook;
        struct counts before, after;
        enum verdict verdict;

        if (step->before)
                step->before(lab, family);
        packet_build(&in, &step->in, family);
        run = (struct lab_run){
                .hook = step->hook, .in = &in, .mark = step->in_mark, .ifindex = step->pod_b ? lab->pod_b : 0};
        counts_read(lab, counted, &before);
        assert_int_equal(lab_run(lab, &run), 0);
        counts_read(lab, counted, &after);
        verdict = story_verdict(step->hook, run.verdict);
        if (verdict != step->verdict) {
                check_counts(step, &before, &after);
                fail_msg("step %d: the verdict is %s (%d), not %s", number, verdict_labels[verdict], run.verdict,
                         verdict_labels[step->verdict]);
        }
        check_bytes(step, &in, &run.out, family);
        check_counts(step, &before, &after);
        if (!step->any_flows)
                story_flows(lab, step->flows, family);
        if (step->hook != HOOK_EDGE && verdict != DROP && !step->any_out)
                assert_int_equal(!!(run.ret_mark & LAB_MARK), step->marked);
        if (step->after)
                step->after(lab, family, &run.out);
}

void story_run(struct lab *lab, const struct story *story, int family)
{
        lab_reset(lab);
        for (int i = 0; i < STORY_SERVICES && story->services[i].addr != NOBODY; i++)
                lab_service(lab, &story->services[i], family);
        if (story->setup)
                story->setup(lab, family);
        for (int i = 0; i < STORY_STEPS && story->steps[i].verdict != UNSET; i++) {
                fflush(stdout);
                fprintf(stderr, "# step %d\n", i + 1);
                run_step(lab, &story->steps[i], family, i + 1);
        }
}

/* --- as cmocka tests */

static struct lab lab;

struct chosen {
        const struct story *story;
        int family;
};

static void test(void **state)
{
        const struct chosen *chosen = *state;

        story_run(&lab, chosen->story, chosen->family);
}

static void add(struct CMUnitTest *tests, struct chosen *chosen, const struct story *story, int family)
{
        char *name;

        *chosen = (struct chosen){story, family};
        if (asprintf(&name, "%s_v%d", story->name, family) < 0)
                abort();
        *tests = (struct CMUnitTest){.name = name, .test_func = test, .initial_state = chosen};
}

int stories_run(const char *group, const struct story *stories, size_t n, const struct knobs *knobs)
{
        struct CMUnitTest *tests = calloc(2 * n, sizeof(*tests));
        struct chosen *chosen = calloc(2 * n, sizeof(*chosen));
        size_t count = 0;
        int r;

        if (!tests || !chosen)
                abort();
        for (size_t i = 0; i < n; i++) {
                for (int family = 4; family <= 6; family += 2) {
                        if (stories[i].family && stories[i].family != family)
                                continue;
                        add(&tests[count], &chosen[count], &stories[i], family);
                        count++;
                }
        }
        lab_open(&lab, knobs);
        r = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
        lab_close(&lab);
        for (size_t i = 0; i < count; i++)
                free((char *)tests[i].name);
        free(tests);
        free(chosen);
        return r;
}
