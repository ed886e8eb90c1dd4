/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for what runs on the machines. What ends again and again is told with its last words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/boot.h"
#include "ctl/up/services.h"
#include "kube/client.h"

#define API_MS         20000
#define NODES_MS       60000
#define LOOK_US        20000
#define ENDS_TOO_OFTEN 5 /* starts */

static int connect_api(const struct cluster *c, struct kube_client **ret, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/kubeconfig", c->folder);
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;
        struct kube_client_opts opts = {.timeout_ms = 2000, .qps = 1000, .burst = 1000};
        int r = kubeconfig_load(path, NULL, &k, reterr);

        opts.config = k;
        return r ? r : kube_client_new(&opts, ret, reterr);
}

/* ---- what goes wrong meanwhile */

struct trouble {
        const struct cluster *cluster;
        struct err *reterr;
};

static int judge_service(void *userdata, const struct service_state *s)
{
        struct trouble *t = userdata;
        _cleanup_free_ char *tail = NULL;

        if (s->starts < ENDS_TOO_OFTEN || s->pid)
                return 0;
        tail = service_tail(t->cluster, &s->machine, s->name, 3);
        return err_set(t->reterr, -EIO,
                       "%s on %s has ended %u times (%s). Its log ends so (`fairctl logs` has all):\n%s", s->name,
                       s->machine.name, s->starts, s->last, tail);
}

static int judge_machine(void *userdata, const struct machine *m)
{
        struct trouble *t = userdata;

        if (machine_pid(t->cluster, m))
                return 0;
        return err_set(t->reterr, -EIO, "%s has ended: see `fairctl logs init@%s`", m->name, m->name);
}

static int look_for_trouble(const struct cluster *c, struct err *reterr)
{
        struct trouble t = {c, reterr};
        int r = machines_each(c, judge_machine, &t);

        return r ? r : services_each(c, judge_service, &t);
}

/* Calls fn until it returns other than 1 (not yet), there is trouble, or time is up, which is fn's to explain:
 * -ETIMEDOUT.
 */
static int poll_until(const struct cluster *c, uint64_t patience_ms, int (*fn)(void *userdata), void *userdata,
                      struct err *reterr)
{
        uint64_t end = clock_mono_ms() + patience_ms;
        int r;

        while ((r = fn(userdata)) == 1) {
                r = look_for_trouble(c, reterr);
                if (r)
                        return r;
                if (clock_mono_ms() > end)
                        return -ETIMEDOUT;
                usleep(LOOK_US);
        }
        return r;
}

/* ---- the API server */

static int api_answers(void *userdata)
{
        return kube_get(userdata, "/api/v1/namespaces/kube-system", NULL, NULL) ? 1 : 0;
}

int boot_await_api(const struct cluster *c, struct err *reterr)
{
        struct kube_client *client = NULL;
        int r = connect_api(c, &client, reterr);

        if (!r)
                r = poll_until(c, API_MS, api_answers, client, reterr);
        if (r == -ETIMEDOUT)
                err_set(reterr, r, "the API server does not answer at 127.0.0.1:%u: see `fairctl logs apiserver`",
                        c->port);
        kube_client_free(client);
        return r;
}

/* ---- nodes */

struct nodes {
        const struct cluster *cluster;
        struct kube_client *client;
        unsigned one;              /* 0: all */
        struct json_object *known; /* {name: "" when Ready, else why not} */
        struct strbuf waiting;     /* "node-2 is not Ready: no CNI configuration" */
};

static int note_node(void *userdata, struct json_object *node)
{
        struct nodes *n = userdata;
        const char *why = "it has not said why";

        json_array_foreach (json_at(node, "status.conditions"), i, condition)
                if (str_eq(json_get_str(condition, "type"), "Ready"))
                        why = str_eq(json_get_str(condition, "status"), "True") ? ""
                                                                                : json_get_str(condition, "message");
        json_set_str(n->known, json_at_str(node, "metadata.name") ?: "", why ?: "");
        return 0;
}

static void judge_node(struct nodes *n, unsigned number)
{
        struct machine m = machine_node(number);
        const char *why = json_get_str(n->known, m.name);

        if (!why)
                strbuf_printf(&n->waiting, "%s%s has not registered", n->waiting.len ? "; " : "", m.name);
        else if (*why)
                strbuf_printf(&n->waiting, "%s%s is not Ready: %s", n->waiting.len ? "; " : "", m.name, why);
}

static int nodes_ready(void *userdata)
{
        struct nodes *n = userdata;

        json_object_put(n->known);
        n->known = json_object_new_object();
        n->waiting.len = 0;
        if (kube_list(n->client, "/api/v1/nodes", NULL, note_node, n, NULL)) {
                strbuf_add_str(&n->waiting, "the API server does not answer");
                return 1;
        }
        for (size_t i = 0; i < n->cluster->nnodes; i++)
                if (!n->one || n->cluster->nodes[i] == n->one)
                        judge_node(n, n->cluster->nodes[i]);
        return n->waiting.len > 0;
}

int boot_await_nodes(const struct cluster *c, unsigned one, struct err *reterr)
{
        struct nodes n = {.cluster = c, .one = one};
        int r = connect_api(c, &n.client, reterr);

        if (!r)
                r = poll_until(c, NODES_MS, nodes_ready, &n, reterr);
        if (r == -ETIMEDOUT)
                err_set(reterr, r, "%s (`fairctl logs kubelet@NODE`)", n.waiting.data);
        strbuf_deinit(&n.waiting);
        json_object_put(n.known);
        kube_client_free(n.client);
        return r;
}
