/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a container: here already, or pulled, by its policy. */
#include <errno.h>

#include "agent/kubelet/pods/duration.h"
#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

/* ImagePullBackOff takes the place of the error after this part of the wait. */
#define SOFTEN_PART 10

static const char *image_of(const struct task *t)
{
        return json_get_str(task_spec(t, NULL), "image") ?: "";
}

static void refuse(struct task *t, const char *reason, const char *message)
{
        task_error(t, reason, message, reason, t->w->pods->limits.initial_ms);
}

static void pull_failed(struct task *t, enum image_outcome outcome, const char *why)
{
        uint64_t now = clock_mono_ms();
        _cleanup_free_ char *message = NULL;
        const char *reason = outcome == IMAGE_UNAVAILABLE ? "RegistryUnavailable" : "ErrImagePull";

        task_event(t, true, "Failed", "Failed to pull image \"%s\": %s", image_of(t), why);
        if (outcome == IMAGE_UNAVAILABLE)
                message = mem_printf("image pull failed for %s because the registry is unavailable: %s", image_of(t),
                                     why);
        backoff_next(&t->pull, &t->w->pods->limits, now);
        task_error(t, reason, message ?: why, reason, t->pull.delay_ms);
        t->soften_ms = now + t->pull.delay_ms / SOFTEN_PART + 1;
}

static void pulled(void *ticket, enum image_outcome outcome, const struct image *image, const char *message)
{
        char text[DURATION_TEXT_SIZE];
        struct task *t;
        struct worker *w = ticket_use(ticket, &t);

        if (!w)
                return;
        t->stage = STAGE_IDLE;
        worker_wake(w);
        if (outcome != IMAGE_PULLED) {
                pull_failed(t, outcome, message);
                return;
        }
        duration_text(clock_mono_ms() - t->pull_began_ms, text);
        task_event(t, false, "Pulled",
                   "Successfully pulled image \"%s\" in %s (%s including waiting). Image size: %llu bytes.",
                   image_of(t), text, text, (unsigned long long)image->bytes);
        t->pull = (struct backoff){0};
        if (w->sandbox[0] && !worker_is_ending(w))
                task_create(t);
}

static void pull(struct task *t, const char *reference)
{
        const struct pods_opts *o = &t->w->pods->opts;
        struct image_credentials *credentials = NULL;
        struct arena mem = ARENA_NULL;
        const char *missing = NULL;
        size_t n = 0;

        if (pull_secrets(o->objects, t->w->pod, reference, &mem, &credentials, &n, &missing) != -EAGAIN) {
                if (missing)
                        worker_event(
                                t->w, true, "FailedToRetrieveImagePullSecret",
                                "Unable to retrieve some image pull secrets (%s); attempting to pull the image may "
                                "not succeed.",
                                missing);
                task_event(t, false, "Pulling", "Pulling image \"%s\"", image_of(t));
                t->stage = STAGE_PULL;
                t->pull_began_ms = clock_mono_ms();
                images_pull(o->images, image_of(t), credentials, n, pulled, ticket_new(t->w, t, &t->ticket));
        }
        arena_deinit(&mem);
}

/* Not again when only the configuration was waited for. */
static void tell_present(struct task *t)
{
        if (t->told_present == t->attempt + 1)
                return;
        t->told_present = t->attempt + 1;
        task_event(t, false, "Pulled", "Container image \"%s\" already present on machine", image_of(t));
}

void task_pull(struct task *t)
{
        const char *text = image_of(t), *policy = json_get_str(task_spec(t, NULL), "imagePullPolicy");
        _cleanup_free_ char *reference = NULL, *message = NULL;
        struct err err = ERR_NULL;
        bool here;

        if (image_reference(text, &reference, &err)) {
                message = mem_printf("Failed to apply default image tag \"%s\": %s", text, err.msg);
                task_event(t, true, "InspectFailed", "%s", message);
                refuse(t, "InvalidImageName", message);
                return;
        }
        here = images_find(t->w->pods->opts.images, text) != NULL;
        if (here && !str_eq(policy, "Always")) {
                tell_present(t);
                task_create(t);
        } else if (str_eq(policy, "Never")) {
                message = mem_printf("Container image \"%s\" is not present with pull policy of Never", text);
                task_event(t, true, "ErrImageNeverPull", "%s", message);
                refuse(t, "ErrImageNeverPull", message);
        } else {
                pull(t, reference);
        }
}

/* ---- while it takes long ---- */

static void tell_progress(const struct task *t, const struct image_progress *progress)
{
        char took[DURATION_TEXT_SIZE];
        const unsigned int mib = 20;

        duration_text(progress->seconds * 1000, took);
        if (progress->total)
                task_event(t, false, "Pulling", "Pulling image \"%s\": %s, %llu of %llu MiB after %s", image_of(t),
                           progress->doing, (unsigned long long)(progress->bytes >> mib),
                           (unsigned long long)(progress->total >> mib), took);
        else
                task_event(t, false, "Pulling", "Pulling image \"%s\": %s after %s", image_of(t), progress->doing,
                           took);
}

static bool waits_for(const struct task *t, const char *reference)
{
        _cleanup_free_ char *own = NULL;

        return t->stage == STAGE_PULL && !image_reference(image_of(t), &own, NULL) && str_eq(own, reference);
}

void pull_progress(void *pods, const struct image_progress *progress)
{
        struct pods *p = pods;

        hashmap_foreach (&p->workers, slot) {
                struct worker *w = slot->value;

                for (size_t i = 0; i < w->ntasks; i++)
                        if (waits_for(w->tasks[i], progress->reference))
                                tell_progress(w->tasks[i], progress);
        }
}
