/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/cni_call.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/mem.h"
#include "base/str.h"

#define OUTPUT_MAX      (1024 * 1024)
#define CODE_TRY_AGAIN  11
#define PATH_OF_PLUGINS "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct cni_call {
        struct children *children;
        struct child *child;
        const char *verb;
        char *bins, *container, *netns, *args;
        struct json_object *list, *asked, *result, *valid;
        size_t called;
        int lock;
        uint64_t timeout_ms;
        cni_done_fn done;
        void *userdata;
        int problem; /* of a GC, which goes on to the others */
        char *problem_text;
        bool *over; /* of cni_call while it runs: set when the call ends meanwhile */
};

static void call_free(struct cni_call *c)
{
        free(c->bins);
        free(c->container);
        free(c->netns);
        free(c->args);
        free(c->problem_text);
        json_object_put(c->list);
        json_object_put(c->asked);
        json_object_put(c->result);
        json_object_put(c->valid);
        if (c->lock > 0)
                close(c->lock);
        free(c);
}

static void call_end(struct cni_call *c, int result, const char *message)
{
        if (c->over)
                *c->over = true;
        c->done(c->userdata, result, c->result, message);
        call_free(c);
}

static size_t count(const struct cni_call *c)
{
        return json_len(json_get(c->list, "plugins"));
}

static bool is(const struct cni_call *c, const char *verb)
{
        return str_eq(c->verb, verb);
}

/* The index of the plugin whose turn it is. */
static size_t turn(const struct cni_call *c)
{
        return is(c, "DEL") ? count(c) - 1 - c->called : c->called;
}

static char *find(const struct cni_call *c, const char *type)
{
        struct str_span folder;

        for (const char *rest = c->bins; str_split(&rest, ':', &folder);) {
                char *file = mem_printf("%.*s/%s", (int)folder.n, folder.s, type);

                if (folder.n && access(file, X_OK) == 0)
                        return file;
                free(file);
        }
        return NULL;
}

static void environment(const struct cni_call *c, struct words *w)
{
        words_add(w, PATH_OF_PLUGINS);
        words_add(w, "CNI_COMMAND=%s", c->verb);
        words_add(w, "CNI_PATH=%s", c->bins);
        if (!c->container)
                return;
        words_add(w, "CNI_CONTAINERID=%s", c->container);
        words_add(w, "CNI_NETNS=%s", c->netns);
        words_add(w, "CNI_IFNAME=" CNI_IFNAME);
        words_add(w, "CNI_ARGS=%s", c->args);
}

/* Before 0.4.0 nobody but a later plugin of an ADD gets a result. */
static char *input(const struct cni_call *c)
{
        bool given = is(c, "ADD") || cni_list_speaks(c->list, "0.4.0");
        _cleanup_json_ struct json_object *o = cni_plugin_input(c->list, turn(c), c->asked, given ? c->result : NULL);

        if (c->valid)
                json_set(o, "cni.dev/valid-attachments", json_object_get(c->valid));
        return json_text(o);
}

static void next(struct cni_call *c);

static void fail(struct cni_call *c, int result, const char *why)
{
        _cleanup_free_ char *message = mem_printf("plugin %s: %s", cni_plugin_type(c->list, turn(c)), why);

        if (!is(c, "GC")) {
                call_end(c, result, message);
                return;
        }
        if (!c->problem)
                c->problem_text = TAKE_PTR(message);
        c->problem = c->problem ?: result;
        c->called++;
        next(c);
}

static void failed(struct cni_call *c, const struct child_end *end)
{
        struct err err = ERR_NULL;
        int code = end->timed_out ? 0 : cni_error_parse(end->out, end->out_len, &err);
        char why[sizeof(err.msg)];

        fail(c, code == CODE_TRY_AGAIN ? -EAGAIN : -EIO, err.msg[0] ? err.msg : child_why(end, why, sizeof(why)));
}

static void ended(void *userdata, const struct child_end *end)
{
        struct cni_call *c = userdata;
        struct json_object *result = NULL;
        struct err err = ERR_NULL;

        if (end->status) {
                failed(c, end);
                return;
        }
        if (is(c, "ADD")) {
                if (cni_result_parse(end->out, end->out_len, &result, &err)) {
                        fail(c, -EPROTO, err.msg);
                        return;
                }
                json_object_put(c->result);
                c->result = result;
        }
        c->called++;
        next(c);
}

static int start(struct cni_call *c, const char *file)
{
        _cleanup_words_ struct words env = WORDS_NULL;
        _cleanup_free_ char *text = input(c);
        struct child_opts opts = {
                .argv = (const char *[]){file, NULL},
                .env = env.v,
                .input = text,
                .input_len = strlen(text),
                .lock = MAX(c->lock, 0),
                .limit = OUTPUT_MAX,
                .timeout_ms = c->timeout_ms,
        };

        environment(c, &env);
        return child_start(c->children, &opts, ended, c, &c->child);
}

static void next(struct cni_call *c)
{
        _cleanup_free_ char *file = NULL, *why = NULL;
        int r;

        c->child = NULL;
        if (c->called == count(c)) {
                call_end(c, c->problem, c->problem_text ?: "");
                return;
        }
        file = find(c, cni_plugin_type(c->list, turn(c)));
        if (!file) {
                why = mem_printf("there is no such program in %s", c->bins);
                fail(c, -ENOENT, why);
                return;
        }
        r = start(c, file);
        if (r)
                fail(c, r, strerror(-r));
}

struct cni_call *cni_call(const struct cni_request *q, cni_done_fn done, void *userdata)
{
        struct cni_call *c = mem_new(struct cni_call);
        bool over = false;

        *c = (struct cni_call){
                .children = q->children,
                .verb = q->verb,
                .bins = mem_strdup(q->bins),
                .container = mem_strdup(q->container),
                .netns = mem_strdup(q->netns ?: ""),
                .args = mem_strdup(q->args ?: ""),
                .list = json_object_get(q->list),
                .asked = json_object_get(q->asked),
                .result = json_object_get(q->result),
                .valid = json_object_get(q->valid),
                .lock = q->lock ? fcntl(q->lock, F_DUPFD_CLOEXEC, 4) : 0,
                .timeout_ms = q->timeout_ms,
                .done = done,
                .userdata = userdata,
                .over = &over,
        };
        next(c);
        if (over)
                return NULL;
        c->over = NULL;
        return c;
}

void cni_call_drop(struct cni_call *c)
{
        child_forget(c->child);
        call_free(c);
}
