/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/services.h"

#define FILE_LIMIT (1 << 20)
#define TAIL_BYTES (1 << 20)

struct each {
        const struct cluster *cluster;
        int (*fn)(void *userdata, const struct service_state *s);
        void *userdata;
        bool specs; /* of machine.json, whether it runs or not */
};

static struct json_object *read_json(const struct cluster *c, const struct machine *m, const char *file)
{
        _cleanup_free_ char *path = machine_path(c, m, file), *text = NULL;
        struct json_object *o = NULL;
        size_t n;

        if (file_read(path, FILE_LIMIT, &text, &n, NULL) == 0)
                json_parse(text, n, &o, NULL);
        return o;
}

static int each_of_machine(void *userdata, const struct machine *m)
{
        const struct each *e = userdata;
        _cleanup_json_ struct json_object *status = NULL;
        int r = 0;

        if (!e->specs && !machine_pid(e->cluster, m))
                return 0;
        status = read_json(e->cluster, m, e->specs ? "machine.json" : "status.json");
        json_array_foreach (json_get(status, "services"), i, o) {
                struct service_state s = {.machine = *m,
                                          .name = json_get_str(o, "name"),
                                          .pid = (int)json_get_i64(o, "pid", 0),
                                          .starts = (unsigned)json_get_i64(o, "starts", 0),
                                          .last = json_get_str(o, "last")};

                r = s.name ? e->fn(e->userdata, &s) : 0;
                if (r)
                        break;
        }
        return r;
}

int services_each(const struct cluster *c, int (*fn)(void *userdata, const struct service_state *s), void *userdata)
{
        struct each e = {c, fn, userdata, false};

        return machines_each(c, each_of_machine, &e);
}

/* ---- logs */

char *service_log(const struct cluster *c, const struct machine *m, const char *name)
{
        _cleanup_free_ char *file = mem_printf("log/%s.log", name);

        return machine_path(c, m, file);
}

char *service_tail(const struct cluster *c, const struct machine *m, const char *name, unsigned lines)
{
        _cleanup_free_ char *path = service_log(c, m, name);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END), from = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
        char *text = mem_zalloc((size_t)(end - from) + 1);
        ssize_t n = fd < 0 ? 0 : pread(fd, text, (size_t)(end - from), from);
        char *at = text + MAX(n, (ssize_t)0);

        if (at > text && at[-1] == '\n')
                *--at = '\0';
        while (at > text && (at[-1] != '\n' || --lines))
                at--;
        memmove(text, at, strlen(at) + 1);
        return text;
}

/* ---- names */

struct search {
        const char *name, *machine; /* NULL: of any machine */
        struct machine *ret;
        bool found;
        struct strbuf all;
};

static void offer(struct search *s, const struct machine *m, const char *name)
{
        bool alone = m->role == MACHINE_CONTROL_PLANE && !str_eq(name, "init");

        strbuf_printf(&s->all, "%s%s%s%s", s->all.len ? ", " : "", name, alone ? "" : "@", alone ? "" : m->name);
        if (s->found || !str_eq(s->name, name) || (s->machine ? !str_eq(s->machine, m->name) : !alone))
                return;
        *s->ret = *m;
        s->found = true;
}

static int offer_service(void *userdata, const struct service_state *state)
{
        offer(userdata, &state->machine, state->name);
        return 0;
}

static int offer_init(void *userdata, const struct machine *m)
{
        offer(userdata, m, "init");
        return 0;
}

int service_find(const struct cluster *c, const char *word, struct machine *ret_machine, char *ret_name, size_t size,
                 struct err *reterr)
{
        _cleanup_free_ char *name = mem_strndup(word, strcspn(word, "@"));
        const char *at = strchr(word, '@');
        struct search s = {.name = name, .machine = at ? at + 1 : NULL, .ret = ret_machine};
        struct each e = {c, offer_service, &s, true};
        int r = 0;

        machines_each(c, each_of_machine, &e);
        machines_each(c, offer_init, &s);
        if (s.found)
                str_copy(ret_name, size, name);
        else
                r = err_set(reterr, -ENOENT, "there is no component %s; there are: %s", word, s.all.data);
        strbuf_deinit(&s.all);
        return r;
}
