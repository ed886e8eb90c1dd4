/* SPDX-License-Identifier: Apache-2.0 */
/* Images, volumes, objects, specs, probes, hooks and Events of a played node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "played/impl.h"

/* ---- calls that are answered later ---- */

struct answer {
        struct answer *next;
        void (*fn)(struct answer *a, bool killed);
        void (*pulled)(void *userdata, enum image_outcome outcome, const struct image *image, const char *message);
        void (*removed)(void *userdata, int result, const char *message);
        void (*hooked)(void *userdata, enum handler_outcome outcome, const char *message);
        void *userdata;
        bool is_hook, is_cancelled;
};

static struct answer *answers;

static struct answer *answer_later(void (*fn)(struct answer *a, bool killed), void *userdata)
{
        struct answer *a = mem_new(struct answer), **last = &answers;

        a->fn = fn;
        a->userdata = userdata;
        while (*last)
                last = &(*last)->next;
        *last = a;
        return a;
}

bool played_rooms_turn(void)
{
        for (struct answer **at = &answers; *at; at = &(*at)->next) {
                struct answer *a = *at;

                if (a->is_hook && played->hold_hooks && !a->is_cancelled)
                        continue;
                *at = a->next;
                if (!a->is_cancelled)
                        a->fn(a, false);
                free(a);
                return true;
        }
        return false;
}

void played_rooms_forget(void)
{
        while (answers) {
                struct answer *a = answers;

                answers = a->next;
                if (!a->is_hook)
                        a->fn(a, true);
                free(a);
        }
}

/* ---- images ---- */

static const char *const digests[] = {"docker.io/library/busybox@sha256:2", NULL};
static const struct image image = {.id = "sha256:1", .digests = digests, .rootfs = "/", .bytes = 1234};

int image_reference(const char *text, char **ret, struct err *reterr)
{
        if (str_empty(text) || strchr(text, ' '))
                return err_set(reterr, -EINVAL, "couldn't parse image name \"%s\": invalid reference format", text);
        *ret = mem_printf(strchr(text, '/') ? "%s" : "docker.io/library/%s:latest", text);
        return 0;
}

const struct image *images_find(const struct images *im, const char *reference)
{
        return played->image_here ? &image : NULL;
}

static void answer_pull(struct answer *a, bool killed)
{
        bool fails = killed || played->pull_fails;

        if (!fails)
                played->image_here = true;
        a->pulled(a->userdata, fails ? IMAGE_REFUSED : IMAGE_PULLED, fails ? NULL : &image, played->pull_fails ?: "");
}

void images_pull(struct images *im, const char *reference, const struct image_credentials *credentials,
                 size_t ncredentials,
                 void (*done)(void *userdata, enum image_outcome outcome, const struct image *image,
                              const char *message),
                 void *userdata)
{
        played->pulls++;
        str_copy(played->pulled_as, sizeof(played->pulled_as), ncredentials ? credentials[0].username : "");
        answer_later(answer_pull, userdata)->pulled = done;
}

void images_on_progress(struct images *im, void (*fn)(void *userdata, const struct image_progress *p), void *userdata)
{
        played->progress = fn;
}

/* ---- volumes and objects ---- */

int volumes_prepare(struct volumes *v, const struct json_object *pod, struct err *reterr)
{
        played->mounts++;
        return played->mount_result ? err_set(reterr, played->mount_result, "%s", played->mount_message) : 0;
}

int volumes_refresh(struct volumes *v, const struct json_object *pod, struct err *reterr)
{
        return volumes_prepare(v, pod, reterr);
}

static void answer_removal(struct answer *a, bool killed)
{
        a->removed(a->userdata, 0, "");
}

void volumes_remove(struct volumes *v, const char *uid, void (*done)(void *userdata, int result, const char *message),
                    void *userdata)
{
        played->volumes_removed++;
        answer_later(answer_removal, userdata)->removed = done;
}

void volumes_each_pod(const struct volumes *v, void (*fn)(void *userdata, const char *uid), void *userdata)
{
}

char *volumes_pod_file(const struct volumes *v, const char *uid, const char *name)
{
        return mem_printf("%s/%s", played->last_words_folder, name);
}

void objects_hold(struct objects *o, const struct json_object *pod)
{
}

void objects_release(struct objects *o, const char *pod_uid)
{
}

int objects_get(const struct objects *o, enum object_kind kind, const char *ns, const char *name,
                struct json_object **ret)
{
        if (!played->docker_secret)
                return -ENOENT;
        *ret = played->docker_secret;
        return 0;
}

/* ---- specs ---- */

const char *spec_unsupported(const struct json_object *pod, struct arena *mem)
{
        return played->unsupported;
}

const char *spec_cgroup(const struct spec *s, struct arena *mem, const char **ret_path,
                        struct container_resources *ret_limits)
{
        return "BestEffort";
}

int spec_sandbox(const struct spec *s, uint32_t attempt, struct arena *mem, struct sandbox_config *ret,
                 struct err *reterr)
{
        *ret = (struct sandbox_config){.ns = json_at_str(s->pod, "metadata.namespace"),
                                       .name = json_at_str(s->pod, "metadata.name"),
                                       .uid = json_at_str(s->pod, "metadata.uid"),
                                       .attempt = attempt};
        return 0;
}

void spec_hash(const struct json_object *container, char ret[static 17])
{
        snprintf(ret, 17, "%.16s", json_get_str(container, "image") ?: "");
}

int spec_container(const struct spec *s, const struct json_object *container, uint32_t attempt, const struct image *i,
                   struct arena *mem, struct container_config *ret, struct err *reterr)
{
        struct runtime_label *label = arena_new(mem, struct runtime_label);
        char *hash = arena_alloc(mem, 17);

        played->configs++;
        if (played->config_fails)
                return err_set(reterr, -EAGAIN, "%s", played->config_fails);
        spec_hash(container, hash);
        *label = (struct runtime_label){"fairlead.dev/hash", hash};
        *ret = (struct container_config){
                .name = json_get_str(container, "name"), .attempt = attempt, .labels = label, .nlabels = 1};
        return 0;
}

/* ---- probes and hooks ---- */

void probes_follow(struct probes *p, struct json_object *pod, const struct runtime_list *there, const char *pod_ip,
                   bool ending)
{
}

void probes_forget(struct probes *p, const char *pod_uid)
{
}

void probes_verdicts(const struct probes *p, const char *pod_uid, const char *container, const char *container_id,
                     struct probe_verdicts *ret)
{
        *ret = (struct probe_verdicts){played->startup, played->liveness, played->readiness, -1, ""};
}

static void answer_hook(struct answer *a, bool killed)
{
        a->hooked(a->userdata, played->hook_fails ? HANDLER_FAILURE : HANDLER_SUCCESS, played->hook_fails ?: "");
}

struct handler_run *handler_start(struct handlers *h, const struct json_object *action,
                                  const struct handler_target *target, uint64_t timeout_ms,
                                  void (*done)(void *userdata, enum handler_outcome outcome, const char *message),
                                  void *userdata)
{
        struct answer *a = answer_later(answer_hook, userdata);

        strbuf_printf(&played->log, "hook; ");
        a->is_hook = true;
        a->hooked = done;
        return (struct handler_run *)a;
}

void handler_cancel(struct handler_run *run)
{
        ((struct answer *)run)->is_cancelled = true;
}

/* ---- Events ---- */

void event_object_of(const struct json_object *o, struct event_object *ret)
{
        *ret = (struct event_object){.name = json_at_str(o, "metadata.name")};
}

void events_record(struct events *ev, const struct event_object *about, bool warning, const char *reason,
                   const char *fmt, ...)
{
        va_list ap;

        strbuf_printf(&played->events, "%s %s ", warning ? "Warning" : "Normal", reason);
        va_start(ap, fmt);
        strbuf_vprintf(&played->events, fmt, ap);
        va_end(ap);
        strbuf_add_char(&played->events, '\n');
}
