/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"
#include "controllers/engine/lister.h"

static void put(struct lister *l, const struct resource *r, const char *text)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct kobj *k;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        k = kobj_from_json(r, o);
        assert_non_null(k);
        kobj_unref(lister_set(l, r, k->key, k));
}

static void put_pod(struct lister *l, const char *ns, const char *name, const char *labels)
{
        char text[512];

        snprintf(text, sizeof(text), "{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"labels\":{%s}}}", ns, name,
                 labels);
        put(l, &res_pods, text);
}

static size_t count(const struct lister *l, const char *ns, const struct label *labels, size_t n)
{
        _cleanup_(arena_deinit) struct arena mem = ARENA_NULL;

        return lister_labelled(l, &res_pods, ns, labels, n, &mem).n;
}

static void pods_are_found_by_all_of_their_labels(void **state)
{
        static const struct label web[] = {{"app", "web"}, {"tier", "front"}}, none[] = {{"app", "db"}};
        _cleanup_(lister_freep) struct lister *l = lister_new();

        lister_follow(l, &res_pods);
        put_pod(l, "d", "a", "\"app\":\"web\",\"tier\":\"front\"");
        put_pod(l, "d", "b", "\"app\":\"web\",\"tier\":\"back\"");
        put_pod(l, "e", "a", "\"app\":\"web\",\"tier\":\"front\"");
        assert_int_equal(count(l, "d", web, 1), 2);
        assert_int_equal(count(l, "d", web, 2), 1);
        assert_int_equal(count(l, "e", web, 2), 1);
        assert_int_equal(count(l, "d", none, 1), 0);

        put_pod(l, "d", "b", "\"app\":\"web\",\"tier\":\"front\"");
        assert_int_equal(count(l, "d", web, 2), 2);
        kobj_unref(lister_set(l, &res_pods, "d/a", NULL));
        assert_int_equal(count(l, "d", web, 2), 1);
        kobj_unref(lister_set(l, &res_pods, "d/b", NULL));
        assert_int_equal(count(l, "d", web, 1), 0);
}

static void an_endpointslice_is_kept_without_its_text(void **state)
{
        static const struct label of_web[] = {{"kubernetes.io/service-name", "web"}};
        _cleanup_(lister_freep) struct lister *l = lister_new();
        _cleanup_(arena_deinit) struct arena mem = ARENA_NULL;
        const struct slice_endpoint *e;
        struct kobjs found;

        lister_follow(l, &res_endpointslices);
        put(l, &res_endpointslices,
            "{\"metadata\":{\"namespace\":\"d\",\"name\":\"web-x\",\"labels\":{\"kubernetes.io/"
            "service-name\":\"web\"}},"
            "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\"},{\"name\":"
            "\"all\"}],"
            "\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":true,\"serving\":false},"
            "\"nodeName\":\"n\",\"zone\":\"z\",\"hints\":{\"forZones\":[{\"name\":\"z\"}]},"
            "\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"d\",\"name\":\"web-1\",\"uid\":\"u\"}},"
            "{\"addresses\":[\"10.0.0.2\",\"10.0.0.3\"]}]}");
        found = lister_labelled(l, &res_endpointslices, "d", of_web, 1, &mem);
        assert_int_equal(found.n, 1);
        assert_null(found.items[0]->text);
        assert_string_equal(found.items[0]->slice->address_type, "IPv4");
        assert_int_equal(found.items[0]->slice->nports, 2);
        assert_int_equal(found.items[0]->slice->ports[1].port, -1);
        assert_int_equal(found.items[0]->slice->nendpoints, 2);

        e = found.items[0]->slice->endpoints;
        assert_string_equal(e[0].address, "10.0.0.1");
        assert_string_equal(e[0].node, "n");
        assert_string_equal(e[0].for_zone, "z");
        assert_string_equal(e[0].ns, "d");
        assert_string_equal(e[0].name, "web-1");
        assert_int_equal(e[0].ready, TRI_TRUE);
        assert_int_equal(e[0].serving, TRI_FALSE);
        assert_int_equal(e[0].terminating, TRI_UNSET);
        assert_false(e[0].odd);
        assert_true(e[1].odd);
        assert_string_equal(e[1].zone, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pods_are_found_by_all_of_their_labels),
                cmocka_unit_test(an_endpointslice_is_kept_without_its_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
