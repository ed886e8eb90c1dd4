/* SPDX-License-Identifier: Apache-2.0 */
/* Hints by zones' CPUs, for random zones and endpoints: every zone gets about its share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/endpoint/spread.h"
#include "controllers/engine/step.h"

#define ZONES_MAX     5
#define ENDPOINTS_MAX 60
#define CASES         3000

static uint64_t state;

static unsigned int random_of(unsigned int below)
{
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        return (unsigned int)(state >> 33) % below;
}

static const struct kobj *new_object(const struct resource *r, const char *text)
{
        _cleanup_json_ struct json_object *o = NULL;
        const struct kobj *k;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        k = kobj_from_json(r, o);
        assert_non_null(k);
        return k;
}

static const struct kobj *new_node(unsigned int i, unsigned int zone, unsigned int cpus, bool ready)
{
        _cleanup_free_ char *text = mem_printf(
                "{\"metadata\":{\"name\":\"n%u\",\"labels\":{\"topology.kubernetes.io/zone\":\"z%u\"}},\"status\":{"
                "\"allocatable\":{\"cpu\":\"%u\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
                i, zone, cpus, ready ? "True" : "False");

        return new_object(&res_nodes, text);
}

/* A service of n endpoints in two slices that are to be written. */
struct spread_case {
        struct plan *plan;
        struct sync sync;
        const struct kobj *service;
        struct drafts drafts;
        struct zones zones;
        unsigned int nzones, nendpoints, cpus[ZONES_MAX], cpus_of_all;
};

static void make_zones(struct spread_case *c)
{
        for (unsigned int z = 0; z < c->nzones; z++) {
                c->cpus[z] = 1 + random_of(16);
                c->cpus_of_all += c->cpus[z];
                for (unsigned int i = 0; i < c->cpus[z]; i++) {
                        _cleanup_(kobj_unrefp) const struct kobj *node = new_node(i, z, 1, true);

                        assert_true(zones_node_changed(&c->zones, NULL, node));
                }
        }
}

static void make_endpoints(struct spread_case *c)
{
        struct draft *two[2];

        for (unsigned int i = 0; i < 2; i++)
                two[i] = draft_new(&c->drafts, FAMILY_V4, NULL, 0);
        for (unsigned int i = 0; i < c->nendpoints; i++) {
                struct slice_endpoint e = {.address = "10.0.0.1",
                                           .zone = arena_printf(c->sync.mem, "z%u", random_of(c->nzones)),
                                           .ready = TRI_TRUE};

                draft_add(&c->drafts, two[random_of(2)], &e);
        }
}

static void open_case(struct spread_case *c)
{
        *c = (struct spread_case){.plan = plan_new(), .nzones = 2 + random_of(ZONES_MAX - 1)};
        c->nendpoints = 1 + random_of(ENDPOINTS_MAX);
        c->sync = (struct sync){.mem = &c->plan->mem, .plan = c->plan};
        c->service = new_object(&res_services, "{\"metadata\":{\"namespace\":\"d\",\"name\":\"s\",\"uid\":\"u\"}}");
        drafts_init(&c->drafts, &c->sync, c->service);
        make_zones(c);
        make_endpoints(c);
}

static void close_case(struct spread_case *c)
{
        plan_free(c->plan);
        kobj_unref(c->service);
        zones_deinit(&c->zones);
}

static void count(const struct spread_case *c, unsigned int *hinted, unsigned int *without)
{
        drafts_foreach (&c->drafts, d)
                for (size_t i = 0; i < d->n; i++) {
                        if (str_empty(d->endpoints[i].for_zone))
                                ++*without;
                        else
                                hinted[d->endpoints[i].for_zone[1] - '0']++;
                }
}

/* With one endpoint more at most, no zone's endpoints would get more than a fifth more of the traffic than others':
 * whole endpoints are moved while that is better by a half for both zones, as upstream does it. */
static void check_shares(const struct spread_case *c)
{
        unsigned int hinted[ZONES_MAX] = {0}, without = 0;

        count(c, hinted, &without);
        if (without) {
                assert_int_equal(without, c->nendpoints);
                return;
        }
        for (unsigned int z = 0; z < c->nzones; z++) {
                double share = (double)c->cpus[z] * c->nendpoints / c->cpus_of_all;

                assert_true(hinted[z] >= 1);
                assert_true(((double)hinted[z] + 1) * 1.2 > share);
        }
}

static void every_zone_gets_its_share(void **unused)
{
        unsigned int with_hints = 0;

        state = 1;
        for (unsigned int i = 0; i < CASES; i++) {
                struct spread_case c;

                open_case(&c);
                spread_hints(&c.drafts, FAMILY_V4, &c.zones);
                check_shares(&c);
                with_hints += c.nendpoints && c.drafts.first->n && !str_empty(c.drafts.first->endpoints[0].for_zone);
                close_case(&c);
        }
        assert_true(with_hints > CASES / 2);
}

static void shares_follow_nodes(void **unused)
{
        _cleanup_(kobj_unrefp) const struct kobj *a = new_node(0, 0, 4, true), *b = new_node(1, 1, 4, true);
        _cleanup_(kobj_unrefp) const struct kobj *down = new_node(1, 1, 4, false), *large = new_node(1, 1, 8, true);
        struct zones z = {0};

        assert_true(zones_node_changed(&z, NULL, a));
        assert_false(zones_known(&z));
        assert_true(zones_node_changed(&z, NULL, b));
        assert_true(zones_known(&z));
        assert_false(zones_node_changed(&z, b, b));
        assert_true(zones_node_changed(&z, b, large));
        assert_int_equal(z.cpu_milli, 12000);
        assert_true(zones_node_changed(&z, large, down));
        assert_false(zones_known(&z));
        assert_false(zones_node_changed(&z, down, NULL));
        assert_true(zones_node_changed(&z, a, NULL));
        assert_int_equal(z.n, 0);
        assert_int_equal(z.cpu_milli, 0);
        zones_deinit(&z);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_zone_gets_its_share),
                cmocka_unit_test(shares_follow_nodes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
