/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "agent/kubelet/pods/expand.h"
#include "agent/kubelet/pods/resources.h"
#include "agent/kubelet/pods/spec_impl.h"
#include "agent/kubelet/pods/textlist.h"
#include "base/str.h"

static const char *meta(const struct json_object *pod, const char *field)
{
        return json_get_str(json_get(pod, "metadata"), field) ?: "";
}

struct spec_work spec_work(const struct spec *s, const struct json_object *container, struct arena *mem)
{
        return (struct spec_work){
                .s = s,
                .pod = s->pod,
                .spec = json_get(s->pod, "spec"),
                .container = container,
                .ns = meta(s->pod, "namespace"),
                .name = meta(s->pod, "name"),
                .uid = meta(s->pod, "uid"),
                .container_name = json_get_str(container, "name") ?: "",
                .mem = mem,
        };
}

void spec_warn(const struct spec_work *w, const char *reason, const char *fmt, ...)
{
        va_list ap;

        if (!w->s->warn)
                return;
        va_start(ap, fmt);
        w->s->warn(w->s->userdata, reason, arena_vprintf(w->mem, fmt, ap));
        va_end(ap);
}

bool spec_host_network(const struct spec_work *w)
{
        return json_get_bool(w->spec, "hostNetwork", false);
}

const char *const *spec_ips(const struct spec_work *w)
{
        static const char *const none[] = {NULL};

        return (spec_host_network(w) ? w->s->node->ips : w->s->ips) ?: none;
}

/* Of the node, in bytes. */
static int64_t memory_capacity(const struct spec *s)
{
        const struct json_object *node = s->node->object ? s->node->object(s->node->userdata) : NULL;
        struct quantity q;
        struct sysinfo info;

        if (resource_quantity(json_at(node, "status.capacity"), "memory", &q))
                return quantity_value(&q);
        return sysinfo(&info) ? INT64_MAX : (int64_t)(info.totalram * info.mem_unit);
}

const char *spec_cgroup(const struct spec *s, struct arena *mem, const char **ret_path,
                        struct container_resources *ret_limits)
{
        static const char *const folders[] = {
                [QOS_GUARANTEED] = "", [QOS_BURSTABLE] = "burstable/", [QOS_BEST_EFFORT] = "besteffort/"};
        enum pod_qos qos = pod_qos_class(s->pod);
        const char *root = s->node->cgroup_root ?: "";

        *ret_path =
                arena_printf(mem, "%s%skubepods/%spod%s", root, *root ? "/" : "", folders[qos], meta(s->pod, "uid"));
        *ret_limits = pod_limits(s->pod, s->node->pod_pids_limit);
        return pod_qos_name(qos);
}

static void add_ports(const struct json_object *container, struct port_mapping *ret, size_t *n)
{
        json_array_foreach (json_get(container, "ports"), i, port)
                if (json_get_i64(port, "hostPort", 0) > 0)
                        ret[(*n)++] = (struct port_mapping){
                                .host_port = (uint16_t)json_get_i64(port, "hostPort", 0),
                                .container_port = (uint16_t)json_get_i64(port, "containerPort", 0),
                                .protocol = json_get_str(port, "protocol") ?: "TCP",
                                .host_ip = json_get_str(port, "hostIP"),
                        };
}

/* Of containers and sidecars; on the node's network they are there by themselves. */
static void ports(const struct spec_work *w, struct sandbox_config *ret)
{
        static const char *const lists[] = {"containers", "initContainers"};
        struct port_mapping *v;
        size_t room = 0;

        if (spec_host_network(w))
                return;
        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_get(w->spec, lists[k]), i, c)
                        room += json_len(json_get(c, "ports"));
        }
        v = arena_array(w->mem, struct port_mapping, room);
        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_get(w->spec, lists[k]), i, c)
                        if (k == 0 || container_is_sidecar(c))
                                add_ports(c, v, &ret->nports);
        }
        ret->ports = v;
}

static int sysctls(const struct spec_work *w, struct sandbox_config *ret, struct err *reterr)
{
        struct json_object *list = json_get(json_get(w->spec, "securityContext"), "sysctls");
        const char *forbidden = spec_forbidden_sysctl(w->pod, w->mem);
        struct runtime_label *v = arena_array(w->mem, struct runtime_label, json_len(list));

        if (forbidden)
                return err_set(reterr, -EPERM, "%s", forbidden);
        json_array_foreach (list, i, one)
                v[ret->nsysctls++] = (struct runtime_label){spec_sysctl_name(json_get_str(one, "name") ?: "", w->mem),
                                                            json_get_str(one, "value") ?: ""};
        ret->sysctls = v;
        return 0;
}

/* Bits a second; upstream's bounds. */
static int bandwidth(const struct spec_work *w, const char *annotation, uint64_t *ret, struct err *reterr)
{
        const char *text = json_get_str(json_at(w->pod, "metadata.annotations"), annotation);
        struct quantity q;
        int64_t bits;
        int r;

        if (!text)
                return 0;
        r = quantity_parse(text, &q, reterr);
        if (r)
                return err_prefix(reterr, r, "annotation %s", annotation);
        bits = quantity_value(&q);
        if (bits < 1000)
                return err_set(reterr, -EINVAL, "annotation %s: resource is unreasonably small (< 1kbit)", annotation);
        if (bits > 1000000000000000)
                return err_set(reterr, -EINVAL, "annotation %s: resource is unreasonably large (> 1Pbit)", annotation);
        *ret = (uint64_t)bits;
        return 0;
}

static enum namespace_mode pid_mode(const struct spec_work *w)
{
        if (json_get_bool(w->spec, "hostPID", false))
                return NAMESPACE_NODE;
        return json_get_bool(w->spec, "shareProcessNamespace", false) ? NAMESPACE_POD : NAMESPACE_CONTAINER;
}

static int fill_sandbox(const struct spec_work *w, struct sandbox_config *c, struct err *reterr)
{
        int r = bandwidth(w, "kubernetes.io/ingress-bandwidth", &c->ingress_bits, reterr);

        if (!r)
                r = bandwidth(w, "kubernetes.io/egress-bandwidth", &c->egress_bits, reterr);
        if (!r)
                r = sysctls(w, c, reterr);
        if (!r)
                r = spec_resolv_conf(w, &c->resolv_conf, reterr);
        if (!r && c->network == NAMESPACE_POD)
                r = spec_sandbox_hostname(w, &c->hostname, reterr);
        return r;
}

int spec_sandbox(const struct spec *s, uint32_t attempt, struct arena *mem, struct sandbox_config *ret,
                 struct err *reterr)
{
        struct spec_work w = spec_work(s, NULL, mem);
        struct sandbox_config c = {
                .ns = w.ns,
                .name = w.name,
                .uid = w.uid,
                .attempt = attempt,
                .hostname = "",
                .log_folder = arena_printf(mem, "%s/%s_%s_%s", s->node->log_dir, w.ns, w.name, w.uid),
                .network = spec_host_network(&w) ? NAMESPACE_NODE : NAMESPACE_POD,
                .pid = pid_mode(&w),
                .ipc = json_get_bool(w.spec, "hostIPC", false) ? NAMESPACE_NODE : NAMESPACE_POD,
        };
        int r = fill_sandbox(&w, &c, reterr);

        if (r)
                return r;
        spec_cgroup(s, mem, &c.cgroup, &c.resources);
        ports(&w, &c);
        *ret = c;
        return 0;
}

static const char *look_up(void *userdata, const char *name, size_t n, size_t *ret_len)
{
        const struct env_var *v = envs_find(userdata, name, n);

        if (!v)
                return NULL;
        *ret_len = v->len;
        return v->value;
}

static void add_expanded(struct textlist *l, const struct json_object *words, const struct envs *env)
{
        json_array_foreach (words, i, word)
                textlist_add(l, expand(json_object_get_string(word), look_up, (void *)env, l->mem));
}

static void add_plain(struct textlist *l, const char *const *words)
{
        for (; words && *words; words++)
                textlist_add(l, *words);
}

/* command takes the place of the image's entrypoint and of its cmd; args that of its cmd alone. */
static int argv(const struct spec_work *w, const struct image *image, const struct envs *env,
                struct container_config *ret, struct err *reterr)
{
        struct json_object *command = json_get(w->container, "command"), *args = json_get(w->container, "args");
        struct textlist l = TEXTLIST(w->mem);

        if (json_len(command))
                add_expanded(&l, command, env);
        else
                add_plain(&l, image->entrypoint);
        if (json_len(args))
                add_expanded(&l, args, env);
        else if (!json_len(command))
                add_plain(&l, image->cmd);
        if (!l.n)
                return err_set(reterr, -EINVAL, "no command specified");
        ret->argv = l.v;
        return 0;
}

/* The image's variables come first, and give way. */
static const char *const *all_env(const struct spec_work *w, const struct image *image, const struct envs *own)
{
        _cleanup_envs_ struct envs all;

        envs_init(&all, w->mem);
        for (const char *const *e = image->env; e && *e; e++) {
                const char *equals = strchr(*e, '=');

                if (equals)
                        envs_set(&all, arena_strndup(w->mem, *e, (size_t)(equals - *e)), equals + 1);
        }
        for (size_t i = 0; i < own->n; i++)
                envs_set(&all, own->v[i].name, own->v[i].value);
        return envs_list(&all);
}

static void labels(const struct spec_work *w, struct container_config *ret)
{
        struct runtime_label *v = arena_array(w->mem, struct runtime_label, 1);
        char *hash = arena_alloc(w->mem, 17);

        spec_hash(w->container, hash);
        v[0] = (struct runtime_label){"fairlead.dev/hash", hash};
        ret->labels = v;
        ret->nlabels = 1;
}

/* "SIGUSR1", or one of the real-time signals "SIGRTMIN+3", "SIGRTMAX-2". -1: unknown. */
static int signal_of(const char *name)
{
        const char *bare = str_after(name, "SIG") ?: name, *rest;
        uint32_t n = 0;

        if ((rest = str_after(bare, "RTMIN")))
                return !*rest || (*rest == '+' && !str_parse_u32(rest + 1, &n) && n <= 30) ? SIGRTMIN + (int)n : -1;
        if ((rest = str_after(bare, "RTMAX")))
                return !*rest || (*rest == '-' && !str_parse_u32(rest + 1, &n) && n <= 29) ? SIGRTMAX - (int)n : -1;
        for (int i = 1; i < NSIG; i++)
                if (str_eq(sigabbrev_np(i), bare))
                        return i;
        return -1;
}

static int stop_signal(const struct spec_work *w, const struct image *image, int *ret, struct err *reterr)
{
        const char *name = json_get_str(json_get(w->container, "lifecycle"), "stopSignal");
        int signal = name ? signal_of(name) : image->stop_signal;

        if (signal < 0)
                return err_set(reterr, -EINVAL, "lifecycle.stopSignal: unknown signal \"%s\"", name);
        *ret = signal;
        return 0;
}

/* An ephemeral container sees the processes of its target only where all of the pod's containers do. */
static int check_target(const struct spec_work *w, struct err *reterr)
{
        const char *target = json_get_str(w->container, "targetContainerName");

        if (str_empty(target) || pid_mode(w) != NAMESPACE_CONTAINER)
                return 0;
        return err_set(reterr, -EOPNOTSUPP,
                       "targetContainerName: not supported, unless the pod has shareProcessNamespace");
}

static int fill_container(const struct spec_work *w, const struct image *image, const struct envs *env,
                          struct container_config *c, struct err *reterr)
{
        int r = check_target(w, reterr);

        if (!r)
                r = argv(w, image, env, c, reterr);
        if (!r)
                r = spec_env_fits(c->argv, c->env, reterr);
        if (!r)
                r = spec_security(w, image, &c->security, reterr);
        if (!r)
                r = stop_signal(w, image, &c->stop_signal, reterr);
        return r ?: spec_mounts(w, env, c, reterr);
}

int spec_container(const struct spec *s, const struct json_object *container, uint32_t attempt,
                   const struct image *image, struct arena *mem, struct container_config *ret, struct err *reterr)
{
        struct spec_work w = spec_work(s, container, mem);
        const char *cwd = json_get_str(container, "workingDir");
        _cleanup_envs_ struct envs env;
        struct container_config c = {
                .name = w.container_name,
                .attempt = attempt,
                .image = json_get_str(container, "image") ?: "",
                .image_id = image->id,
                .cwd = str_empty(cwd) ? image->cwd : cwd,
                .resources = container_limits(s->pod, container, memory_capacity(s)),
                .log_path = arena_printf(mem, "%s/%u.log", w.container_name, attempt),
                .tty = json_get_bool(container, "tty", false),
                .stdin = json_get_bool(container, "stdin", false),
                .stdin_once = json_get_bool(container, "stdinOnce", false),
        };
        int r;

        envs_init(&env, mem);
        r = spec_env(&w, &env, reterr);
        if (r)
                return r;
        c.env = all_env(&w, image, &env);
        labels(&w, &c);
        r = fill_container(&w, image, &env, &c, reterr);
        if (!r)
                *ret = c;
        return r;
}

/* As upstream's: the name and the image; nothing else of a container that is there can change but its resources, for
 * which it need not be made anew. */
void spec_hash(const struct json_object *container, char ret[static 17])
{
        static const uint64_t seed[2] = {0x6661697265616421, 0x6b7562656c657421}; /* the same after every start */
        char text[1024];

        snprintf(text, sizeof(text), "%s %s", json_get_str(container, "name") ?: "",
                 json_get_str(container, "image") ?: "");
        snprintf(ret, 17, "%016llx", (unsigned long long)hash_bytes(seed, text, strlen(text)));
}
