/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "hollow/addresses.h"
#include "hollow/node_object.h"

static void addresses_lie_in_all_cidrs(void **state)
{
        struct addresses a = {.cidrs = {"10.244.1.0/24", "fd00:0:0:1::/64"}};
        char ip[ADDRESSES_TEXT];

        assert_int_equal(addresses_take(&a), 2);
        assert_int_equal(addresses_take(&a), 3);
        assert_true(address_at(a.cidrs[0], 3, ip));
        assert_string_equal(ip, "10.244.1.3");
        assert_true(address_at(a.cidrs[1], 3, ip));
        assert_string_equal(ip, "fd00:0:0:1::3");
        addresses_release(&a, 2);
        assert_int_equal(addresses_take(&a), 2);
        addresses_deinit(&a);
}

static void a_full_cidr_has_no_address_left(void **state)
{
        static const struct {
                const char *cidr;
                uint32_t places;
        } rows[] = {{"10.0.0.0/24", 253}, {"10.0.0.0/29", 5}, {"10.0.0.0/30", 1},
                    {"10.0.0.0/31", 0},   {"10.0.0.1/32", 0}, {"fd00::/124", 14},
                    {"10.0.0.0/8", 4094}, {"nonsense", 0},    {"10.0.0.0/33", 0}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct addresses a = {0};
                uint32_t n = 0;

                str_copy(a.cidrs[0], sizeof(a.cidrs[0]), rows[i].cidr);
                while (addresses_take(&a) != PLACE_NONE)
                        n++;
                assert_int_equal(n, rows[i].places);
                addresses_deinit(&a);
        }
}

static void addresses_that_pods_have_are_not_given_again(void **state)
{
        struct addresses a = {.cidrs = {"10.1.16.0/20", "fd00::/64"}};

        assert_int_equal(addresses_adopt(&a, "10.1.16.2"), 2);
        assert_int_equal(addresses_adopt(&a, "10.1.17.1"), 257);
        assert_int_equal(addresses_adopt(&a, "fd00::3"), 3);
        assert_int_equal(addresses_take(&a), 4);
        assert_int_equal(addresses_adopt(&a, "10.1.15.255"), PLACE_NONE);
        assert_int_equal(addresses_adopt(&a, "10.2.0.1"), PLACE_NONE);
        assert_int_equal(addresses_adopt(&a, "10.1.32.0"), PLACE_NONE);
        assert_int_equal(addresses_adopt(&a, "fd01::3"), PLACE_NONE);
        assert_int_equal(addresses_adopt(&a, "what"), PLACE_NONE);
        addresses_deinit(&a);
}

static void made_up_addresses_differ_from_node_to_node(void **state)
{
        struct addresses a = {0}, b = {0};
        char ip[ADDRESSES_TEXT];

        addresses_make_up(&a, 0);
        addresses_make_up(&b, 16383);
        assert_string_equal(a.cidrs[0], "100.64.0.0/24");
        assert_string_equal(b.cidrs[0], "100.127.255.0/24");
        address_of_node(65537, ip);
        assert_string_equal(ip, "198.19.0.1");
        addresses_deinit(&a);
        addresses_deinit(&b);
}

static int parse(struct hollow_config *c, struct err *err, const char *const words[])
{
        char *argv[16] = {(char *)"fairlead-hollow"};
        int argc = 1;

        while (words[argc - 1])
                argv[argc] = (char *)words[argc - 1], argc++;
        optind = 1;
        return hollow_config_parse(argc, argv, c, err);
}

static void flags_make_the_nodes(void **state)
{
        const char *const words[] = {"--nodes=20",
                                     "--first",
                                     "5",
                                     "--zones",
                                     "2",
                                     "--label=disk=ssd",
                                     "--taint=dedicated=x:NoSchedule",
                                     "--taint=spot:NoExecute",
                                     "--capacity=cpu=4",
                                     "--image=nginx=123",
                                     NULL};
        _cleanup_json_ struct json_object *node = NULL;
        struct hollow_config c;
        struct err err = ERR_NULL;

        assert_int_equal(parse(&c, &err, words), 0);
        node = hollow_node_object(&c, 4, 1767323045);
        assert_string_equal(json_at_str(node, "metadata.name"), "hollow-9");
        assert_string_equal(json_get_str(json_at(node, "metadata.labels"), "topology.kubernetes.io/zone"), "zone-0");
        assert_string_equal(json_at_str(node, "metadata.labels.disk"), "ssd");
        assert_string_equal(json_get_str(json_idx(json_at(node, "spec.taints"), 0), "value"), "x");
        assert_string_equal(json_get_str(json_idx(json_at(node, "spec.taints"), 1), "key"), "spot");
        assert_false(json_has(json_idx(json_at(node, "spec.taints"), 1), "value"));
        assert_string_equal(json_at_str(node, "status.allocatable.cpu"), "4");
        assert_string_equal(json_at_str(node, "status.allocatable.memory"), "256Gi");
        assert_int_equal(json_get_i64(json_idx(json_at(node, "status.images"), 0), "sizeBytes", 0), 123);
        hollow_config_deinit(&c);
}

static void names_and_indexes_belong_together(void **state)
{
        const char *const words[] = {"--nodes=20", "--first=5", NULL};
        static const struct {
                const char *name;
                int64_t index;
        } rows[] = {{"hollow-5", 0}, {"hollow-24", 19}, {"hollow-4", -1}, {"hollow-25", -1}, {"hollow-05", -1},
                    {"hollow-", -1}, {"other-5", -1},   {NULL, -1},       {"hollow-6x", -1}};
        struct hollow_config c;
        struct err err = ERR_NULL;

        assert_int_equal(parse(&c, &err, words), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(node_index(&c, rows[i].name), rows[i].index);
        hollow_config_deinit(&c);
}

static void a_ready_node_keeps_the_time_of_its_condition(void **state)
{
        const char *const words[] = {NULL};
        _cleanup_json_ struct json_object *same = NULL, *back = NULL;
        struct hollow_config c;
        struct err err = ERR_NULL;

        assert_int_equal(parse(&c, &err, words), 0);
        same = node_status_patch(&c, 0, 1767323045, true);
        back = node_status_patch(&c, 0, 1767323045, false);
        assert_false(json_has(json_idx(json_at(same, "status.conditions"), 3), "lastTransitionTime"));
        assert_false(json_has(json_get(same, "status"), "capacity"));
        assert_true(json_has(json_idx(json_at(back, "status.conditions"), 3), "lastTransitionTime"));
        assert_true(json_has(json_get(back, "status"), "capacity"));
        hollow_config_deinit(&c);
}

static void wrong_flags_are_refused_with_what_would_be_right(void **state)
{
        static const struct {
                const char *word, *message;
        } rows[] = {
                {"--nodes=0", "--nodes 0: use a number from 1 to 16384"},
                {"--nodes=many", "--nodes many: use a number from 1 to 16384"},
                {"--taint=x:Never", "--taint x:Never: the effect is NoSchedule, PreferNoSchedule or NoExecute"},
                {"--taint=x", "--taint x: use KEY=VALUE:EFFECT or KEY:EFFECT"},
                {"--capacity=cpu=lots", "--capacity cpu=lots: use a quantity such as 4, 500m or 16Gi"},
                {"--image=nginx", "--image nginx: use NAME=VALUE"},
                {"--stop-after=soon", "--stop-after soon: use a duration such as 500ms, 2s or 1m, or grace"},
                {"--lease-period=1ms", "--lease-period 1ms: use a duration from 100ms to 3600s"},
                {"--log-level=loud", "--log-level loud: use debug, info, warn or error"},
                {"more", "unexpected argument more; see --help"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct hollow_config c;
                struct err err = ERR_NULL;

                assert_int_equal(parse(&c, &err, (const char *const[]){rows[i].word, NULL}), -EINVAL);
                assert_string_equal(err.msg, rows[i].message);
                hollow_config_deinit(&c);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_lie_in_all_cidrs),
                cmocka_unit_test(a_full_cidr_has_no_address_left),
                cmocka_unit_test(addresses_that_pods_have_are_not_given_again),
                cmocka_unit_test(made_up_addresses_differ_from_node_to_node),
                cmocka_unit_test(flags_make_the_nodes),
                cmocka_unit_test(names_and_indexes_belong_together),
                cmocka_unit_test(a_ready_node_keeps_the_time_of_its_condition),
                cmocka_unit_test(wrong_flags_are_refused_with_what_would_be_right),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
