/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that the kubelet finds at its start. The input is a sandbox's record, a NUL, a container's. Nothing crashes;
 * whatever is taken for a record can be listed, with texts where others count on them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct runtime runtime;
static char folder[] = "/tmp/fl-record-fuzz-XXXXXX";

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void drop_folder(void)
{
        _cleanup_free_ char *command = mem_printf("rm -rf %s", folder);

        if (system(command)) /* NOLINT(cert-env33-c) a folder of our own */
                _exit(1);
}

static void begin(void)
{
        static const struct cgroups none = {.v2 = "/nowhere"};
        struct builtin_opts o = {.cgroups = &none, .run_folder = folder, .state_folder = folder, .shim = "/bin/true"};

        require(mkdtemp(folder) != NULL);
        atexit(drop_folder);
        o.crun = o.shim;
        require(loop_new(&o.loop) == 0 && children_new(o.loop, &o.children) == 0);
        require(builtin_new(&o, &runtime, NULL) == 0);
}

static void list(void)
{
        struct runtime_list l;

        runtime.ops->list(runtime.rt, NULL, &l);
        for (size_t i = 0; i < l.nsandboxes; i++) {
                const struct sandbox_status *s = &l.sandboxes[i];

                require(s->uid && s->ns && s->name && s->netns && s->ips);
                for (const char *const *ip = s->ips; *ip; ip++)
                        require(strlen(*ip) < 100000);
        }
        for (size_t i = 0; i < l.ncontainers; i++) {
                const struct container_status *c = &l.containers[i];

                require(c->name && c->image && c->image_id && c->log_path && c->hash);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *)data, *nul = memchr(text, '\0', size);
        struct json_object *pod = NULL, *app = NULL;
        struct sandbox *s;

        if (!runtime.rt)
                begin();
        if (json_parse(text, nul ? (size_t)(nul - text) : size, &pod, NULL) || !record_is_sandbox(pod, "s")) {
                json_object_put(pod);
                return 0;
        }
        s = sandbox_new(runtime.rt, "s", pod);
        if (nul && json_parse(nul + 1, size - (size_t)(nul + 1 - text), &app, NULL) == 0 &&
            record_is_container(app, "c"))
                container_new(s, "c", TAKE_PTR(app));
        json_object_put(app);
        list();
        sandbox_free(s);
        return 0;
}
