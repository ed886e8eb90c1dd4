/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/delegate.h"

#define OUTPUT_MAX (1024 * 1024)

static char *find(const struct delegate *d)
{
        struct str_span piece;

        for (const char *rest = d->path; *d->path && str_split(&rest, ':', &piece);) {
                char *file = piece.n ? mem_printf("%.*s/%s", (int)piece.n, piece.s, d->type) : NULL;

                if (file && access(file, X_OK) == 0)
                        return file;
                free(file);
        }
        return NULL;
}

static int spawn(const char *file, int in, int out, pid_t *ret)
{
        char *argv[] = {(char *)file, NULL};
        posix_spawn_file_actions_t actions;
        int r;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in, 0);
        posix_spawn_file_actions_adddup2(&actions, out, 1);
        r = posix_spawn(ret, file, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static void feed(int *in, const struct delegate *d, size_t *sent)
{
        ssize_t n = *sent < d->input_len ? write(*in, d->input + *sent, d->input_len - *sent) : 0;

        if (n > 0)
                *sent += (size_t)n;
        if (*sent == d->input_len || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                close(*in);
                *in = -1;
        }
}

/* Gives it the input and takes its output, until it closes that. 0 or negative errno. */
static int converse(const struct delegate *d, int *in, int out, struct strbuf *ret)
{
        uint64_t end = clock_mono_ms() + DELEGATE_TIMEOUT_MS;
        size_t sent = 0;

        for (;;) {
                struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = *in, .events = POLLOUT}};
                uint64_t now = clock_mono_ms();
                int r = now < end ? poll(p, 2, (int)(end - now)) : 0;
                ssize_t n;

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return r ? -errno : -ETIMEDOUT;
                if (p[1].revents)
                        feed(in, d, &sent);
                if (!p[0].revents)
                        continue;
                n = read(out, strbuf_reserve(ret, 4096), 4096);
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                ret->len += (size_t)n;
                ret->data[ret->len] = '\0';
                if (ret->len > OUTPUT_MAX)
                        return -EFBIG;
        }
}

static int reap(pid_t pid)
{
        int status = 0;

        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

/* 0 or negative errno; *ret_status as of waitpid. */
static int execute(const struct delegate *d, const char *file, struct strbuf *ret, int *ret_status)
{
        int in[2] = {-1, -1}, out[2] = {-1, -1}, r;
        pid_t pid = 0;

        if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || fcntl(in[1], F_SETFL, O_NONBLOCK))
                r = -errno;
        else
                r = spawn(file, in[0], out[1], &pid);
        closep(&in[0]);
        closep(&out[1]);
        if (!r) {
                r = converse(d, &in[1], out[0], ret);
                if (r)
                        kill(pid, SIGKILL);
                *ret_status = reap(pid);
        }
        closep(&in[1]);
        closep(&out[0]);
        return r;
}

/* The plugin's own error object, when it printed one. */
static int own_error(const struct delegate *d, const struct strbuf *out, int status, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        const char *msg, *details;
        int code;

        if (!out->len || json_parse(out->data, out->len, &o, NULL) || !json_is_object(o) ||
            json_get_i64(o, "code", 0) <= 0 || json_get_i64(o, "code", 0) > 65535)
                return err_set(reterr, CNI_IPAM, "the IPAM plugin %s failed (%s %d) without a CNI error", d->type,
                               WIFSIGNALED(status) ? "signal" : "exit code",
                               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        code = (int)json_get_i64(o, "code", 0);
        msg = json_get_str(o, "msg");
        details = json_get_str(o, "details");
        return err_set(reterr, code, "the IPAM plugin %s: %s%s%s", d->type, msg ? msg : "no message",
                       str_empty(details) ? "" : ": ", details ? details : "");
}

static int call(const struct delegate *d, enum cni_verb verb, struct strbuf *ret, struct err *reterr)
{
        _cleanup_free_ char *file = find(d);
        int status = 0, r;

        if (!file)
                return err_set(reterr, CNI_IPAM,
                               "the IPAM plugin %s (ipam.type) is in none of the folders of CNI_PATH, "
                               "\"%.256s\"",
                               d->type, d->path);
        setenv("CNI_COMMAND", cni_verb_name(verb), 1);
        signal(SIGPIPE, SIG_IGN);
        r = execute(d, file, ret, &status);
        if (r)
                return err_set(reterr, r == -ETIMEDOUT ? CNI_TRY_LATER : CNI_IPAM, "the IPAM plugin %s: %s", file,
                               strerror(-r));
        return status ? own_error(d, ret, status, reterr) : 0;
}

static int take_addresses(const struct delegate *d, const struct json_object *result, struct attachment *a,
                          struct err *reterr)
{
        bool have[2] = {false, false};

        json_array_foreach (conf_get(result, "ips"), i, v) {
                const char *text = conf_get_str(v, "address");
                struct addr address;
                uint32_t bits;
                bool v6;

                if (!text || ip_parse(text, &address, &bits))
                        return err_set(reterr, CNI_IPAM, "the IPAM plugin %s: ips[%zu].address \"%.64s\" is no address",
                                       d->type, i, text ? text : "");
                v6 = !ip_is_v4(&address);
                if (have[v6])
                        return err_set(reterr, CNI_IPAM,
                                       "the IPAM plugin %s gave a second %s address; a pod has one of each family",
                                       d->type, v6 ? "IPv6" : "IPv4");
                have[v6] = true;
                a->addresses[a->naddresses++] = address;
        }
        return a->naddresses ? 0 : err_set(reterr, CNI_IPAM, "the IPAM plugin %s gave no address", d->type);
}

int delegate_add(const struct delegate *d, struct attachment *a, struct json_object **ret_dns, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;
        _cleanup_json_ struct json_object *result = NULL;
        struct json_object *dns;
        int r = call(d, VERB_ADD, &out, reterr);

        if (r)
                return r;
        if (json_parse(out.data ? out.data : "", out.len, &result, NULL) || !json_is_object(result))
                r = err_set(reterr, CNI_IPAM, "the IPAM plugin %s printed something that is no JSON object", d->type);
        else
                r = take_addresses(d, result, a, reterr);
        if (r) {
                delegate_call(d, VERB_DEL, NULL);
                return r;
        }
        /* IPv4 first, as everywhere here. */
        if (a->naddresses == 2 && ip_is_v4(&a->addresses[1])) {
                struct addr v4 = a->addresses[1];

                a->addresses[1] = a->addresses[0];
                a->addresses[0] = v4;
        }
        dns = conf_get(result, "dns");
        /* host-local prints an empty one when it knows of none. */
        *ret_dns = json_is_object(dns) && json_object_object_length(dns) ? json_object_get(dns) : NULL;
        return 0;
}

int delegate_call(const struct delegate *d, enum cni_verb verb, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;
        int r = call(d, verb, &out, reterr);

        if ((verb == VERB_GC || verb == VERB_STATUS) && (r == CNI_BAD_VERSION || r == CNI_BAD_ENVIRONMENT))
                return 0;
        return r;
}

int delegate_del_of(const struct delegate *d, const struct attachment *a, struct err *reterr)
{
        setenv("CNI_CONTAINERID", a->container_id, 1);
        setenv("CNI_IFNAME", a->ifname, 1);
        setenv("CNI_NETNS", a->netns, 1);
        return delegate_call(d, VERB_DEL, reterr);
}
