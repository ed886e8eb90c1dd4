/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/cni_call.h"
#include "agent/kubelet/runtime/builtin/network.h"
#include "agent/kubelet/runtime/builtin/network_conf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define CONF_FOLDER       "/etc/cni/net.d"
#define BIN_FOLDERS       "/opt/cni/bin:/usr/lib/cni"
#define TIMEOUT_MS        60000
#define SHORT_TIMEOUT_MS  10000 /* of GC, for which ADDs wait, and STATUS */
#define STATUS_MAX_AGE_MS 10000
#define RETRY_MS          5

struct pod_network {
        struct builtin *rt;
        struct pod_network_conf conf;
        const char *bins;
        char *folder; /* of attachments */
        uint64_t timeout_ms;
        struct job *jobs;
        struct collection *collection; /* under way, or NULL */
        bool gc;                       /* GC is being called: nothing is added meanwhile */

        struct cni_call *status; /* being asked, or NULL */
        unsigned int status_of;  /* generation of the configuration that was asked */
        uint64_t status_ms;      /* when it answered; 0: never */
        char status_why[MESSAGE_SIZE], why[MESSAGE_SIZE];
};

/* ADD or DEL of one attachment. */
struct job {
        struct pod_network *n;
        struct job *next;
        char id[RUNTIME_ID_SIZE], netns[64];
        const char *verb;
        char *folder;
        struct json_object *attachment;
        uint64_t deadline_ms;
        bool impatient; /* who held the lock at the deadline was killed */
        struct loop_timer *timer;
        struct cni_call *call;
        void (*done)(struct job *j, int result, struct json_object *ips, const char *message);
        struct operation *op; /* or NULL: of a leftover */
        pod_network_done_fn op_done;
};

int pod_network_new(struct builtin *rt, struct pod_network **ret, struct err *reterr)
{
        const struct builtin_opts *o = &rt->opts;
        struct pod_network *n = mem_new(struct pod_network);
        int r;

        *n = (struct pod_network){.rt = rt, .bins = o->cni_bin_folders ?: BIN_FOLDERS};
        n->timeout_ms = o->cni_timeout_ms ?: TIMEOUT_MS;
        n->folder = mem_printf("%s/network", o->state_folder);
        pod_network_conf_init(&n->conf, o->cni_conf_folder ?: CONF_FOLDER);
        r = file_mkdirs(n->folder, 0700, reterr);
        if (r)
                pod_network_free(n);
        else
                *ret = n;
        return r;
}

static void job_free(struct job *j)
{
        for (struct job **at = &j->n->jobs; *at; at = &(*at)->next)
                if (*at == j) {
                        *at = j->next;
                        break;
                }
        if (j->call)
                cni_call_drop(j->call);
        loop_timer_free(j->timer);
        json_object_put(j->attachment);
        free(j->folder);
        free(j);
}

static void job_end(struct job *j, int result, struct json_object *ips, const char *message)
{
        j->call = NULL;
        j->done(j, result, ips, message);
        job_free(j);
}

/* It was written whole or not at all; what cannot be read anyhow (a power cut) names nothing that could be taken away.
 */
static int load_attachment(struct job *j)
{
        struct err err = ERR_NULL;
        int r = record_load(j->folder, &j->attachment, &err);

        if (!r && !json_is_array(json_at(j->attachment, "list.plugins")))
                r = err_set(&err, -EINVAL, "it has no list of plugins");
        if (r && r != -ENOENT)
                log_error("an attachment's record is broken: it is forgotten", "sandbox=%s why=%s", j->id, err.msg);
        return r;
}

static void remove_attachment(const char *folder)
{
        _cleanup_free_ char *record = mem_printf("%s/record.json", folder), *lock = mem_printf("%s/lock", folder);

        unlink(record); /* first: without it there is no attachment */
        file_remove_temps(folder);
        unlink(lock);
        rmdir(folder);
}

static int keep_result(struct job *j, struct json_object *result, struct json_object *ips, struct err *reterr)
{
        if (!json_len(ips))
                return err_set(reterr, -EPROTO, "network %s gave no address to " CNI_IFNAME,
                               json_at_str(j->attachment, "list.name"));
        json_set(j->attachment, "result", json_object_get(result));
        return record_save(j->folder, j->attachment, reterr);
}

static void called(void *userdata, int result, struct json_object *network, const char *message)
{
        struct job *j = userdata;
        _cleanup_json_ struct json_object *ips = NULL;
        struct err err = ERR_NULL;

        j->call = NULL;
        if (!result && str_eq(j->verb, "ADD")) {
                ips = cni_result_ips(network);
                result = keep_result(j, network, ips, &err);
                message = err.msg;
        } else if (!result) {
                remove_attachment(j->folder);
        }
        job_end(j, result, ips, message);
}

static void call(struct job *j, int lock)
{
        const struct cni_request q = {
                .children = j->n->rt->opts.children,
                .verb = j->verb,
                .bins = j->n->bins,
                .container = j->id,
                .netns = j->netns,
                .args = json_get_str(j->attachment, "args"),
                .list = json_get(j->attachment, "list"),
                .asked = json_get(j->attachment, "asked"),
                .result = json_get(j->attachment, "result"),
                .lock = lock,
                .timeout_ms = j->n->timeout_ms,
        };
        struct cni_call *c = cni_call(&q, called, j);

        if (c)
                j->call = c;
}

static void try(void *userdata);

/* A plugin of a killed kubelet that is still there when its time is up hangs. */
static void wait_a_moment(struct job *j)
{
        bool late = clock_mono_ms() > j->deadline_ms;

        if (late && j->impatient) {
                job_end(j, -EBUSY, NULL, "an earlier call of a plugin does not end");
                return;
        }
        if (late) {
                lock_kill_holders(j->folder);
                j->impatient = true;
                j->deadline_ms += SHORT_TIMEOUT_MS;
        }
        loop_timer_set(j->timer, RETRY_MS);
}

static void try(void *userdata)
{
        struct job *j = userdata;
        _cleanup_close_ int lock = -1;

        if (j->n->gc && str_eq(j->verb, "ADD")) {
                loop_timer_set(j->timer, RETRY_MS);
                return;
        }
        lock = lock_hold(j->folder);
        if (lock == -EWOULDBLOCK)
                wait_a_moment(j);
        else if (lock < 0)
                job_end(j, lock, NULL, strerror(-lock));
        else
                call(j, lock);
}

static struct job *job_new(struct pod_network *n, const char *id, const char *verb)
{
        struct job *j = mem_new(struct job);

        *j = (struct job){.n = n, .next = n->jobs, .verb = verb};
        str_copy(j->id, sizeof(j->id), id);
        j->folder = mem_printf("%s/%s", n->folder, id);
        j->deadline_ms = clock_mono_ms() + n->timeout_ms;
        n->jobs = j;
        return j;
}

/* Without an attachment there is nothing to do. */
static void job_begin(struct job *j)
{
        int r = load_attachment(j);

        if (!r)
                r = loop_timer_new(j->n->rt->opts.loop, try, j, &j->timer);
        if (!r) {
                try(j);
                return;
        }
        if (str_eq(j->verb, "DEL") && (r == -ENOENT || r == -EINVAL)) {
                remove_attachment(j->folder); /* what is left of its making */
                job_end(j, 0, NULL, "");
        } else {
                job_end(j, r, NULL, strerror(-r));
        }
}

static void tell_operation(struct job *j, int result, struct json_object *ips, const char *message)
{
        j->op_done(j->op, result, ips, message);
}

static void begin(struct operation *op, const char *verb, pod_network_done_fn done)
{
        struct job *j = job_new(op->s->rt->network, op->s->id, verb);

        if (witness_alive(&op->s->holder))
                str_copy(j->netns, sizeof(j->netns), op->s->netns);
        j->done = tell_operation;
        j->op = op;
        j->op_done = done;
        job_begin(j);
}

void pod_network_add(struct operation *op, pod_network_done_fn done)
{
        begin(op, "ADD", done);
}

void pod_network_del(struct operation *op, pod_network_done_fn done)
{
        begin(op, "DEL", done);
}

static struct json_object *attachment_of(const char *id, const struct sandbox_config *c, struct json_object *list,
                                         struct json_object *asked)
{
        struct json_object *o = json_object_new_object();
        _cleanup_free_ char *args = mem_printf("IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;"
                                               "K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s",
                                               c->ns, c->name, id, c->uid);

        json_set_str(o, "args", args);
        json_set(o, "list", json_object_get(list));
        json_set(o, "asked", json_object_get(asked));
        return o;
}

int pod_network_prepare(struct pod_network *n, const char *id, const struct sandbox_config *c, struct err *reterr)
{
        _cleanup_json_ struct json_object *asked = NULL, *attachment = NULL;
        _cleanup_free_ char *folder = mem_printf("%s/%s", n->folder, id);
        struct json_object *list = pod_network_conf_get(&n->conf);
        const char *lacks;
        int r;

        if (!list)
                return err_set(reterr, -EAGAIN, "network is not ready: %s", n->conf.problem);
        asked = cni_asked(c);
        lacks = cni_list_lacks(list, asked);
        if (lacks)
                return err_set(reterr, -EOPNOTSUPP,
                               "the pod needs %s, which no plugin of the network %s has in its "
                               "capabilities",
                               lacks, json_get_str(list, "name"));
        attachment = attachment_of(id, c, list, asked);
        r = file_mkdirs(folder, 0700, reterr);
        return r ?: record_save(folder, attachment, reterr);
}

static void status_told(void *userdata, int result, struct json_object *network, const char *message)
{
        struct pod_network *n = userdata;

        n->status = NULL;
        n->status_ms = clock_mono_ms();
        str_copy(n->status_why, sizeof(n->status_why), result ? message : "");
}

static void ask_status(struct pod_network *n, struct json_object *list)
{
        const struct cni_request q = {.children = n->rt->opts.children,
                                      .verb = "STATUS",
                                      .bins = n->bins,
                                      .list = list,
                                      .timeout_ms = SHORT_TIMEOUT_MS};

        if (n->status_of != n->conf.generation)
                n->status_ms = 0;
        n->status_of = n->conf.generation;
        n->status = cni_call(&q, status_told, n);
}

/* Until plugins have told their status for the first time they are believed to be well: a kubelet that starts again
 * must not make its node unready for that moment. */
static const char *problem_of(struct pod_network *n)
{
        struct json_object *list = pod_network_conf_get(&n->conf);

        if (!list)
                return n->conf.problem;
        if (!cni_list_speaks(list, "1.1.0"))
                return "";
        if (!n->status && (n->status_of != n->conf.generation || clock_mono_ms() > n->status_ms + STATUS_MAX_AGE_MS))
                ask_status(n, list);
        return n->status_ms ? n->status_why : "";
}

bool pod_network_is_ready(struct pod_network *n, const char **ret_why)
{
        const char *problem = problem_of(n);

        n->why[0] = '\0';
        if (*problem)
                snprintf(n->why, sizeof(n->why), "network is not ready: %.*s", MESSAGE_SIZE - 32, problem);
        *ret_why = n->why;
        return !*problem;
}

/* First the attachments of sandboxes that are gone, one by one, then GC. */
struct collection {
        struct pod_network *n;
        struct json_object *left; /* names of folders */
        size_t at;
        struct cni_call *call;
        int result;
        char message[MESSAGE_SIZE];
        runtime_done_fn done;
        void *userdata;
};

static void collection_free(struct collection *c)
{
        c->n->collection = NULL;
        c->n->gc = false;
        if (c->call)
                cni_call_drop(c->call);
        json_object_put(c->left);
        free(c);
}

static void collection_end(struct collection *c)
{
        if (c->done)
                tell_later(c->n->rt, c->done, c->userdata, c->result, "", c->message);
        collection_free(c);
}

static void note_problem(struct collection *c, int result, const char *message)
{
        if (result && !c->result)
                str_copy(c->message, sizeof(c->message), message);
        c->result = c->result ?: result;
}

static struct json_object *valid_attachments(const struct pod_network *n)
{
        struct json_object *a = json_object_new_array();

        hashmap_foreach (&n->rt->sandboxes, slot) {
                const struct sandbox *s = slot->value;
                struct json_object *o;

                if (sandbox_number(s, "network") != NAMESPACE_POD)
                        continue;
                o = json_object_new_object();
                json_set_str(o, "containerID", s->id);
                json_set_str(o, "ifname", CNI_IFNAME);
                json_object_array_add(a, o);
        }
        return a;
}

static void collected(void *userdata, int result, struct json_object *network, const char *message)
{
        struct collection *c = userdata;

        c->call = NULL;
        note_problem(c, result, message);
        collection_end(c);
}

static void call_gc(struct collection *c)
{
        struct pod_network *n = c->n;
        struct json_object *list = pod_network_conf_get(&n->conf);
        _cleanup_json_ struct json_object *valid = NULL;
        struct cni_request q = {.children = n->rt->opts.children,
                                .verb = "GC",
                                .bins = n->bins,
                                .list = list,
                                .timeout_ms = SHORT_TIMEOUT_MS};
        struct cni_call *called_now;

        if (!list || !cni_list_speaks(list, "1.1.0") || json_get_bool(list, "disableGC", false)) {
                collection_end(c);
                return;
        }
        q.valid = valid = valid_attachments(n);
        n->gc = true;
        called_now = cni_call(&q, collected, c);
        if (called_now)
                c->call = called_now;
}

static void take_next(struct collection *c);

static void taken(struct job *j, int result, struct json_object *ips, const char *message)
{
        struct collection *c = j->n->collection;

        if (result)
                log_warn("what a sandbox that is gone had of the network cannot be given back", "sandbox=%s why=%s",
                         j->id, message);
        note_problem(c, result, message);
        take_next(c);
}

static void take_next(struct collection *c)
{
        while (c->at < json_len(c->left)) {
                const char *id = json_object_get_string(json_idx(c->left, c->at++));
                struct job *j;

                if (hashmap_get(&c->n->rt->sandboxes, id))
                        continue;
                j = job_new(c->n, id, "DEL");
                j->done = taken;
                job_begin(j);
                return;
        }
        call_gc(c);
}

static struct json_object *folders_in(const char *folder)
{
        struct json_object *a = json_object_new_array();
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                if (strlen(e->d_name) == RUNTIME_ID_SIZE - 1)
                        json_object_array_add(a, json_object_new_string(e->d_name));
        if (dir)
                closedir(dir);
        return a;
}

void pod_network_collect(struct pod_network *n, runtime_done_fn done, void *userdata)
{
        struct collection *c;

        if (n->collection) {
                if (done)
                        tell_later(n->rt, done, userdata, -EBUSY, "", "it is under way");
                return;
        }
        c = mem_new(struct collection);
        *c = (struct collection){.n = n, .left = folders_in(n->folder), .done = done, .userdata = userdata};
        n->collection = c;
        take_next(c);
}

void pod_network_free(struct pod_network *n)
{
        if (!n)
                return;
        while (n->jobs)
                job_free(n->jobs);
        if (n->collection)
                collection_free(n->collection);
        if (n->status)
                cni_call_drop(n->status);
        pod_network_conf_deinit(&n->conf);
        free(n->folder);
        free(n);
}
