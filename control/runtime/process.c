/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "base/supervisor.h"
#include "base/web.h"
#include "kube/lease.h"
#include "runtime/process.h"

#define RELEASE_MS 2000 /* to give the Lease back at the end */

struct common {
        const char *kubeconfig, *address, *log_level, *lease_ns, *lease_name;
        bool elect;
        int64_t duration_ms, deadline_ms, retry_ms;
        double qps;
        uint32_t burst;
};

struct process {
        const struct process_program *program;
        struct common common;
        struct kubeconfig *kubeconfig;
        struct loop *loop;
        struct loop_signal *term, *interrupt;
        struct loop_timer *last; /* until it ends even if the Lease could not be given back */
        struct kube_client *client;
        struct events *events;
        struct lease *lease;
        struct web *web;
        uint64_t start_ns;
        bool leads, ending;
        int status;
};

#define AT(field) offsetof(struct common, field)

static const struct flag common_flags[] = {
        {.kind = FLAG_HEADING, .help = "The API server and this program:"},
        {"kubeconfig", FLAG_TEXT, AT(kubeconfig), NULL,
         "=FILE: where the API server is (default $KUBECONFIG, the pod's service account, ~/.kube/config)", 0, 0},
        {"listen", FLAG_TEXT, AT(address), NULL, "=ADDRESS:PORT: of /healthz, /readyz and /metrics; none: not served",
         0, 0},
        {"kube-api-qps", FLAG_DOUBLE, AT(qps), "0", "requests a second at most; 0: no limit", 0, 0},
        {"kube-api-burst", FLAG_U32, AT(burst), "100", "requests at once, with --kube-api-qps", 1, 1000000},
        {"log-level", FLAG_TEXT, AT(log_level), "info", "=LEVEL: debug, info, warn or error", 0, 0},
        {.kind = FLAG_HEADING, .help = "Replicas, of which one acts:"},
        {"leader-elect", FLAG_BOOL, AT(elect), "true", "wait for the Lease before acting; false: it is the only one", 0,
         0},
        {"leader-elect-lease-duration", FLAG_MS, AT(duration_ms), "15s",
         "without a renewal for so long, another replica takes over", 1000, 3600000},
        {"leader-elect-renew-deadline", FLAG_MS, AT(deadline_ms), "10s",
         "a leader that could not renew for so long ends; less than the duration", 1, 3600000},
        {"leader-elect-retry-period", FLAG_MS, AT(retry_ms), "2s", "between attempts", 1, 3600000},
        {"leader-elect-resource-namespace", FLAG_TEXT, AT(lease_ns), "kube-system", "=NAME: of the Lease", 0, 0},
        {"leader-elect-resource-name", FLAG_TEXT, AT(lease_name), NULL,
         "=NAME: of the Lease; upstream's program has the same, so that it and this never act at once", 0, 0},
};

struct loop *process_loop(const struct process *p)
{
        return p->loop;
}

struct kube_client *process_client(const struct process *p)
{
        return p->client;
}

struct events *process_events(const struct process *p)
{
        return p->events;
}

const struct kubeconfig *process_kubeconfig(const struct process *p)
{
        return p->kubeconfig;
}

bool process_leads(const struct process *p)
{
        return p->leads;
}

void process_fail(struct process *p, int status, const char *fmt, ...)
{
        va_list ap;

        fprintf(stderr, "%s: ", p->program->name);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        p->status = status;
        p->ending = true;
        loop_stop(p->loop);
}

/* ---- leading ---- */

static void begin_to_lead(struct process *p)
{
        p->leads = true;
        log_info("at work", "since_start_ms=%llu", (unsigned long long)((clock_mono_ns() - p->start_ns) / NS_PER_MS));
        p->program->lead(p->program->userdata);
}

static void on_started(void *userdata)
{
        begin_to_lead(userdata);
}

/* Not a word more to the API: what was planned as a leader must not be done by one who is none. */
static void on_stopped(void *userdata)
{
        struct process *p = userdata;

        p->leads = false;
        if (p->ending)
                return;
        log_error("the Lease is lost, ending", "");
        _exit(1);
}

static int start_election(struct process *p, struct err *reterr)
{
        const struct common *c = &p->common;
        char host[128] = "", identity[192];
        struct lease_opts opts = {.client = p->client,
                                  .ns = c->lease_ns,
                                  .name = c->lease_name,
                                  .identity = identity,
                                  .duration_ms = (uint32_t)c->duration_ms,
                                  .renew_deadline_ms = (uint32_t)c->deadline_ms,
                                  .retry_ms = (uint32_t)c->retry_ms,
                                  .started = on_started,
                                  .stopped = on_stopped,
                                  .userdata = p};
        int r;

        gethostname(host, sizeof(host) - 1);
        snprintf(identity, sizeof(identity), "%s_%016llx", host, (unsigned long long)random_u64());
        r = lease_new(&opts, &p->lease, reterr);
        if (r)
                return err_prefix(reterr, r, "--leader-elect-*");
        lease_start(p->lease);
        return 0;
}

/* ---- probes ---- */

static void answer_ready(const struct process *p, struct web_answer *ret)
{
        const char *why = p->program->unready ? p->program->unready(p->program->userdata) : NULL;

        ret->status = why ? 503 : 200;
        strbuf_printf(&ret->body, "%s\n", why ? why : "ok");
}

static void answer_metrics(const struct process *p, struct web_answer *ret)
{
        ret->status = 200;
        ret->content_type = "text/plain; version=0.0.4";
        strbuf_printf(&ret->body,
                      "# TYPE leader_election_master_status gauge\n"
                      "leader_election_master_status{name=\"%s\"} %d\n",
                      p->program->component, p->leads);
        p->program->metrics(p->program->userdata, &ret->body);
}

static void on_web(void *userdata, const char *path, struct web_answer *ret)
{
        const struct process *p = userdata;

        if (str_eq(path, "/healthz") || str_eq(path, "/livez")) {
                ret->status = 200;
                strbuf_add_str(&ret->body, "ok\n");
        } else if (str_eq(path, "/readyz")) {
                answer_ready(p, ret);
        } else if (str_eq(path, "/metrics")) {
                answer_metrics(p, ret);
        }
}

static int start_web(struct process *p, struct err *reterr)
{
        const char *address = p->common.address;
        int r;

        if (str_eq(address, "none"))
                return 0;
        r = web_new(p->loop, address, on_web, p, &p->web, reterr);
        return r ? err_prefix(reterr, r, "--listen") : 0;
}

/* ---- the end ---- */

static void on_released(void *userdata)
{
        loop_stop(((struct process *)userdata)->loop);
}

static void on_signal(void *userdata)
{
        struct process *p = userdata;

        if (p->ending) {
                loop_stop(p->loop);
                return;
        }
        p->ending = true;
        supervisor_notify("STOPPING=1");
        log_info("ending", "");
        if (!p->lease) {
                loop_stop(p->loop);
                return;
        }
        loop_timer_set(p->last, RELEASE_MS);
        lease_stop(p->lease, on_released, p);
}

static int start(struct process *p, struct err *reterr)
{
        const struct process_program *program = p->program;
        int r = kubeconfig_find(p->common.kubeconfig, &p->kubeconfig, reterr);

        if (r < 0)
                return err_prefix(reterr, r, "no way to the API (--kubeconfig names a kubeconfig)");
        r = loop_new(&p->loop);
        if (!r)
                r = loop_signal_new(p->loop, SIGTERM, on_signal, p, &p->term);
        if (!r)
                r = loop_signal_new(p->loop, SIGINT, on_signal, p, &p->interrupt);
        if (!r)
                r = loop_timer_new(p->loop, on_released, p, &p->last);
        if (!r)
                r = kube_client_new(&(struct kube_client_opts){.config = p->kubeconfig,
                                                               .loop = p->loop,
                                                               .user_agent = program->name,
                                                               .qps = p->common.qps ? p->common.qps : 1e9,
                                                               .burst = p->common.qps ? p->common.burst : 1000000},
                                    &p->client, reterr);
        if (!r)
                r = events_new(&(struct events_opts){.client = p->client, .component = program->event_source},
                               &p->events);
        if (!r)
                r = start_web(p, reterr);
        if (!r)
                r = program->start(program->userdata, p, reterr);
        if (!r && p->common.elect)
                r = start_election(p, reterr);
        return r;
}

static int run(struct process *p, struct err *reterr)
{
        int r = start(p, reterr);

        if (!r && !p->common.elect)
                begin_to_lead(p);
        if (!r) {
                supervisor_notify("READY=1");
                r = loop_run(p->loop);
        }
        p->ending = true;
        web_free(p->web);
        lease_free(p->lease);
        p->program->stop(p->program->userdata);
        events_free(p->events);
        kube_client_free(p->client);
        kubeconfig_free(p->kubeconfig);
        loop_timer_free(p->last);
        loop_signal_free(p->term);
        loop_signal_free(p->interrupt);
        loop_free(p->loop);
        return r;
}

/* Two defaults are the program's. */
static void own_defaults(struct flag flags[static ARRAY_SIZE(common_flags)], const struct process_program *program)
{
        memcpy(flags, common_flags, sizeof(common_flags));
        for (size_t i = 0; i < ARRAY_SIZE(common_flags); i++)
                if (flags[i].kind == FLAG_TEXT && flags[i].offset == AT(address))
                        flags[i].value = program->address;
                else if (flags[i].kind == FLAG_TEXT && flags[i].offset == AT(lease_name))
                        flags[i].value = program->component;
}

static int parse(struct process *p, int argc, char **argv, struct err *reterr)
{
        enum log_level level = LOG_LEVEL_INFO;
        struct flag own[ARRAY_SIZE(common_flags)];
        const struct flag_table tables[] = {{p->program->flags, p->program->nflags, p->program->config},
                                            {own, ARRAY_SIZE(own), &p->common}};
        const struct flag_program line = {.name = p->program->name,
                                          .introduction = p->program->introduction,
                                          .closing = p->program->permissions,
                                          .tables = tables,
                                          .ntables = ARRAY_SIZE(tables)};
        int r;

        own_defaults(own, p->program);
        r = flag_program_parse(&line, argc, argv, reterr);
        if (!r && log_level_parse(p->common.log_level, &level))
                return err_set(reterr, -EINVAL, "--log-level=%s: use debug, info, warn or error", p->common.log_level);
        if (!r && p->program->check)
                r = p->program->check(p->program->userdata, reterr);
        log_init(p->program->component, level);
        return r;
}

int process_main(const struct process_program *program, int argc, char **argv)
{
        struct process p = {.program = program, .start_ns = clock_mono_ns()};
        struct err err = ERR_NULL;
        int r = parse(&p, argc, argv, &err);

        if (r == FLAGS_EXIT)
                return 0;
        if (r) {
                fprintf(stderr, "%s: %s\n", program->name, err.msg);
                return 2;
        }
        signal(SIGPIPE, SIG_IGN);
        r = run(&p, &err);
        if (r)
                fprintf(stderr, "%s: %s\n", program->name, *err.msg ? err.msg : strerror(-r));
        return r ? 1 : p.status;
}
