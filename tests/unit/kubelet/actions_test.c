/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do next for a pod, a row a situation: its spec, what there is, what is known beside (scene.h has the words),
 * and the plan: kill, stop-box, run, start, resume, remove, remove-box, over, remove-all, wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "agent/kubelet/pods/actions.h"
#include "agent/kubelet/pods/spec.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "unit/kubelet/scene.h"

struct row {
        const char *spec, *there, *facts, *plan;
};

/* The image is all that there is to a spec here. */
void spec_hash(const struct json_object *container, char ret[static 17])
{
        str_copy(ret, 17, json_get_str(container, "image") ?: "");
}

/* ---- writing plans ---- */

static const char *const reasons[] = {
        [KILL_POD_ENDS] = "end",         [KILL_LIVENESS] = "liveness",       [KILL_STARTUP] = "startup",
        [KILL_SPEC_CHANGED] = "changed", [KILL_SANDBOX_CHANGED] = "sandbox",
};

static void write_plan(struct strbuf *b, const struct pod_actions *a)
{
        strbuf_add_str(b, "");
        for (size_t i = 0; i < a->nkills; i++)
                strbuf_printf(b, "kill %s %s; ", a->kills[i].id, reasons[a->kills[i].reason]);
        if (a->stop_sandbox[0])
                strbuf_printf(b, "stop-%s; ", a->stop_sandbox);
        if (a->run_sandbox)
                strbuf_printf(b, "run %u; ", a->sandbox_attempt);
        for (size_t i = 0; i < a->nstarts; i++)
                strbuf_printf(b, "%s %s/%u; ", a->starts[i].id[0] ? "resume" : "start", a->starts[i].name,
                              a->starts[i].attempt);
        for (size_t i = 0; i < a->nremovals; i++)
                strbuf_printf(b, "remove%s %s; ", a->removals[i].is_sandbox ? "-box" : "", a->removals[i].id);
        if (a->over)
                strbuf_add_str(b, "over; ");
        if (a->remove_all)
                strbuf_add_str(b, "remove-all; ");
        if (a->again_ms != UINT64_MAX)
                strbuf_add_str(b, "wait; ");
        if (b->len >= 2)
                b->data[b->len -= 2] = '\0';
}

static void check(const struct row *row)
{
        _cleanup_strbuf_ struct strbuf plan = STRBUF_NULL;
        struct arena mem = ARENA_NULL;
        struct pod_actions actions;
        struct scene s;

        scene_read(&s, row->spec, row->there, row->facts);
        compute_actions(&s.in, &mem, &actions);
        strbuf_add_char(&plan, ' ');
        plan.len = 0;
        plan.data[0] = '\0';
        write_plan(&plan, &actions);
        if (!str_eq(plan.data, row->plan))
                fail_msg("spec  %s\nthere %s\nfacts %s\nplan  %s\nnot   %s", row->spec, row->there, row->facts,
                         row->plan, plan.data);
        arena_deinit(&mem);
        scene_free(&s);
}

static void check_all(const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++)
                check(&rows[i]);
}

#define CHECK(rows) check_all(rows, ARRAY_SIZE(rows))

/* ---- the rows ---- */

static void a_sandbox_comes_first(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "", "", "run 0"},
                {"Always m:app", "", "busy", ""},
                {"Always m:app", "", "box-blocked", "wait"},
                {"Always m:app", "B0", "", "start app/0"},
                {"Always m:app", "b0", "", "stop-box0"},
                {"Always m:app", "b0", "busy", ""},
                {"Always m:app", "b0", "box-blocked", "wait"},
                {"Always m:app", "b0", "stopped", "run 1"},
                {"Always m:app", "b0", "stopped box-blocked", "wait"},
                {"Always m:app", "b0 app/0:run", "", "kill app/0 sandbox"},
                {"Always m:app", "b0 app/0:run", "app:stopping", ""},
                {"Always m:app", "b0", "app:starting", ""}, /* it is just being made in it */
                {"Always m:app", "b0 app/0:exit137", "", "stop-box0"},
                {"Always m:app", "b0 app/0:exit137", "stopped", "run 1"},
                {"Always m:app", "b0 app/0:exit137 B1", "", "start app/1"},
                {"Always m:app m:web", "b0 app/0:run web/0:run", "", "kill app/0 sandbox; kill web/0 sandbox"},
                {"Always m:app m:web", "b0 app/0:run web/0:exit0", "app:stopping", ""},
        };

        CHECK(rows);
}

static void a_pod_that_may_not_restart_gets_no_second_sandbox(void **state)
{
        static const struct row rows[] = {
                {"Never m:app", "b0", "stopped", "run 1"}, /* nothing of it ever ran */
                {"Never m:app", "b0 app/0:exit137", "", "stop-box0"},
                {"Never m:app", "b0 app/0:exit137", "stopped", "over"},
                {"Never m:app m:web", "b0 app/0:exit0 web/0:run", "", "kill web/0 sandbox"},
                {"OnFailure m:app", "b0 app/0:exit0", "stopped", "over"},
                {"OnFailure m:app", "b0 app/0:exit137", "stopped", "run 1"},
                {"OnFailure m:app", "b0 app/0:exit0", "stopped app:again", "run 1"},
                {"OnFailure m:app m:web", "b0 app/0:exit0 web/0:exit137", "stopped", "run 1"},
                {"OnFailure m:app m:web", "b0 app/0:exit0 web/0:exit137 B1", "", "start web/1"},
                {"Never i:setup m:app", "b0 setup/0:exit137", "stopped", "over"},
                {"Always i:setup m:app", "b0 setup/0:exit137", "stopped", "run 1"},
        };

        CHECK(rows);
}

static void init_containers_run_one_after_the_other(void **state)
{
        static const struct row rows[] = {
                {"Always i:a i:b m:app", "B0", "", "start a/0"},
                {"Always i:a i:b m:app", "B0", "a:starting", ""},
                {"Always i:a i:b m:app", "B0 a/0:made", "", "resume a/0"},
                {"Always i:a i:b m:app", "B0 a/0:made", "a:starting", ""},
                {"Always i:a i:b m:app", "B0 a/0:run", "", ""},
                {"Always i:a i:b m:app", "B0 a/0:exit0", "", "start b/0"},
                {"Always i:a i:b m:app", "B0 a/0:exit1", "", "start a/1"},
                {"Always i:a i:b m:app", "B0 a/0:exit1", "a:blocked", "wait"},
                {"Always i:a i:b m:app", "B0 a/0:lost", "", "start a/1"},
                {"Always i:a i:b m:app", "B0 a/0:exit1 a/1:exit0", "", "start b/0; remove a/0"},
                {"Always i:a i:b m:app", "B0 a/0:exit0 b/0:run", "", ""},
                {"Always i:a i:b m:app", "B0 a/0:exit0 b/0:exit0", "", "start app/0"},
                {"Always i:a i:b m:app m:web", "B0 a/0:exit0 b/0:exit0", "", "start app/0; start web/0"},
                {"OnFailure i:a m:app", "B0 a/0:exit1", "", "start a/1"},
                {"Never i:a m:app", "B0 a/0:exit1", "", "stop-box0"},
                {"Never i:a m:app", "B0 a/0:exit0", "", "start app/0"},
                {"Never i:a=Always m:app", "B0", "", "start a/0"}, /* a sidecar, whatever the pod's policy */
                {"Always i:a m:app", "B0 a/0:exit0 app/0:exit1", "", "start app/1"},
                {"Always i:a m:app", "B0 app/0:run", "", ""}, /* its record is gone, but it was done once */
                {"Always i:a m:app", "b0 a/0:exit0 app/0:exit137 B1", "", "start a/1"}, /* again in a new sandbox */
                {"Always i:a m:app", "b0 a/0:exit0 app/0:exit137 B1 a/1:run", "", ""},
                {"Always i:a m:app", "b0 a/0:exit0 app/0:exit137 B1 a/1:exit0", "", "start app/1; remove a/0"},
        };

        CHECK(rows);
}

static void sidecars_let_the_next_one_begin_when_they_have_started(void **state)
{
        static const struct row rows[] = {
                {"Always s:a i:b m:app", "B0", "", "start a/0"},
                {"Always s:a i:b m:app", "B0 a/0:made", "", "resume a/0"},
                {"Always s:a i:b m:app", "B0 a/0:run", "a:unstarted", ""},
                {"Always s:a i:b m:app", "B0 a/0:run", "a:starting", ""}, /* its postStart hook */
                {"Always s:a i:b m:app", "B0 a/0:run", "", "start b/0"},
                {"Always s:a s:b m:app", "B0 a/0:run b/0:run", "", "start app/0"},
                {"Always s:a s:b m:app", "B0 a/0:run b/0:run", "b:unstarted", ""},
                {"Always s:a i:b m:app", "B0 a/0:exit0 b/0:run", "", "start a/1"}, /* restarted while b runs */
                {"Never s:a m:app", "B0 a/0:exit0", "", "start a/1"},
                {"Never s:a m:app", "B0 a/0:exit1", "a:blocked", "wait"},
                {"Always s:a m:app", "B0 a/0:run", "a:failed", "kill a/0 startup"},
                {"Always s:a m:app", "B0 a/0:run app/0:run", "a:sick", "kill a/0 liveness"},
                {"Always s:a m:app", "B0 a/0:exit1 app/0:run", "", "start a/1"},
                {"Always s:a m:app", "B0 a/0:exit1 app/0:exit1", "", "start a/1; start app/1"}, /* no order any more */
                {"Always s:a m:app", "B0 a/0:run app/0:exit1", "a:unstarted", "start app/1"},
        };

        CHECK(rows);
}

static void main_containers_follow_their_restart_policy(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "B0 app/0:run", "", ""},
                {"Always m:app", "B0 app/0:made", "", "resume app/0"},
                {"Always m:app", "B0 app/0:exit0", "", "start app/1"},
                {"Always m:app", "B0 app/0:exit1", "", "start app/1"},
                {"Always m:app", "B0 app/0:lost", "", "start app/1"},
                {"Always m:app", "B0 app/0:exit1", "app:blocked", "wait"},
                {"Always m:app", "B0 app/0:exit1", "app:starting", ""},
                {"Always m:app m:web", "B0 app/0:run", "", "start web/0"},
                {"Always m:app m:web", "B0 app/0:exit1 web/0:run", "app:blocked", "wait"},
                {"OnFailure m:app", "B0 app/0:exit1", "", "start app/1"},
                {"OnFailure m:app", "B0 app/0:exit0", "", "stop-box0"},
                {"OnFailure m:app m:web", "B0 app/0:exit0 web/0:run", "", ""},
                {"OnFailure m:app m:web", "B0 app/0:exit0 web/0:exit1", "", "start web/1"},
                {"Never m:app", "B0 app/0:exit1", "", "stop-box0"},
                {"Never m:app", "B0 app/0:lost", "", "stop-box0"},
                {"Never m:app", "B0 app/0:never", "app:starting", ""},              /* it is being made */
                {"Never m:app", "B0 app/0:never", "", "start app/0; remove app/0"}, /* the kubelet was killed then */
                {"Always m:app", "B0 app/0:exit1 app/1:never", "", "start app/1; remove app/1"},
                {"Never m:app m:web", "B0 app/0:exit1 web/0:run", "", ""},
                {"Never m:app m:web", "B0 app/0:exit1", "", "start web/0"},
                {"Never m:app", "B0 app/0:exit1", "busy", ""},
                {"Never m:app", "b0 app/0:exit1", "stopped", "over"},
        };

        CHECK(rows);
}

static void a_containers_own_policy_and_rules_go_before_the_pods(void **state)
{
        static const struct row rows[] = {
                {"Always m:app=Never", "B0 app/0:exit1", "", "stop-box0"},
                {"Never m:app=Always", "B0 app/0:exit0", "", "start app/1"},
                {"Never m:app=OnFailure m:web", "B0 app/0:exit1 web/0:exit1", "", "start app/1"},
                {"Never m:app=OnFailure m:web", "B0 app/0:exit0 web/0:exit1", "", "stop-box0"},
                {"Always m:app=Never?1,42", "B0 app/0:exit42", "", "start app/1"},
                {"Always m:app=Never?1,42", "B0 app/0:exit2", "", "stop-box0"},
                {"Never i:a=Never?3 m:app", "B0 a/0:exit3", "", "start a/1"},
                {"Always i:a=Never m:app", "B0 a/0:exit1", "", "stop-box0"},
        };

        CHECK(rows);
}

static void sick_and_changed_containers_are_ended_to_run_again(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "B0 app/0:run", "app:sick", "kill app/0 liveness"},
                {"Always m:app", "B0 app/0:run", "app:failed", "kill app/0 startup"},
                {"Always m:app", "B0 app/0:run", "app:sick app:stopping", ""},
                {"Always m:app", "B0 app/0:run", "app:sick app:starting", ""},
                {"Always m:app", "B0 app/0:old", "", "kill app/0 changed"},
                {"Always m:app", "B0 app/0:old", "app:sick", "kill app/0 changed"},
                {"Never m:app", "B0 app/0:old", "", "kill app/0 changed"},
                {"Never m:app", "B0 app/0:exit0", "app:again", "start app/1"},
                {"Never m:app", "B0 app/0:exit0", "app:again app:starting", ""},
                {"OnFailure m:app", "B0 app/0:exit0", "app:again", "start app/1"},
                {"Always m:app m:web", "B0 app/0:run web/0:run", "app:sick", "kill app/0 liveness"},
                {"Never m:app", "B0 app/0:run", "app:sick", "kill app/0 liveness"},
        };

        CHECK(rows);
}

static void ephemeral_containers_run_once_and_hold_nothing_up(void **state)
{
        static const struct row rows[] = {
                {"Always m:app e:dbg", "B0 app/0:run", "", "start dbg/0"},
                {"Always m:app e:dbg", "B0 app/0:run dbg/0:made", "", "resume dbg/0"},
                {"Always m:app e:dbg", "B0 app/0:run dbg/0:run", "", ""},
                {"Always m:app e:dbg", "B0 app/0:run dbg/0:exit1", "", ""},
                {"Always m:app e:dbg", "B0 app/0:run dbg/0:lost", "", ""},
                {"Always m:app e:dbg", "B0 app/0:run", "dbg:starting", ""},
                {"Always i:a m:app e:dbg", "B0 a/0:run", "", "start dbg/0"}, /* to look into what hangs */
                {"Never m:app e:dbg", "B0 app/0:exit0 dbg/0:run", "", "kill dbg/0 end"},
        };

        CHECK(rows);
}

static void the_end_goes_from_main_containers_to_sidecars_to_the_sandbox(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "B0 app/0:run", "deleted", "kill app/0 end"},
                {"Always m:app", "B0 app/0:run", "deleted app:stopping", ""},
                {"Always m:app", "B0 app/0:made", "deleted", "kill app/0 end"},
                {"Always m:app", "B0", "deleted app:starting", ""}, /* it is just being made */
                {"Always m:app m:web", "B0 app/0:run web/0:run", "deleted", "kill app/0 end; kill web/0 end"},
                {"Always m:app m:web", "B0 app/0:run web/0:exit0", "deleted app:stopping", ""},
                {"Always m:app", "B0 app/0:exit0", "deleted", "stop-box0"},
                {"Always m:app", "B0 app/0:exit0", "deleted busy", ""},
                {"Always m:app", "b0 app/0:exit0", "deleted", "stop-box0"},
                {"Always m:app", "b0 app/0:exit0", "deleted stopped", "over; remove-all"},
                {"Always m:app", "b0 app/0:exit0", "deleted box-blocked", "wait"},
                {"Always m:app", "", "deleted", "over; remove-all"},
                {"Always m:app", "", "ended", "over"},
                {"Always m:app", "b0 app/0:exit1", "ended stopped", "over"},
                {"Always s:a s:b m:app", "B0 a/0:run b/0:run app/0:run", "deleted", "kill app/0 end"},
                {"Always s:a s:b m:app", "B0 a/0:run b/0:run app/0:exit0", "deleted", "kill b/0 end"},
                {"Always s:a s:b m:app", "B0 a/0:run b/0:run app/0:exit0", "deleted b:stopping", ""},
                {"Always s:a s:b m:app", "B0 a/0:run b/0:exit0 app/0:exit0", "deleted", "kill a/0 end"},
                {"Always s:a s:b m:app", "B0 a/0:exit1 b/0:run app/0:exit0", "deleted", "kill b/0 end"},
                {"Always s:a s:b m:app", "B0 a/0:exit0 b/0:exit0 app/0:exit0", "deleted", "stop-box0"},
                {"Always s:a i:b m:app", "B0 a/0:run b/0:run", "deleted", "kill b/0 end"},
                {"Always s:a m:app", "B0 a/0:run", "deleted a:starting", "kill a/0 end"},
                {"Never s:a m:app", "B0 a/0:run app/0:exit0", "", "kill a/0 end"}, /* done: sidecars end too */
                {"Never s:a m:app", "B0 a/0:exit0 app/0:exit0", "", "stop-box0"},
                {"Never s:a m:app", "b0 a/0:exit0 app/0:exit0", "stopped", "over"},
                {"Always m:app e:dbg", "B0 app/0:run dbg/0:run", "deleted", "kill app/0 end; kill dbg/0 end"},
                {"Always m:app", "B0 gone/0:run app/0:run", "deleted", "kill gone/0 end; kill app/0 end"},
                {"Always m:app", "B0 app/0:run", "ended", "kill app/0 end"},
                {"Always m:app", "b0 B1", "deleted", "stop-box1; remove-box box0"},
                {"Always m:app", "B0 B1", "deleted", "stop-box0"}, /* one after the other */
        };

        CHECK(rows);
}

static void restart_counts_come_from_what_is_there_or_was_told(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "B0 app/7:exit1", "", "start app/8"},
                {"Always m:app", "B0 app/7:exit1", "told:app/3", "start app/8"},
                {"Always m:app", "B0", "told:app/3", "start app/4"},             /* the node has booted */
                {"Always m:app", "B0 app/2:exit1", "told:app/3", "start app/4"}, /* the start of 3 has failed */
                {"Always m:app", "b4 app/2:exit1 B5", "", "start app/3"},
        };

        CHECK(rows);
}

static void only_the_newest_dead_one_is_kept_for_its_log(void **state)
{
        static const struct row rows[] = {
                {"Always m:app", "B0 app/0:exit1 app/1:run", "", ""}, /* kubectl logs --previous */
                {"Always m:app", "B0 app/0:exit1 app/1:exit1 app/2:run", "", "remove app/0"},
                {"Always m:app", "B0 app/0:exit1 app/1:exit1", "app:blocked", "remove app/0; wait"},
                {"Always m:app", "B0 app/0:exit1 app/1:exit1", "app:starting", ""},
                {"Always m:app", "b0 app/0:exit1 B1 app/1:run", "", ""},
                {"Always m:app", "b0 B1 app/0:run", "", "remove-box box0"},
                {"Always m:app", "b0 app/0:exit1 b1 app/1:exit1 B2 app/2:run", "", "remove app/0; remove-box box0"},
                {"Always m:app", "b0 B1 app/0:run", "busy", ""},
                {"Always m:app", "B0 app/0:exit1 app/1:exit1 app/2:run", "deleted", "kill app/2 end; remove app/0"},
        };

        CHECK(rows);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_sandbox_comes_first),
                cmocka_unit_test(a_pod_that_may_not_restart_gets_no_second_sandbox),
                cmocka_unit_test(init_containers_run_one_after_the_other),
                cmocka_unit_test(sidecars_let_the_next_one_begin_when_they_have_started),
                cmocka_unit_test(main_containers_follow_their_restart_policy),
                cmocka_unit_test(a_containers_own_policy_and_rules_go_before_the_pods),
                cmocka_unit_test(sick_and_changed_containers_are_ended_to_run_again),
                cmocka_unit_test(ephemeral_containers_run_once_and_hold_nothing_up),
                cmocka_unit_test(the_end_goes_from_main_containers_to_sidecars_to_the_sandbox),
                cmocka_unit_test(restart_counts_come_from_what_is_there_or_was_told),
                cmocka_unit_test(only_the_newest_dead_one_is_kept_for_its_log),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
