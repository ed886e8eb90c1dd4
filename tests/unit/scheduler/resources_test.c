/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/scheduler/sched_world.h"

#define MI (1024LL * 1024)

struct row {
        const char *what, *spec, *status;
        int64_t milli_cpu, memory, ephemeral, gpus, nonzero_milli_cpu, nonzero_memory;
};

#define C(cpu, mem) "{'name':'c','resources':{'requests':{'cpu':'" cpu "','memory':'" mem "'}}}"
#define SIDECAR(cpu, mem)                                                                                              \
        "{'name':'s','restartPolicy':'Always','resources':{'requests':{'cpu':'" cpu "','memory':'" mem "'}}}"

static const struct row rows[] = {
        {"nothing asked for", "'containers':[{'name':'c'}]", "", 0, 0, 0, 0, 100, 200 * MI},
        {"containers add up", "'containers':[" C("100m", "64Mi") "," C("0.25", "1Gi") "]", "", 350, 1088 * MI, 0, 0,
         350, 1088 * MI},
        {"half a request: the default for the other half", "'containers':[{'resources':{'requests':{'cpu':'1'}}},{}]",
         "", 1000, 0, 0, 0, 1100, 400 * MI},
        {"a fraction of a thousandth rounds up", "'containers':[" C("1u", "1.5") "]", "", 1, 2, 0, 0, 1, 2},
        {"the largest init container, when it is more",
         "'containers':[" C("1", "1Mi") "],'initContainers':[" C("500m", "5Mi") "," C("2", "3Mi") "]", "", 2000, 5 * MI,
         0, 0, 2000, 5 * MI},
        {"the containers, when these are more", "'containers':[" C("3", "9Mi") "],'initContainers':[" C("2", "3Mi") "]",
         "", 3000, 9 * MI, 0, 0, 3000, 9 * MI},
        {"a sidecar stays beside the containers",
         "'containers':[" C("1", "10Mi") "],'initContainers':[" SIDECAR("200m", "5Mi") "]", "", 1200, 15 * MI, 0, 0,
         1200, 15 * MI},
        {"a later init container runs beside the sidecars before it, not beside those behind it",
         "'containers':[" C("1", "1Mi") "],'initContainers':[" C("1500m", "1Mi") "," SIDECAR("200m", "1Mi") "," C(
                 "1800m", "1Mi") "," SIDECAR("300m", "1Mi") "]",
         "", 2000, 3 * MI, 0, 0, 2000, 3 * MI},
        {"overhead comes on top", "'containers':[" C("1", "1Mi") "],'overhead':{'cpu':'250m','memory':'100Mi'}", "",
         1250, 101 * MI, 0, 0, 1250, 101 * MI},
        {"a budget of the pod replaces the sum of what it names",
         "'containers':[" C("1", "1Mi") "],'resources':{'requests':{'cpu':'4'}}", "", 4000, 1 * MI, 0, 0, 4000, 1 * MI},
        {"... and comes before overhead",
         "'containers':[{}],'resources':{'requests':{'cpu':'2','memory':'2Mi'}},'overhead':{'cpu':'1'}", "", 3000,
         2 * MI, 0, 0, 3000, 2 * MI},
        {"extended resources and ephemeral storage",
         "'containers':[{'resources':{'requests':{'example.com/gpu':'2','ephemeral-storage':'1k'}}},"
         "{'resources':{'requests':{'example.com/gpu':'1','ephemeral-storage':'1Ki'}}}]",
         "", 0, 0, 2024, 3, 200, 400 * MI},
        {"more than can be counted is still more than a node has", "'containers':[" C("1", "8Ei") "," C("1", "8Ei") "]",
         "", 2000, AMOUNT_MAX, 0, 0, 2000, AMOUNT_MAX},
        {"while it is being resized, the larger of what it wants and what it has", "'containers':[" C("1", "1Mi") "]",
         "'containerStatuses':[{'name':'c','allocatedResources':{'cpu':'2','memory':'1Mi'},"
         "'resources':{'requests':{'cpu':'500m','memory':'3Mi'}}}]",
         2000, 3 * MI, 0, 0, 2000, 3 * MI},
};

static void requests_of_pods(void **unused)
{
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct row *row = &rows[i];
                struct pod_request r;
                struct atom_pool pool;
                struct atoms atoms;

                atoms_init(&atoms);
                atom_pool_init(&pool, &atoms);
                pod_request_parse(&pool, sched_world_json("{'spec':{%s},'status':{%s}}", row->spec, row->status), &r);
                if (r.exact.milli_cpu != row->milli_cpu || r.exact.memory != row->memory ||
                    r.exact.ephemeral != row->ephemeral || r.nonzero_milli_cpu != row->nonzero_milli_cpu ||
                    r.nonzero_memory != row->nonzero_memory ||
                    (r.exact.nothers ? r.exact.others[0].value : 0) != row->gpus)
                        fail_msg("%s: cpu %lld memory %lld ephemeral %lld; nonzero %lld %lld", row->what,
                                 (long long)r.exact.milli_cpu, (long long)r.exact.memory, (long long)r.exact.ephemeral,
                                 (long long)r.nonzero_milli_cpu, (long long)r.nonzero_memory);
                pod_request_deinit(&r);
                atom_pool_deinit(&pool);
                assert_int_equal(atoms.table.count, 0);
                atoms_deinit(&atoms);
        }
}

static void pods_of_a_template_share_a_shape(void **unused)
{
        struct sched_world w;
        struct pod *a, *b, *c;

        sched_world_init(&w);
        a = sched_world_pod(&w, "a", "'app':'x'", "'containers':[" C("1", "1Mi") "]", NULL);
        b = sched_world_pod(&w, "b", "'app':'x'", "'containers':[" C("1", "1Mi") "]", NULL);
        c = sched_world_pod(&w, "c", "'app':'x'", "'containers':[" C("2", "1Mi") "]", NULL);
        assert_ptr_equal(a->view->shape, b->view->shape);
        assert_ptr_not_equal(a->view->shape, c->view->shape);
        assert_int_equal(w.state.shapes.table.count, 2);
        sched_world_pod_gone(&w, a);
        sched_world_pod_gone(&w, b);
        assert_int_equal(w.state.shapes.table.count, 1);
        sched_world_deinit(&w);
}

/* The status that a kubelet writes says the same as the spec: the pod stays what it is. */
static void a_running_pod_keeps_its_shape(void **unused)
{
        const char *spec = "'containers':[" C("1", "1Mi") "]";
        const char *meta = "'metadata':{'namespace':'default','name':'a'}";
        struct pod_view *x, *y;
        struct sched_world w;

        sched_world_init(&w);
        x = pod_view_new(&w.state.shapes, sched_world_json("{%s,'spec':{%s}}", meta, spec));
        y = pod_view_new(
                &w.state.shapes,
                sched_world_json("{%s,'spec':{%s},'status':{'phase':'Running','containerStatuses':[{'name':'c',"
                                 "'allocatedResources':{'memory':'1Mi','cpu':'1'}}]}}",
                                 meta, spec));
        assert_ptr_equal(x->shape, y->shape);
        pod_view_free(&w.state.shapes, x);
        pod_view_free(&w.state.shapes, y);
        sched_world_deinit(&w);
}

/* What is added is taken away again, to the last byte and the last name. */
static void usage_comes_and_goes(void **unused)
{
        struct sched_world w;
        struct node *n;

        sched_world_init(&w);
        n = sched_world_node(&w, "n", NULL, NULL);
        for (int i = 0; i < 3; i++)
                sched_world_pod(&w, "p", NULL,
                                "'containers':[{'resources':{'requests':{'cpu':'1','example.com/gpu':'1'}}}]", "n");
        assert_int_equal(n->used.pods, 3);
        assert_int_equal(n->used.exact.milli_cpu, 3000);
        assert_int_equal(n->used.exact.others[0].value, 3);
        while (w.npods)
                sched_world_pod_gone(&w, w.pods[0]);
        assert_int_equal(n->used.pods, 0);
        assert_int_equal(n->used.exact.milli_cpu, 0);
        assert_int_equal(n->used.nonzero_memory, 0);
        assert_int_equal(n->used.exact.nothers, 0);
        sched_world_deinit(&w);
}

static void pods_of_a_node_that_is_not_known_yet_count_when_it_comes(void **unused)
{
        struct sched_world w;
        struct node *n;

        sched_world_init(&w);
        sched_world_pod(&w, "p", NULL, "'containers':[" C("3", "1Mi") "]", "late");
        assert_int_equal(w.state.nnodes, 0);
        n = sched_world_node(&w, "late", NULL, NULL);
        assert_int_equal(w.state.nnodes, 1);
        assert_int_equal(n->used.exact.milli_cpu, 3000);
        sched_world_node_gone(&w, "late");
        assert_int_equal(w.state.nnodes, 0);
        assert_int_equal(w.state.nodes.count, 1);
        sched_world_pod_gone(&w, w.pods[0]);
        assert_int_equal(w.state.nodes.count, 0);
        sched_world_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(requests_of_pods),
                cmocka_unit_test(pods_of_a_template_share_a_shape),
                cmocka_unit_test(a_running_pod_keeps_its_shape),
                cmocka_unit_test(usage_comes_and_goes),
                cmocka_unit_test(pods_of_a_node_that_is_not_known_yet_count_when_it_comes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
