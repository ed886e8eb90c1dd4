/* SPDX-License-Identifier: Apache-2.0 */
/* The steps between two states of a service, as text. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/diff.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "datapath/address.h"

#define BACKENDS_MAX 4

/* A service of one port and one frontend, with backends 10.0.0.<n>. */
struct small {
        struct service_state state;
        struct port_state port;
        struct frontend_state frontend;
        struct backend_state backends[BACKENDS_MAX];
};

static struct small *make(struct small *s, const int *numbers, size_t n)
{
        *s = (struct small){.port = {.name = "http", .number = 80, .proto = IPPROTO_TCP, .pools = 1 << 0}};
        for (size_t i = 0; i < n; i++)
                s->backends[i] =
                        (struct backend_state){.addr = address_of_v4(htonl(0x0a000000U + (uint32_t)numbers[i])),
                                               .port = htons(80),
                                               .scopes = SCOPE_CLUSTER,
                                               .weight = 1};
        s->port.backends = s->backends;
        s->port.nbackends = (uint32_t)n;
        s->frontend = (struct frontend_state){
                .key = {.addr = address_of_v4(htonl(0x0a600001)), .port = htons(80), .proto = IPPROTO_TCP},
                .in = 0,
                .out = POOL_NONE};
        s->state = (struct service_state){
                .key = "ns/s", .nports = 1, .ports = &s->port, .nfrontends = 1, .frontends = &s->frontend};
        return s;
}

/* As if it had been applied. */
static struct small *applied(struct small *s, const int *numbers, size_t n)
{
        make(s, numbers, n);
        s->port.id = 7;
        for (size_t i = 0; i < n; i++)
                s->backends[i].id = (uint32_t)(100 + numbers[i]);
        if (n)
                s->port.range[0] = (struct slot_range){16, (uint32_t)n};
        return s;
}

static const char *const names[] = {
        [OP_PORT_NEW] = "port-new",         [OP_PORT_RENAME] = "rename",
        [OP_BACKEND_SET] = "backend",       [OP_POOL_SET] = "pool",
        [OP_RANGE_SET] = "range",           [OP_FRONTEND_SET] = "frontend",
        [OP_FRONTEND_DEL] = "frontend-del", [OP_RANGE_DEL] = "range-del",
        [OP_POOL_FREE] = "pool-free",       [OP_BACKEND_FREE] = "backend-free",
        [OP_PORT_FREE] = "port-free",
};

static char *steps(const struct service_state *old, struct service_state *now, bool doubt)
{
        struct arena arena = ARENA_NULL;
        struct op_list ops = {.arena = &arena};
        struct strbuf b = STRBUF_NULL;
        enum op_kind last = OP_PORT_NEW;

        strbuf_add_str(&b, "");
        diff_service(old, now, doubt, &ops);
        for (size_t i = 0; i < ops.n; i++) {
                assert_true(ops.ops[i].kind >= last); /* the order that keeps clients whole */
                last = ops.ops[i].kind;
                strbuf_printf(&b, "%s%s %u", i ? ", " : "", names[ops.ops[i].kind], ops.ops[i].index);
        }
        arena_deinit(&arena);
        return strbuf_take(&b, NULL);
}

static void expect(const struct small *old, struct small *now, bool doubt, const char *want)
{
        _cleanup_free_ char *got = steps(old ? &old->state : NULL, &now->state, doubt);

        assert_string_equal(got, want);
}

static void what_is_new_is_made_before_the_frontend_leads_to_it(void **state)
{
        struct small now;

        expect(NULL, make(&now, (const int[]){1, 2}, 2), false, "port-new 0, backend 0, backend 1, pool 0, frontend 0");
}

static void nothing_changes_nothing(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1, 2}, 2);
        expect(&old, make(&now, (const int[]){1, 2}, 2), false, "");
        assert_int_equal(now.port.id, 7);
        assert_int_equal(now.backends[1].id, 102);
        assert_int_equal(now.port.range[0].base, 16);
        applied(&old, NULL, 0);
        expect(&old, make(&now, NULL, 0), false, "");
}

static void what_goes_goes_after_the_frontend_has_turned(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1, 2, 4}, 3);
        expect(&old, make(&now, (const int[]){2, 3, 4}, 3), false,
               "backend 1, pool 0, frontend 0, pool-free 0, backend-free 0");
        assert_int_equal(now.backends[0].id, 102);
        assert_int_equal(now.backends[1].id, 0);
        assert_int_equal(now.backends[2].id, 104);
}

static void the_last_endpoint_leaves_an_empty_range(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1}, 1);
        expect(&old, make(&now, NULL, 0), false, "frontend 0, pool-free 0, backend-free 0");
        assert_int_equal(now.port.range[0].size, 0);
}

static void a_backend_that_drains_leaves_the_pool_and_stays(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1, 2}, 2);
        make(&now, (const int[]){1, 2}, 2);
        now.backends[1].scopes = 0;
        now.backends[1].flags = BACKEND_TERMINATING;
        expect(&old, &now, false, "backend 1, pool 0, frontend 0, pool-free 0");
        assert_int_equal(now.backends[1].id, 102);
}

static void a_weight_or_a_flag_of_the_frontend_writes_no_more_than_it_must(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1, 2}, 2);
        make(&now, (const int[]){1, 2}, 2);
        now.backends[0].weight = 3;
        expect(&old, &now, false, "pool 0, frontend 0, pool-free 0");
        make(&now, (const int[]){1, 2}, 2);
        now.frontend.flags = SERVICE_AFFINITY;
        expect(&old, &now, false, "frontend 0");
        make(&now, (const int[]){1, 2}, 2);
        now.state.affinity_s = 60;
        expect(&old, &now, false, "frontend 0");
}

static void what_found_no_room_is_tried_again(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1, 2}, 2);
        old.backends[1].id = 0;
        expect(&old, make(&now, (const int[]){1, 2}, 2), false, "backend 1, pool 0, frontend 0, pool-free 0");
        applied(&old, (const int[]){1, 2}, 2);
        old.port.range[0] = (struct slot_range){0};
        expect(&old, make(&now, (const int[]){1, 2}, 2), false, "pool 0, frontend 0");
        applied(&old, (const int[]){1}, 1);
        old.frontend.absent = true;
        expect(&old, make(&now, (const int[]){1}, 1), false, "frontend 0");
}

static void a_frontend_that_another_has_is_left_alone(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1}, 1);
        old.frontend.absent = true;
        make(&now, (const int[]){1}, 1);
        now.frontend.lost = now.frontend.absent = true;
        expect(&old, &now, false, "");
        make(&now, (const int[]){1}, 1);
        now.state.nfrontends = 0;
        expect(&old, &now, false, "");
}

static void a_port_that_goes_takes_everything_along(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1}, 1);
        make(&now, NULL, 0);
        now.state.nports = now.state.nfrontends = 0;
        expect(&old, &now, false, "frontend-del 0, pool-free 0, backend-free 0, port-free 0");
}

static void what_is_in_doubt_is_written_again(void **state)
{
        struct small old, now;

        applied(&old, (const int[]){1, 2}, 2);
        expect(&old, make(&now, (const int[]){1, 2}, 2), true,
               "rename 0, backend 0, backend 1, pool 0, frontend 0, pool-free 0");
        assert_int_equal(now.backends[0].id, 101);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_new_is_made_before_the_frontend_leads_to_it),
                cmocka_unit_test(nothing_changes_nothing),
                cmocka_unit_test(what_goes_goes_after_the_frontend_has_turned),
                cmocka_unit_test(the_last_endpoint_leaves_an_empty_range),
                cmocka_unit_test(a_backend_that_drains_leaves_the_pool_and_stays),
                cmocka_unit_test(a_weight_or_a_flag_of_the_frontend_writes_no_more_than_it_must),
                cmocka_unit_test(what_found_no_room_is_tried_again),
                cmocka_unit_test(a_frontend_that_another_has_is_left_alone),
                cmocka_unit_test(a_port_that_goes_takes_everything_along),
                cmocka_unit_test(what_is_in_doubt_is_written_again),
        };

        return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
