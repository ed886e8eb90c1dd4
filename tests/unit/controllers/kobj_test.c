/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "controllers/engine/kobj.h"

/* ' stands for ". */
static struct kobj *object(const struct resource *r, const char *text)
{
        _cleanup_free_ char *copy = mem_strdup(text);
        _cleanup_json_ struct json_object *json = NULL;
        struct kobj *o;

        for (char *p = copy; (p = strchr(p, '\''));)
                *p = '"';
        assert_int_equal(json_parse(copy, strlen(copy), &json, NULL), 0);
        o = kobj_from_json(r, json);
        assert_non_null(o);
        return o;
}

static void a_node_is_kept_in_parts_and_whole(void **state)
{
        _cleanup_(kobj_unrefp) const struct kobj *o = object(
                &res_nodes,
                "{'metadata':{'name':'n1','labels':{'zone':'a'},'managedFields':[{'manager':'m'}]},"
                "'spec':{'unschedulable':true,'providerID':'aws:///1','podCIDR':'10.1.0.0/24','podCIDRs':["
                "'10.1.0.0/24','fd00::/64'],'taints':[{'key':'k','value':'v','effect':'NoExecute','timeAdded':"
                "'2026-01-01T00:00:10Z'},{'key':'k2','effect':'NoSchedule'}]},'status':{'addresses':[{'type':"
                "'InternalIP','address':'192.0.2.1'}],'conditions':[{'type':'Ready','status':'Unknown','reason':'R',"
                "'lastHeartbeatTime':'2026-01-01T00:00:02Z','lastTransitionTime':'2026-01-01T00:00:01Z'}]}}");
        const struct node *n = o->node;
        const struct node_condition *ready = node_condition(n, "Ready");
        _cleanup_json_ struct json_object *whole = kobj_json(o);

        assert_string_equal(kobj_label(o, "zone"), "a");
        assert_true(n->unschedulable);
        assert_string_equal(n->provider_id, "aws:///1");
        assert_int_equal(n->npod_cidrs, 2);
        assert_string_equal(n->pod_cidrs[1], "fd00::/64");
        assert_int_equal(n->ntaints, 2);
        assert_string_equal(n->taints[0].value, "v");
        assert_int_equal(n->taints[0].added_s, 1767225610);
        assert_string_equal(n->taints[1].effect, "NoSchedule");
        assert_int_equal(n->taints[1].added_s, 0);
        assert_string_equal(n->addresses[0].address, "192.0.2.1");
        assert_non_null(ready);
        assert_int_equal(ready->status, TRI_UNKNOWN);
        assert_int_equal(ready->since_s, 1767225601);
        assert_int_equal(ready->heartbeat_s, 1767225602);
        assert_null(node_condition(n, "DiskPressure"));
        assert_string_equal(json_at_str(whole, "spec.providerID"), "aws:///1");
        assert_false(json_has(json_get(whole, "metadata"), "managedFields"));
}

static void an_empty_node_has_nothing(void **state)
{
        _cleanup_(kobj_unrefp) const struct kobj *o = object(&res_nodes, "{'metadata':{'name':'n1'}}");

        assert_non_null(o->node);
        assert_false(o->node->unschedulable);
        assert_string_equal(o->node->provider_id, "");
        assert_int_equal(o->node->ntaints + o->node->nconditions + o->node->naddresses + o->node->npod_cidrs, 0);
}

static void one_range_of_an_old_client_counts(void **state)
{
        _cleanup_(kobj_unrefp) const struct kobj *o =
                object(&res_nodes, "{'metadata':{'name':'n1'},'spec':{'podCIDR':'10.1.0.0/24'}}");

        assert_int_equal(o->node->npod_cidrs, 1);
        assert_string_equal(o->node->pod_cidrs[0], "10.1.0.0/24");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_node_is_kept_in_parts_and_whole),
                cmocka_unit_test(an_empty_node_has_nothing),
                cmocka_unit_test(one_range_of_an_old_client_counts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
