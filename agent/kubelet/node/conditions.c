/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/kubelet/node/conditions.h"
#include "base/clock.h"
#include "base/str.h"

/* What is said when it is so, and when not: for pressures, true is the bad one. */
static const struct {
        const char *name;
        struct {
                const char *reason, *message, *event;
        } no, yes;
} kinds[NODE_CONDITIONS] = {
        [NODE_MEMORY_PRESSURE] = {"MemoryPressure",
                                  {"KubeletHasSufficientMemory", "kubelet has sufficient memory available",
                                   "NodeHasSufficientMemory"},
                                  {"KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
                                   "NodeHasInsufficientMemory"}},
        [NODE_DISK_PRESSURE] = {"DiskPressure",
                                {"KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"},
                                {"KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"}},
        [NODE_PID_PRESSURE] = {"PIDPressure",
                               {"KubeletHasSufficientPID", "kubelet has sufficient PID available",
                                "NodeHasSufficientPID"},
                               {"KubeletHasInsufficientPID", "kubelet has insufficient PID available",
                                "NodeHasInsufficientPID"}},
        [NODE_READY] = {"Ready",
                        {"KubeletNotReady", "", "NodeNotReady"},
                        {"KubeletReady", "kubelet is posting ready status", "NodeReady"}},
};

const char *node_condition_name(enum node_condition_kind kind)
{
        return kinds[kind].name;
}

static struct json_object *find(const struct json_object *conditions, const char *type)
{
        json_array_foreach (conditions, i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return c;
        return NULL;
}

static bool holds(const struct node_health *h, enum node_condition_kind kind)
{
        return kind == NODE_READY ? !h->network_problem : h->pressure[kind];
}

static void say_problem(const struct node_health *h, struct json_object *c)
{
        char message[1024];

        snprintf(message, sizeof(message),
                 "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:%s",
                 h->network_problem);
        json_set_str(c, "message", message);
}

static struct json_object *make(const struct node_health *h, enum node_condition_kind kind,
                                const struct json_object *before, const char *now)
{
        struct json_object *c = json_object_new_object();
        bool yes = holds(h, kind);
        const char *status = yes ? "True" : "False", *since = json_get_str(before, "lastTransitionTime");

        json_set_str(c, "type", kinds[kind].name);
        json_set_str(c, "status", status);
        json_set_str(c, "lastHeartbeatTime", now);
        json_set_str(c, "lastTransitionTime", str_eq(json_get_str(before, "status"), status) && since ? since : now);
        json_set_str(c, "reason", yes ? kinds[kind].yes.reason : kinds[kind].no.reason);
        json_set_str(c, "message", yes ? kinds[kind].yes.message : kinds[kind].no.message);
        if (kind == NODE_READY && !yes)
                say_problem(h, c);
        return c;
}

struct json_object *conditions_make(const struct node_health *h, const struct json_object *before, int64_t now_s)
{
        struct json_object *list = json_object_new_array();
        char now[CLOCK_TEXT_SIZE];

        clock_format(now_s, now);
        for (size_t i = 0; i < NODE_CONDITIONS; i++)
                json_object_array_add(list, make(h, (enum node_condition_kind)i, find(before, kinds[i].name), now));
        return list;
}

bool conditions_told(const struct json_object *conditions, const struct json_object *told)
{
        static const char *const fields[] = {"status", "reason", "message"};

        json_array_foreach (conditions, i, c) {
                const struct json_object *other = find(told, json_get_str(c, "type"));

                for (size_t k = 0; k < ARRAY_SIZE(fields); k++)
                        if (!other || !str_eq(json_get_str(c, fields[k]), json_get_str(other, fields[k])))
                                return false;
        }
        return true;
}

/* A new node's Ready is no change, as upstream has it; its pressures are. */
void conditions_changes(const struct json_object *before, const struct json_object *now,
                        void (*fn)(void *userdata, const char *reason), void *userdata)
{
        for (size_t i = 0; i < NODE_CONDITIONS; i++) {
                const struct json_object *old = find(before, kinds[i].name);
                const char *status = json_get_str(find(now, kinds[i].name), "status");

                if (!status || (old ? str_eq(json_get_str(old, "status"), status) : i == NODE_READY))
                        continue;
                fn(userdata, str_eq(status, "True") ? kinds[i].yes.event : kinds[i].no.event);
        }
}
