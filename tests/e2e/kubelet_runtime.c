/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the kubelet's built-in runtime for tests/e2e/kubelet_runtime.py and the benchmark: a JSON object a line comes
 * in
 * ({"op": "create", "tag": "a", ...}), one goes out when it is done ({"tag": "a", "result": 0, "id": "...", ...}).
 * An image's id is the folder of its root.
 *
 *     kubelet_runtime RUN_FOLDER STATE_FOLDER SHIM CRUN CNI_FOLDER CNI_PROGRAMS CNI_TIMEOUT_MS
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/builtin.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"

struct exec;

struct driver {
        struct loop *loop;
        struct loop_fd *in;
        struct strbuf line;
        struct runtime rt;
        struct exec *held;
};

struct request {
        struct arena mem;
        struct json_object *o;
        uint64_t begin_ns;
};

static void say(struct json_object *o)
{
        _cleanup_free_ char *text = json_text(o);

        printf("%s\n", text);
        fflush(stdout);
        json_object_put(o);
}

static struct json_object *answer(struct request *q, int result)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "tag", json_get_str(q->o, "tag") ?: "");
        json_set_i64(o, "result", result);
        json_set_i64(o, "us", (int64_t)((clock_mono_ns() - q->begin_ns) / NS_PER_US));
        return o;
}

static void request_free(struct request *q)
{
        arena_deinit(&q->mem);
        json_object_put(q->o);
        free(q);
}

static void done(void *userdata, int result, const char *id, const char *message)
{
        struct json_object *o = answer(userdata, result);

        json_set_str(o, "id", id);
        json_set_str(o, "message", message);
        say(o);
        request_free(userdata);
}

static void exec_done(void *userdata, int result, const struct exec_result *r)
{
        struct json_object *o = answer(userdata, result);

        json_set_i64(o, "code", r->exit_code);
        json_set_bool(o, "timedOut", r->timed_out);
        json_set(o, "output", json_object_new_string_len(r->output, (int)r->len));
        say(o);
        request_free(userdata);
}

static const char *const *list_of(struct request *q, const char *key)
{
        struct json_object *a = json_get(q->o, key);
        const char **v = a ? arena_array(&q->mem, const char *, json_len(a) + 1) : NULL;

        json_array_foreach (a, i, s)
                v[i] = json_object_get_string(s);
        return v;
}

static const char *text(struct request *q, const char *key, const char *otherwise)
{
        return json_get_str(q->o, key) ?: otherwise;
}

static struct port_mapping *ports_of(struct request *q, size_t *ret_n)
{
        struct json_object *list = json_get(q->o, "ports");
        struct port_mapping *ports = arena_array(&q->mem, struct port_mapping, json_len(list) + 1);

        json_array_foreach (list, i, p)
                ports[i] = (struct port_mapping){.host_port = (uint16_t)json_get_i64(p, "host", 0),
                                                 .container_port = (uint16_t)json_get_i64(p, "container", 0),
                                                 .protocol = json_get_str(p, "protocol") ?: "TCP",
                                                 .host_ip = json_get_str(p, "ip")};
        *ret_n = json_len(list);
        return ports;
}

static void run(struct driver *d, struct request *q)
{
        struct sandbox_config c = {
                .ns = "default",
                .name = text(q, "name", "pod"),
                .uid = text(q, "uid", "uid"),
                .hostname = text(q, "hostname", "pod"),
                .resolv_conf = text(q, "resolvConf", "nameserver 127.0.0.1\n"),
                .log_folder = text(q, "logs", "/tmp"),
                .cgroup = text(q, "cgroup", "kubepods/x"),
                .network = (enum namespace_mode)json_get_i64(q->o, "network", NAMESPACE_POD),
                .pid = (enum namespace_mode)json_get_i64(q->o, "pid", NAMESPACE_CONTAINER),
                .ingress_bits = (uint64_t)json_get_i64(q->o, "ingress", 0),
                .egress_bits = (uint64_t)json_get_i64(q->o, "egress", 0),
                .ips = list_of(q, "ips"),
                .user_namespace = json_get_bool(q->o, "userNamespace", false),
                .resources = {.memory_bytes = json_get_i64(q->o, "memory", -1), .pids = json_get_i64(q->o, "pids", -1)},
        };

        c.ports = ports_of(q, &c.nports);
        d->rt.ops->sandbox_run(d->rt.rt, &c, done, q);
}

static struct container_device *devices_of(struct request *q, size_t *ret_n)
{
        const char *const *paths = list_of(q, "devices");
        struct container_device *devices = arena_array(&q->mem, struct container_device, 8);

        for (*ret_n = 0; paths && paths[*ret_n]; (*ret_n)++)
                devices[*ret_n] = (struct container_device){paths[*ret_n], paths[*ret_n], "r"};
        return devices;
}

static const int64_t *numbers_of(struct request *q, const char *key, size_t *ret_n)
{
        struct json_object *list = json_get(q->o, key);
        int64_t *numbers = arena_array(&q->mem, int64_t, json_len(list) + 1);

        *ret_n = json_len(list);
        for (size_t i = 0; i < *ret_n; i++)
                numbers[i] = json_object_get_int64(json_idx(list, i));
        return numbers;
}

static void create(struct driver *d, struct request *q)
{
        struct container_mount *mounts = arena_array(&q->mem, struct container_mount, 8);
        struct json_object *list = json_get(q->o, "mounts");
        struct container_config c = {
                .name = text(q, "name", "c"),
                .attempt = (uint32_t)json_get_i64(q->o, "attempt", 0),
                .image_id = text(q, "image", ""),
                .argv = list_of(q, "argv"),
                .env = list_of(q, "env"),
                .cwd = text(q, "cwd", NULL),
                .mounts = mounts,
                .nmounts = MIN(json_len(list), 8),
                .log_path = text(q, "log", "c/0.log"),
                .tty = json_get_bool(q->o, "tty", false),
                .stdin = json_get_bool(q->o, "stdin", false),
                .stdin_once = json_get_bool(q->o, "once", false),
                .stop_signal = (int)json_get_i64(q->o, "stopSignal", 0),
        };

        c.devices = devices_of(q, &c.ndevices);
        for (size_t i = 0; i < c.nmounts; i++)
                mounts[i] = (struct container_mount){.source = json_get_str(json_idx(list, i), "source"),
                                                     .target = json_get_str(json_idx(list, i), "target"),
                                                     .read_only = json_get_bool(json_idx(list, i), "ro", false)};
        c.security = (struct container_security){.uid = json_get_i64(q->o, "user", -1),
                                                 .gid = json_get_i64(q->o, "group", -1),
                                                 .user = text(q, "userName", NULL),
                                                 .no_new_privileges = true,
                                                 .privileged = json_get_bool(q->o, "privileged", false),
                                                 .read_only_root = json_get_bool(q->o, "readOnly", false),
                                                 .add = list_of(q, "add"),
                                                 .drop = list_of(q, "drop")};
        c.security.groups = numbers_of(q, "groups", &c.security.ngroups);
        c.resources = (struct container_resources){-1,
                                                   -1,
                                                   -1,
                                                   json_get_i64(q->o, "memory", -1),
                                                   -1,
                                                   json_get_i64(q->o, "pids", -1),
                                                   json_get_i64(q->o, "oom", -1),
                                                   NULL};
        d->rt.ops->container_create(d->rt.rt, text(q, "sandbox", ""), &c, done, q);
}

static struct json_object *container_of_status(const struct container_status *s)
{
        static const char *const states[] = {"created", "running", "exited", "unknown"};
        struct json_object *o = json_object_new_object();

        json_set_str(o, "id", s->id);
        json_set_str(o, "sandbox", s->sandbox);
        json_set_str(o, "state", states[s->state]);
        json_set_i64(o, "code", s->exit_code);
        json_set_i64(o, "signal", s->signal);
        json_set_bool(o, "oom", s->oom_killed);
        json_set_i64(o, "pid", s->pid);
        json_set_i64(o, "started", s->started_ns);
        json_set_i64(o, "finished", s->finished_ns);
        return o;
}

static void list(struct driver *d, struct request *q)
{
        struct json_object *o = answer(q, 0), *sandboxes = json_object_new_array(),
                           *containers = json_object_new_array();
        struct runtime_list l;

        d->rt.ops->list(d->rt.rt, json_get_str(q->o, "uid"), &l);
        for (size_t i = 0; i < l.nsandboxes; i++) {
                struct json_object *s = json_object_new_object(), *ips = json_object_new_array();

                json_set_str(s, "id", l.sandboxes[i].id);
                json_set_bool(s, "ready", l.sandboxes[i].state == SANDBOX_READY);
                json_set_str(s, "netns", l.sandboxes[i].netns);
                for (const char *const *ip = l.sandboxes[i].ips; *ip; ip++)
                        json_object_array_add(ips, json_object_new_string(*ip));
                json_set(s, "ips", ips);
                json_object_array_add(sandboxes, s);
        }
        for (size_t i = 0; i < l.ncontainers; i++)
                json_object_array_add(containers, container_of_status(&l.containers[i]));
        json_set(o, "sandboxes", sandboxes);
        json_set(o, "containers", containers);
        say(o);
        request_free(q);
}

static void network(struct driver *d, struct request *q)
{
        const char *why;
        struct json_object *o = answer(q, 0);

        json_set_bool(o, "ready", d->rt.ops->network_status(d->rt.rt, &why));
        json_set_str(o, "why", why);
        say(o);
        request_free(q);
}

static void usage(struct driver *d, struct request *q)
{
        uint64_t cpu = 0, memory = 0, working_set = 0;
        int r = d->rt.ops->usage(d->rt.rt, text(q, "id", ""), &cpu, &memory, &working_set);
        struct json_object *o = answer(q, r);

        json_set_i64(o, "cpu", (int64_t)cpu);
        json_set_i64(o, "memory", (int64_t)memory);
        say(o);
        request_free(q);
}

/* Sends the input, and reads the output to its end: attached to a container that ends by its input. */
static void attach(struct driver *d, struct request *q)
{
        const char *input = text(q, "input", "");
        _cleanup_strbuf_ struct strbuf all = STRBUF_NULL;
        struct runtime_session *session = NULL;
        struct runtime_streams s = {-1, -1, -1, false};
        struct json_object *o;
        char buf[4096];
        ssize_t n;
        int r = d->rt.ops->attach(d->rt.rt, text(q, "id", ""), *input, &s, &session);

        if (!r && *input && write(s.in, input, strlen(input)) < 0)
                r = -errno;
        if (s.in >= 0)
                close(s.in);
        while (s.out >= 0 && (n = read(s.out, buf, sizeof(buf))) > 0)
                strbuf_add(&all, buf, (size_t)n);
        if (s.out >= 0)
                close(s.out);
        if (s.err >= 0)
                close(s.err);
        if (session)
                d->rt.ops->session_end(session);
        o = answer(q, r);
        json_set_str(o, "output", all.data ?: "");
        say(o);
        request_free(q);
}

/* An exec: its input is given when it has started ("hold": it is left open), its output is told when it has ended. */
struct exec {
        struct driver *d;
        struct request *q;
        struct runtime_streams streams;
        struct runtime_session *session;
};

static void read_all(int fd, struct strbuf *b)
{
        char buf[4096];
        ssize_t n;

        if (fd < 0)
                return;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        while ((n = read(fd, buf, sizeof(buf))) > 0)
                strbuf_add(b, buf, (size_t)n);
        close(fd);
}

static void exec_free(struct exec *x)
{
        if (x->streams.in >= 0)
                close(x->streams.in);
        x->d->rt.ops->session_end(x->session);
        request_free(x->q);
        free(x);
}

static void exec_started(void *userdata, int result, const struct runtime_streams *streams, const char *message)
{
        struct exec *x = userdata;
        const char *input = text(x->q, "input", "");
        struct json_object *o;

        x->streams = *streams;
        if (result) {
                o = answer(x->q, result);
                json_set_str(o, "message", message);
                say(o);
                exec_free(x);
                return;
        }
        if (json_get(x->q->o, "columns"))
                x->d->rt.ops->resize(x->session, (uint16_t)json_get_i64(x->q->o, "columns", 0), 24);
        if (write(x->streams.in, input, strlen(input)) < 0)
                perror("exec");
        if (!streams->tty)
                close(TAKE_FD(x->streams.in));
        if (json_get_bool(x->q->o, "hold", false)) {
                x->d->held = x;
                say(answer(x->q, 0));
        }
}

static void exec_ended(void *userdata, int32_t code)
{
        struct exec *x = userdata;
        struct json_object *o = answer(x->q, 0);
        _cleanup_strbuf_ struct strbuf both = STRBUF_NULL;

        read_all(x->streams.out, &both);
        read_all(x->streams.err, &both);
        json_set_i64(o, "code", code);
        json_set_str(o, "output", both.data ?: "");
        say(o);
        exec_free(x);
}

static void exec(struct driver *d, struct request *q)
{
        struct exec *x = mem_new(struct exec);
        struct exec_request e = {.argv = list_of(q, "argv"),
                                 .in = true,
                                 .tty = json_get_bool(q->o, "tty", false),
                                 .started = exec_started,
                                 .ended = exec_ended,
                                 .userdata = x};
        int r;

        x->d = d;
        x->q = q;
        r = d->rt.ops->exec(d->rt.rt, text(q, "id", ""), &e, &x->session);
        if (!r)
                return;
        say(answer(q, r));
        request_free(q);
        free(x);
}

/* The client of the command that is held goes away. */
static void abandon(struct driver *d, struct request *q)
{
        struct exec *x = d->held;

        close(x->streams.out);
        if (x->streams.err >= 0)
                close(x->streams.err);
        exec_free(x);
        say(answer(q, 0));
        request_free(q);
}

static void command(struct driver *d, struct request *q)
{
        const struct runtime_ops *ops = d->rt.ops;
        const char *op = text(q, "op", ""), *id = text(q, "id", "");

        if (str_eq(op, "run"))
                run(d, q);
        else if (str_eq(op, "create"))
                create(d, q);
        else if (str_eq(op, "start"))
                ops->container_start(d->rt.rt, id, done, q);
        else if (str_eq(op, "stop"))
                ops->container_stop(d->rt.rt, id, (int)json_get_i64(q->o, "signal", 0),
                                    (uint64_t)json_get_i64(q->o, "grace", 0), done, q);
        else if (str_eq(op, "update"))
                ops->container_update(d->rt.rt, id, &(struct container_resources){-1, -1, -1, -1, -1, -1, -1, NULL},
                                      done, q);
        else if (str_eq(op, "remove"))
                ops->container_remove(d->rt.rt, id, done, q);
        else if (str_eq(op, "sandbox_stop"))
                ops->sandbox_stop(d->rt.rt, id, done, q);
        else if (str_eq(op, "sandbox_remove"))
                ops->sandbox_remove(d->rt.rt, id, done, q);
        else if (str_eq(op, "exec_sync"))
                ops->exec_sync(d->rt.rt, id, list_of(q, "argv"), (uint64_t)json_get_i64(q->o, "timeout", 10000),
                               exec_done, q);
        else if (str_eq(op, "exec"))
                exec(d, q);
        else if (str_eq(op, "abandon"))
                abandon(d, q);
        else if (str_eq(op, "attach"))
                attach(d, q);
        else if (str_eq(op, "reopen"))
                done(q, ops->reopen_log(d->rt.rt, id), id, "");
        else if (str_eq(op, "usage"))
                usage(d, q);
        else if (str_eq(op, "network"))
                network(d, q);
        else if (str_eq(op, "collect"))
                builtin_network_collect(&d->rt, done, q);
        else
                list(d, q);
}

static void read_lines(void *userdata, unsigned int events)
{
        struct driver *d = userdata;
        char buf[65536], *nl;
        ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

        if (n <= 0) {
                loop_stop(d->loop);
                return;
        }
        strbuf_add(&d->line, buf, (size_t)n);
        while ((nl = memchr(d->line.data, '\n', d->line.len))) {
                struct request *q = mem_new(struct request);
                size_t len = (size_t)(nl - d->line.data);
                struct err err = ERR_NULL;

                q->begin_ns = clock_mono_ns();
                if (json_parse(d->line.data, len, &q->o, &err)) {
                        fprintf(stderr, "%s\n", err.msg);
                        exit(1);
                }
                memmove(d->line.data, nl + 1, d->line.len - len - 1);
                d->line.len -= len + 1;
                command(d, q);
        }
}

static int mount_image(void *userdata, const char *image, const char *upper, const char *work, const char *target,
                       struct err *reterr)
{
        _cleanup_free_ char *options = mem_printf("lowerdir=%s,upperdir=%s,workdir=%s", image, upper, work);

        if (mount("overlay", target, "overlay", 0, options))
                return err_set(reterr, -errno, "%s: %s", image, strerror(errno));
        return 0;
}

static void changed(void *userdata, const char *uid)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "changed", uid);
        say(o);
}

int main(int argc, char **argv)
{
        _cleanup_free_ char *mounts = NULL;
        struct driver d = {0};
        struct children *children;
        struct cgroups cg;
        struct err err = ERR_NULL;
        struct builtin_opts opts = {.children = NULL};

        if (argc < 8 || loop_new(&d.loop) || children_new(d.loop, &children) ||
            file_read("/proc/self/mountinfo", 1 << 20, &mounts, NULL, &err) || cgroups_find(mounts, &cg, &err)) {
                fprintf(stderr, "kubelet_runtime: %s\n", err.msg);
                return 1;
        }
        opts = (struct builtin_opts){.loop = d.loop,
                                     .children = children,
                                     .images = {NULL, mount_image},
                                     .cgroups = &cg,
                                     .run_folder = argv[1],
                                     .state_folder = argv[2],
                                     .shim = argv[3],
                                     .crun = argv[4],
                                     .cni_conf_folder = argv[5],
                                     .cni_bin_folders = argv[6],
                                     .cni_timeout_ms = strtoull(argv[7], NULL, 10)};
        signal(SIGPIPE, SIG_IGN);
        if (builtin_new(&opts, &d.rt, &err)) {
                fprintf(stderr, "kubelet_runtime: %s\n", err.msg);
                return 1;
        }
        d.rt.ops->on_change(d.rt.rt, changed, &d);
        loop_fd_new(d.loop, STDIN_FILENO, LOOP_READ, read_lines, &d, &d.in);
        say(json_object_new_object());
        loop_run(d.loop);
        loop_fd_free(d.in);
        d.rt.ops->free(d.rt.rt);
        children_free(children);
        loop_free(d.loop);
        strbuf_deinit(&d.line);
        return 0;
}
