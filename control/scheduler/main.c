/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>

#include "base/str.h"
#include "scheduler/scheduler.h"

#define AT(field) offsetof(struct scheduler_config, field)

static const struct flag flags[] = {
        {.kind = FLAG_HEADING, .help = "Scheduling:"},
        {"scheduler-name", FLAG_TEXT, AT(names), "default-scheduler",
         "=NAME[,NAME]: schedule pods with one of these as spec.schedulerName", 0, 0},
        {"percentage-of-nodes-to-score", FLAG_U32, AT(percentage), "0",
         "so many nodes that fit are enough to choose among; 0: fewer percent the more nodes there are", 0, 100},
        {"parallel-bindings", FLAG_U32, AT(bindings), "64", "requests to bind that are under way at a time", 1, 1000},
        {"binding-confirm-timeout", FLAG_MS, AT(confirm_ms), "30s",
         "a binding that the watch does not show for so long is asked after", 100, 3600000},
        {"events-qps", FLAG_DOUBLE, AT(events_qps), "50", "Events a second at most; more of them are dropped", 0, 0},
};

struct program {
        struct scheduler_config config;
        struct scheduler *scheduler;
};

static int check(void *userdata, struct err *reterr)
{
        struct program *p = userdata;

        if (str_empty(p->config.names))
                return err_set(reterr, -EINVAL, "--scheduler-name: give a name, such as default-scheduler");
        if (p->config.events_qps <= 0)
                return err_set(reterr, -EINVAL, "--events-qps: give a number above 0");
        return 0;
}

static int start(void *userdata, struct process *process, struct err *reterr)
{
        struct program *p = userdata;

        return scheduler_new(&p->config, process, &p->scheduler, reterr);
}

static void lead(void *userdata)
{
        scheduler_lead(((struct program *)userdata)->scheduler);
}

static const char *unready(void *userdata)
{
        return scheduler_unready(((struct program *)userdata)->scheduler);
}

static void metrics(void *userdata, struct strbuf *b)
{
        scheduler_metrics(((struct program *)userdata)->scheduler, b);
}

static void stop(void *userdata)
{
        scheduler_free(((struct program *)userdata)->scheduler);
}

static const char introduction[] =
        "fairlead-scheduler " FAIRLEAD_VERSION ": finds nodes for the pods of a Kubernetes cluster\n"
        "\n"
        "Usage:\n"
        "  fairlead-scheduler [flags]\n"
        "\n"
        "It filters and scores nodes by upstream's default plugins and weights, preempts pods of lower priority when\n"
        "nothing else helps, and binds. It keeps no state of its own. Several may run, of which one acts.\n"
        "\n"
        "To try it, beside a fairlead-apiserver:\n"
        "  fairlead-scheduler --kubeconfig /tmp/fl/pki/admin.kubeconfig\n"
        "  curl http://127.0.0.1:10259/metrics\n"
        "\n"
        "Flags have upstream's names where they mean the same:\n";

static const char permissions[] =
        "It needs what the ClusterRole system:kube-scheduler grants: to watch nodes, pods, namespaces, services,\n"
        "replicationcontrollers, replicasets, statefulsets, poddisruptionbudgets, persistentvolumeclaims and\n"
        "persistentvolumes; to create pods/binding and events, to patch pods/status and events, to delete pods; and a\n"
        "Lease in kube-system.\n";

int main(int argc, char **argv)
{
        struct program p = {0};
        const struct process_program program = {
                .name = "fairlead-scheduler",
                .component = "kube-scheduler",
                .event_source = "default-scheduler",
                .introduction = introduction,
                .permissions = permissions,
                .address = "127.0.0.1:10259",
                .flags = flags,
                .nflags = ARRAY_SIZE(flags),
                .config = &p.config,
                .userdata = &p,
                .check = check,
                .start = start,
                .lead = lead,
                .unready = unready,
                .metrics = metrics,
                .stop = stop,
        };

        return process_main(&program, argc, argv);
}
