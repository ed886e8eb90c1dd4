/* SPDX-License-Identifier: Apache-2.0 */
/* Writes through the whole chain: names, versions, races, deletion, evictions, lists of the past. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "unit/apiserver/apifix.h"
#include "unit/apiserver/fakestore.h"

#define CMS  "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"
#define EPS  "/api/v1/namespaces/default/endpoints"
#define PDBS "/apis/policy/v1/namespaces/default/poddisruptionbudgets"

static struct apifix fix;

static int setup(void **state _unused_)
{
        apifix_open(&fix);
        return 0;
}

static int teardown(void **state _unused_)
{
        apifix_close(&fix);
        return 0;
}

static void expect(int status, const char *method, const char *url, const char *body, const char *path,
                   const char *want)
{
        apifix_expect(&fix, status, method, url, body, path, want);
}

static void request(int status, const char *method, const char *url, const char *body)
{
        struct api_reply r = apifix_do(&fix, status, method, url, body);

        apifix_reply_deinit(&r);
}

static uint64_t revision(void)
{
        return fakestore_revision(apifix_store(&fix));
}

static void urls_without_a_route_are_refused(void **state _unused_)
{
        static const struct {
                int status;
                const char *method, *url;
        } rows[] = {
                {405, "POST", CMS "/x"},
                {405, "PUT", CMS},
                {405, "PATCH", CMS},
                {405, "POST", "/api/v1/configmaps"},
                {405, "DELETE", "/api/v1/configmaps"}, /* would delete them in all namespaces */
                {404, "GET", "/api/v1/configmaps/x"},
                {404, "DELETE", "/api/v1/configmaps/x"},
                {404, "GET", "/api/v1/namespaces/default/nodes"},
                {404, "GET", "/api/v1/namespaces/default/nothings"},
                {404, "GET", CMS "/x/status"},
                {405, "POST", "/api/v1/watch/configmaps"},
                {405, "DELETE", "/api/v1/namespaces"},
                {200, "GET", "/api/v1/configmaps"},
                {404, "GET", CMS "/%ff"},
        };

        request(201, "POST", CMS, "{'metadata':{'name':'kept'}}");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                request(rows[i].status, rows[i].method, rows[i].url, "{'metadata':{'name':'x'}}");
        request(200, "GET", CMS "/kept", NULL);
        request(404, "GET", CMS "/x", NULL);
}

static void a_taken_name_is_a_conflict(void **state _unused_)
{
        request(201, "POST", CMS, "{'metadata':{'name':'x','finalizers':['a.b/c']}}");
        expect(409, "POST", CMS, "{'metadata':{'name':'x'}}", "message", "configmaps \"x\" already exists");
        expect(200, "DELETE", CMS "/x", NULL, "kind", "ConfigMap");
        expect(409, "POST", CMS, "{'metadata':{'name':'x'}}", "message",
               "object is being deleted: configmaps \"x\" already exists");
        expect(409, "POST", CMS, "{'metadata':{'name':'x'}}", "reason", "AlreadyExists");
        request(200, "PATCH", CMS "/x", "{'metadata':{'finalizers':null}}");
        request(201, "POST", CMS, "{'metadata':{'name':'x'}}");
}

static void a_name_is_generated_when_asked(void **state _unused_)
{
        _cleanup_reply_ struct api_reply r = apifix_do(&fix, 201, "POST", CMS, "{'metadata':{'generateName':'web-'}}");
        const char *name = json_at_str(r.body, "metadata.name");

        assert_true(str_has_prefix(name, "web-"));
        assert_int_equal(strlen(name), 9);
        assert_int_equal(strspn(name + 4, "bcdfghjklmnpqrstvwxz2456789"), 5);
        expect(422, "POST", CMS, "{'metadata':{}}", "message",
               "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
}

static void a_dry_run_shows_and_leaves_nothing(void **state _unused_)
{
        uint64_t before;

        request(201, "POST", CMS, "{'metadata':{'name':'x'},'data':{'a':'1'}}");
        before = revision();
        expect(201, "POST", CMS "?dryRun=All", "{'metadata':{'name':'y'}}", "metadata.name", "y");
        expect(409, "POST", CMS "?dryRun=All", "{'metadata':{'name':'x'}}", "reason", "AlreadyExists");
        expect(200, "PATCH", CMS "/x?dryRun=All", "{'data':{'a':'2'}}", "data.a", "2");
        expect(200, "DELETE", CMS "/x?dryRun=All", NULL, "status", "Success");
        request(200, "DELETE", CMS "?dryRun=All", NULL);
        request(201, "POST", "/api/v1/namespaces/default/services?dryRun=All",
                "{'metadata':{'name':'s'},'spec':{'ports':[{'port':80}]}}");
        assert_int_equal(revision(), before);
        expect(200, "GET", CMS "/x", NULL, "data.a", "1");
        request(404, "GET", CMS "/y", NULL);
}

static void an_update_without_a_change_writes_nothing(void **state _unused_)
{
        uint64_t before;

        request(201, "POST", CMS, "{'metadata':{'name':'x'},'data':{'a':'1'}}");
        before = revision();
        request(200, "PUT", CMS "/x", "{'metadata':{'name':'x'},'data':{'a':'1'}}");
        request(200, "PATCH", CMS "/x", "{'data':{'a':'1'}}");
        assert_int_equal(revision(), before);
}

/* ---- races ---- */

static void change_x(void *arg)
{
        request(200, "PATCH", CMS "/x", arg);
}

static void a_lost_race_is_run_again_unless_a_version_was_named(void **state _unused_)
{
        char body[100];
        uint64_t rv;

        request(201, "POST", CMS, "{'metadata':{'name':'x'}}");
        fakestore_before(apifix_store(&fix), change_x, "{'data':{'other':'1'}}");
        expect(200, "PATCH", CMS "/x", "{'data':{'mine':'1'}}", "data.other", "1");
        rv = revision();
        snprintf(body, sizeof(body), "{'metadata':{'resourceVersion':'%llu'},'data':{'mine':'2'}}",
                 (unsigned long long)rv);
        fakestore_before(apifix_store(&fix), change_x, "{'data':{'other':'2'}}");
        expect(409, "PATCH", CMS "/x", body, "reason", "Conflict");
        expect(200, "GET", CMS "/x", NULL, "data.mine", "1");
}

static void make_endpoints(void *arg)
{
        request(201, "POST", EPS, arg);
}

static void a_put_that_makes_an_object_becomes_an_update_when_somebody_was_faster(void **state _unused_)
{
        expect(201, "PUT", EPS "/new", "{'metadata':{'name':'new','resourceVersion':'7'}}", "metadata.name", "new");
        fakestore_before(apifix_store(&fix), make_endpoints, "{'metadata':{'name':'x','labels':{'who':'other'}}}");
        expect(200, "PUT", EPS "/x", "{'metadata':{'name':'x','labels':{'who':'me'}}}", "metadata.labels.who", "me");
        request(404, "PUT", CMS "/x", "{'metadata':{'name':'x'}}");
}

static void a_store_that_cannot_write_changes_nothing(void **state _unused_)
{
        request(201, "POST", CMS, "{'metadata':{'name':'x'}}");
        fakestore_fail(apifix_store(&fix), STORE_FULL);
        expect(507, "POST", CMS, "{'metadata':{'name':'y'}}", "reason", "InsufficientStorage");
        request(507, "DELETE", CMS "/x", NULL);
        request(200, "GET", CMS "/x", NULL);
        fakestore_fail(apifix_store(&fix), -EIO);
        request(500, "PATCH", CMS "/x", "{'data':{'a':'1'}}");
        fakestore_fail(apifix_store(&fix), 0);
        request(200, "PATCH", CMS "/x", "{'data':{'a':'1'}}");
}

/* ---- deletion ---- */

static void make_pod(const char *name, const char *more)
{
        char body[400];

        snprintf(body, sizeof(body),
                 "{'metadata':{'name':'%s','labels':{'app':'web'}%s},'spec':{'nodeName':'n','containers':[{'name':'c',"
                 "'image':'i'}]}}",
                 name, more);
        request(201, "POST", PODS, body);
}

/* What happens to a pod on a node by deletes one after the other: the grace period after each, -1: gone. */
static void grace_periods_can_only_shrink(void **state _unused_)
{
        static const struct {
                const char *deletes[3];
                int grace[3];
        } rows[] = {
                {{"", "", NULL}, {30, 30, 0}},
                {{"?gracePeriodSeconds=60", "", "?gracePeriodSeconds=10"}, {60, 60, 10}},
                {{"?gracePeriodSeconds=5", "?gracePeriodSeconds=50", "?gracePeriodSeconds=0"}, {5, 5, -1}},
                {{"?gracePeriodSeconds=0", NULL, NULL}, {-1, 0, 0}},
                {{"?gracePeriodSeconds=-7", NULL, NULL}, {1, 0, 0}},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char name[20], url[100];

                snprintf(name, sizeof(name), "p%zu", i);
                make_pod(name, "");
                for (size_t k = 0; k < 3 && rows[i].deletes[k]; k++) {
                        char want[20] = "";

                        snprintf(url, sizeof(url), PODS "/%s%s", name, rows[i].deletes[k]);
                        request(200, "DELETE", url, NULL);
                        snprintf(url, sizeof(url), PODS "/%s", name);
                        if (rows[i].grace[k] >= 0)
                                snprintf(want, sizeof(want), "%d", rows[i].grace[k]);
                        expect(*want ? 200 : 404, "GET", url, NULL, "metadata.deletionGracePeriodSeconds", want);
                }
        }
}

static void a_pod_that_ended_while_it_is_deleted_waits_for_its_node(void **state _unused_)
{
        make_pod("p", "");
        request(200, "DELETE", PODS "/p", NULL);
        request(200, "PATCH", PODS "/p/status", "{'status':{'phase':'Succeeded'}}");
        request(200, "DELETE", PODS "/p", NULL);
        request(200, "GET", PODS "/p", NULL);
        request(200, "DELETE", PODS "/p?gracePeriodSeconds=0", NULL);
        request(404, "GET", PODS "/p", NULL);
}

static void finalizers_and_grace_both_hold_a_pod(void **state _unused_)
{
        make_pod("p", ",'finalizers':['a.b/c']");
        expect(200, "DELETE", PODS "/p", NULL, "metadata.deletionGracePeriodSeconds", "30");
        expect(200, "DELETE", PODS "/p?gracePeriodSeconds=0", NULL, "metadata.deletionGracePeriodSeconds", "0");
        request(200, "PATCH", PODS "/p", "{'metadata':{'finalizers':null}}");
        request(404, "GET", PODS "/p", NULL);
        make_pod("q", ",'finalizers':['a.b/c']");
        request(200, "DELETE", PODS "/q", NULL);
        request(200, "PATCH", PODS "/q", "{'metadata':{'finalizers':null}}");
        request(200, "GET", PODS "/q", NULL); /* its grace is not over */
}

static void the_propagation_policy_becomes_a_finalizer(void **state _unused_)
{
        static const char *const rows[][3] = {
                /* first policy, second policy, finalizers then */
                {"Orphan", NULL, "[\"orphan\"]"},
                {"Foreground", NULL, "[\"foregroundDeletion\"]"},
                {"Orphan", "Foreground", "[\"foregroundDeletion\"]"},
                {"Foreground", "Orphan", "[\"orphan\"]"},
                {"Foreground", "", "[\"foregroundDeletion\"]"}, /* a second delete without one changes nothing */
                {"Foreground", "Background", ""},               /* gone */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char url[120], name[20], body[60];

                snprintf(name, sizeof(name), "c%zu", i);
                snprintf(body, sizeof(body), "{'metadata':{'name':'%s'}}", name);
                request(201, "POST", CMS, body);
                for (size_t k = 0; k < 2 && rows[i][k]; k++) {
                        snprintf(url, sizeof(url), CMS "/%s?propagationPolicy=%s", name, rows[i][k]);
                        request(200, "DELETE", url, NULL);
                }
                snprintf(url, sizeof(url), CMS "/%s", name);
                {
                        _cleanup_reply_ struct api_reply r = apifix_do(&fix, *rows[i][2] ? 200 : 404, "GET", url, NULL);
                        struct json_object *f = json_at(r.body, "metadata.finalizers");

                        assert_string_equal(f ? json_object_to_json_string_ext(f, 0) : "", rows[i][2]);
                }
        }
        request(422, "DELETE", CMS "/c0?propagationPolicy=Never", NULL);
        /* Nobody would ever take a finalizer off an Event. */
        request(201, "POST", "/api/v1/namespaces/default/events",
                "{'metadata':{'name':'e','namespace':'default'},'involvedObject':{'namespace':'default'}}");
        expect(200, "DELETE", "/api/v1/namespaces/default/events/e?propagationPolicy=Foreground", NULL, "status",
               "Success");
}

static void a_namespace_ends_when_it_is_finalized(void **state _unused_)
{
        request(201, "POST", "/api/v1/namespaces", "{'metadata':{'name':'ns'}}");
        request(201, "POST", "/api/v1/namespaces/ns/configmaps", "{'metadata':{'name':'x'}}");
        expect(200, "DELETE", "/api/v1/namespaces/ns", NULL, "status.phase", "Terminating");
        expect(403, "POST", "/api/v1/namespaces/ns/configmaps", "{'metadata':{'name':'y'}}", "reason", "Forbidden");
        request(200, "DELETE", "/api/v1/namespaces/ns/configmaps/x", NULL);
        request(200, "PUT", "/api/v1/namespaces/ns/finalize", "{'metadata':{'name':'ns'},'spec':{}}");
        request(404, "GET", "/api/v1/namespaces/ns", NULL);
        expect(404, "POST", "/api/v1/namespaces/ns/configmaps", "{'metadata':{'name':'y'}}", "message",
               "namespaces \"ns\" not found");
}

/* ---- eviction ---- */

static void evict(int status, const char *pod)
{
        char url[100], body[60];

        snprintf(url, sizeof(url), PODS "/%s/eviction", pod);
        snprintf(body, sizeof(body), "{'metadata':{'name':'%s'}}", pod);
        expect(status, "POST", url, body, "code", status == 201 ? "201" : "429");
}

static void spend_one(void *arg _unused_)
{
        request(200, "PATCH", PDBS "/b/status", "{'status':{'disruptionsAllowed':0}}");
}

static void a_budget_pays_for_each_eviction_once(void **state _unused_)
{
        static const char ready[] = "{'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}]}}";

        for (unsigned i = 0; i < 3; i++) {
                char name[4], url[60];

                snprintf(name, sizeof(name), "p%u", i);
                snprintf(url, sizeof(url), PODS "/%s/status", name);
                make_pod(name, "");
                request(200, "PATCH", url, ready);
        }
        request(201, "POST", PDBS,
                "{'metadata':{'name':'b'},'spec':{'minAvailable':1,'selector':{'matchLabels':{'app':'web'}}}}");
        evict(429, "p0"); /* nobody has looked at the budget yet */
        request(200, "PATCH", PDBS "/b/status",
                "{'status':{'observedGeneration':1,'disruptionsAllowed':2,'currentHealthy':3,'desiredHealthy':1,"
                "'expectedPods':3}}");
        evict(201, "p0");
        expect(200, "GET", PDBS "/b", NULL, "status.disruptionsAllowed", "1");
        /* The last one is taken between the look and the write: it is not spent twice. */
        fakestore_before(apifix_store(&fix), spend_one, NULL);
        evict(429, "p1");
        expect(200, "GET", PDBS "/b", NULL, "status.disruptionsAllowed", "0");
        expect(200, "GET", PODS "/p1", NULL, "metadata.deletionTimestamp", "");
        /* What is ending already costs nothing. */
        evict(201, "p0");
        request(404, "POST", PODS "/none/eviction", "{'metadata':{'name':'none'}}");
}

/* ---- the past ---- */

static void make_maps(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char body[100];

                snprintf(body, sizeof(body), "{'metadata':{'name':'m%02u','labels':{'odd':'%u'}}}", i, i % 2);
                request(201, "POST", CMS, body);
        }
}

static void pages_are_of_one_revision(void **state _unused_)
{
        static const char *const selectors[] = {"", "&labelSelector=odd%3D1"};

        make_maps(12);
        for (size_t s = 0; s < ARRAY_SIZE(selectors); s++) {
                unsigned step = s ? 2 : 1, seen = 0, pages = 0;
                char url[600], first[40] = "";

                snprintf(url, sizeof(url), CMS "?limit=3%s", selectors[s]);
                for (bool more = true; more; pages++) {
                        _cleanup_reply_ struct api_reply r = apifix_do(&fix, 200, "GET", url, NULL);
                        const char *token = json_at_str(r.body, "metadata.continue");
                        const char *rv = json_at_str(r.body, "metadata.resourceVersion");

                        json_array_foreach (json_get(r.body, "items"), i, it) {
                                char want[8];

                                snprintf(want, sizeof(want), "m%02u", seen * step + (unsigned)s);
                                assert_string_equal(json_at_str(it, "metadata.name"), want);
                                assert_string_equal(json_at(it, "data.late") ? "late" : "", "");
                                seen++;
                        }
                        if (!*first) {
                                snprintf(first, sizeof(first), "%s", rv);
                                assert_int_equal(json_at_i64(r.body, "metadata.remainingItemCount", -1), s ? -1 : 9);
                        }
                        assert_string_equal(rv, first);
                        /* From now on the pages come from history. */
                        request(200, "PATCH", CMS "/m07",
                                pages % 2 ? "{'data':{'late':'1'}}" : "{'data':{'late':'2'}}");
                        more = token != NULL;
                        if (token)
                                snprintf(url, sizeof(url), CMS "?limit=3%s&continue=%s", selectors[s], token);
                }
                assert_int_equal(seen, s ? 6 : 12);
                assert_int_equal(pages, s ? 2 : 4);
                request(200, "PATCH", CMS "/m07", "{'data':null}");
        }
}

static void a_list_is_as_old_as_asked(void **state _unused_)
{
        char url[200];
        uint64_t rv;

        make_maps(3);
        rv = revision();
        request(200, "DELETE", CMS "/m01", NULL);
        snprintf(url, sizeof(url), CMS "?resourceVersion=%llu&resourceVersionMatch=Exact", (unsigned long long)rv);
        {
                _cleanup_reply_ struct api_reply r = apifix_do(&fix, 200, "GET", url, NULL);

                assert_int_equal(json_len(json_get(r.body, "items")), 3);
        }
        snprintf(url, sizeof(url), CMS "?resourceVersion=%llu&limit=10", (unsigned long long)rv);
        {
                _cleanup_reply_ struct api_reply r = apifix_do(&fix, 200, "GET", url, NULL);

                assert_int_equal(json_len(json_get(r.body, "items")), 3);
        }
        snprintf(url, sizeof(url), CMS "?resourceVersion=%llu", (unsigned long long)rv);
        {
                _cleanup_reply_ struct api_reply r = apifix_do(&fix, 200, "GET", url, NULL);

                assert_int_equal(json_len(json_get(r.body, "items")), 2);
        }
        assert_int_equal(store_compact(apifix_store(&fix), revision(), NULL), 0);
        snprintf(url, sizeof(url), CMS "?resourceVersion=%llu&resourceVersionMatch=Exact", (unsigned long long)rv);
        expect(410, "GET", url, NULL, "reason", "Expired");
        request(400, "GET", CMS "?continue=garbage", NULL);
        request(400, "GET", CMS "?resourceVersion=x", NULL);
}

static void what_is_no_text_does_not_get_into_the_store(void **state _unused_)
{
        struct api_call call = {
                .method = "POST", .url = CMS, .body = "{\"metadata\":{\"name\":\"x\"}}", .agent = "a\xff\xfe/1"};
        _cleanup_reply_ struct api_reply r = apifix_call(&fix, &call);

        assert_int_equal(r.status, 201);
        assert_non_null(r.body);
        expect(200, "GET", CMS "/x", NULL, "metadata.name", "x");
        request(200, "PATCH", CMS "/x", "{'data':{'a':'b'}}");
        request(400, "POST", CMS "?fieldManager=%ff", "{'metadata':{'name':'y'}}");
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                fresh(urls_without_a_route_are_refused),
                fresh(a_taken_name_is_a_conflict),
                fresh(a_name_is_generated_when_asked),
                fresh(a_dry_run_shows_and_leaves_nothing),
                fresh(an_update_without_a_change_writes_nothing),
                fresh(a_lost_race_is_run_again_unless_a_version_was_named),
                fresh(a_put_that_makes_an_object_becomes_an_update_when_somebody_was_faster),
                fresh(a_store_that_cannot_write_changes_nothing),
                fresh(grace_periods_can_only_shrink),
                fresh(a_pod_that_ended_while_it_is_deleted_waits_for_its_node),
                fresh(finalizers_and_grace_both_hold_a_pod),
                fresh(the_propagation_policy_becomes_a_finalizer),
                fresh(a_namespace_ends_when_it_is_finalized),
                fresh(a_budget_pays_for_each_eviction_once),
                fresh(pages_are_of_one_revision),
                fresh(a_list_is_as_old_as_asked),
                fresh(what_is_no_text_does_not_get_into_the_store),
        };

        return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
