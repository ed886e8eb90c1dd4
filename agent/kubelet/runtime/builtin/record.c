/* SPDX-License-Identifier: Apache-2.0 */
/* Records of sandboxes, containers and attachments: JSON, replaced as a whole before what they tell of happens. They
 * are there for who comes after kill -9; a power cut takes along what they tell of. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define RECORD_MAX (4 * 1024 * 1024)

void new_id(char ret[static RUNTIME_ID_SIZE])
{
        unsigned char b[(RUNTIME_ID_SIZE - 1) / 2];

        random_bytes(b, sizeof(b));
        for (size_t i = 0; i < sizeof(b); i++)
                snprintf(ret + 2 * i, 3, "%02x", b[i]);
}

int record_save(const char *folder, struct json_object *record, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/record.json", folder);
        _cleanup_free_ char *text = json_text(record);

        return file_replace(path, text, strlen(text), 0600, reterr);
}

int record_load(const char *folder, struct json_object **ret, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/record.json", folder), *text = NULL;
        size_t n;
        int r = file_read(path, RECORD_MAX, &text, &n, reterr);

        if (!r)
                r = json_parse(text, n, ret, reterr);
        if (!r && !json_is_object(*ret)) {
                json_object_put(*ret);
                return err_set(reterr, -EINVAL, "%s is no JSON object", path);
        }
        return r;
}

static struct json_object *pairs(const struct runtime_label *list, size_t n)
{
        struct json_object *o = json_object_new_object();

        for (size_t i = 0; i < n; i++)
                json_set_str(o, list[i].key, list[i].value);
        return o;
}

static struct json_object *ports(const struct sandbox_config *c)
{
        struct json_object *a = json_object_new_array();

        for (size_t i = 0; i < c->nports; i++) {
                struct json_object *o = json_object_new_object();

                json_set_i64(o, "hostPort", c->ports[i].host_port);
                json_set_i64(o, "containerPort", c->ports[i].container_port);
                json_set_str(o, "protocol", c->ports[i].protocol);
                if (c->ports[i].host_ip)
                        json_set_str(o, "hostIP", c->ports[i].host_ip);
                json_object_array_add(a, o);
        }
        return a;
}

static bool is_limited(const struct container_resources *r)
{
        return r->cpu_shares > 0 || r->cpu_quota_us > 0 || r->memory_bytes > 0 || r->pids > 0 || r->cpuset;
}

struct json_object *sandbox_record(const char *id, const struct sandbox_config *c)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "id", id);
        json_set_str(o, "uid", c->uid);
        json_set_str(o, "namespace", c->ns);
        json_set_str(o, "name", c->name);
        json_set_i64(o, "attempt", c->attempt);
        json_set_i64(o, "created", clock_wall_ns());
        json_set_bool(o, "ready", false);
        json_set_str(o, "hostname", c->hostname ?: "");
        json_set_str(o, "logFolder", c->log_folder);
        json_set_str(o, "cgroup", c->cgroup);
        json_set_bool(o, "limited", is_limited(&c->resources));
        json_set_i64(o, "network", c->network);
        json_set_i64(o, "pid", c->pid);
        json_set_i64(o, "ipc", c->ipc);
        json_set(o, "ports", ports(c));
        json_set(o, "sysctls", pairs(c->sysctls, c->nsysctls));
        json_set(o, "labels", pairs(c->labels, c->nlabels));
        json_set(o, "annotations", pairs(c->annotations, c->nannotations));
        json_set_i64(o, "ingressBits", (int64_t)c->ingress_bits);
        json_set_i64(o, "egressBits", (int64_t)c->egress_bits);
        return o;
}

struct json_object *container_record(const char *id, const struct container_config *c)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "id", id);
        json_set_str(o, "name", c->name);
        json_set_i64(o, "attempt", c->attempt);
        json_set_str(o, "image", c->image ?: "");
        json_set_str(o, "imageId", c->image_id);
        json_set_i64(o, "created", clock_wall_ns());
        json_set_str(o, "logPath", c->log_path ?: "");
        json_set_i64(o, "stopSignal", c->stop_signal);
        json_set_i64(o, "oomScoreAdj", c->resources.oom_score_adj);
        json_set_bool(o, "tty", c->tty);
        json_set_bool(o, "stdin", c->stdin);
        json_set_bool(o, "stdinOnce", c->stdin_once);
        json_set(o, "labels", pairs(c->labels, c->nlabels));
        json_set(o, "annotations", pairs(c->annotations, c->nannotations));
        return o;
}

static bool has_texts(const struct json_object *record, const char *const *keys)
{
        for (; *keys; keys++)
                if (!json_get_str(record, *keys))
                        return false;
        return true;
}

bool record_is_sandbox(const struct json_object *record, const char *id)
{
        static const char *const keys[] = {"uid", "namespace", "name", "cgroup", "logFolder", "hostname", NULL};

        return str_eq(json_get_str(record, "id"), id) && has_texts(record, keys);
}

bool record_is_container(const struct json_object *record, const char *id)
{
        static const char *const keys[] = {"name", "imageId", "logPath", NULL};

        return str_eq(json_get_str(record, "id"), id) && has_texts(record, keys);
}
