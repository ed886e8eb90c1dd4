/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/images/outcome.h"
#include "agent/kubelet/images/pull.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static void free_credentials(struct pull *p)
{
        for (size_t i = 0; i < p->ncredentials; i++) {
                char *secret = (char *)p->credentials[i].password;

                explicit_bzero(secret, strlen(secret));
                free(secret);
                free((char *)p->credentials[i].username);
        }
        free(p->credentials);
}

static void pull_free(struct pull *p)
{
        while (p->waiters) {
                struct waiter *w = p->waiters;

                p->waiters = w->next;
                free(w);
        }
        free_credentials(p);
        loop_timer_free(p->timer);
        layout_deinit(&p->layout);
        reference_deinit(&p->ref);
        free(p->source);
        free(p->load_entry);
        free(p->work);
        free(p->digest);
        free(p);
}

static void unlink_pull(struct pull *p)
{
        struct pull **at = &p->im->pulls;

        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        p->im->running -= p->running;
}

/* Of one name one at a time: the next one finds what the first has brought. */
static bool is_running(const struct images *im, const char *reference)
{
        for (const struct pull *p = im->pulls; p; p = p->next)
                if (p->running && str_eq(p->ref.text, reference))
                        return true;
        return false;
}

/* The oldest that waits may begin when one has ended. From the loop, so that nobody is called from within his call. */
static void begin_waiting(struct images *im)
{
        for (struct pull *p = im->pulls; p && im->running < im->parallel_pulls; p = p->next)
                if (!p->running && !is_running(im, p->ref.text)) {
                        p->running = true;
                        im->running++;
                        loop_timer_set(p->timer, 0);
                }
}

static void add_waiter(struct pull *p, image_done_fn done, void *userdata)
{
        struct waiter **at = &p->waiters, *w = mem_new(struct waiter);

        *w = (struct waiter){NULL, done, userdata};
        while (*at)
                at = &(*at)->next;
        *at = w;
}

static void on_timer(void *userdata)
{
        struct pull *p = userdata;

        if (p->child)
                program_watch(p);
        else if (p->is_failed)
                pull_finish(p, p->refused, NULL, p->message);
        else
                step_begin(p);
}

static struct pull *pull_new(struct images *im)
{
        struct pull *p = mem_new(struct pull), **at = &im->pulls;

        p->im = im;
        p->asked_ms = p->told_ms = clock_mono_ms();
        p->doing = "waiting";
        if (loop_timer_new(im->loop, on_timer, p, &p->timer)) {
                free(p);
                return NULL;
        }
        while (*at)
                at = &(*at)->next;
        *at = p;
        return p;
}

static char *or_empty(const char *s)
{
        return mem_strdup(s ?: "");
}

static void copy_credentials(struct pull *p, const struct image_credentials *c, size_t n)
{
        p->credentials = n ? mem_array(struct image_credentials, n) : NULL;
        p->ncredentials = n;
        for (size_t i = 0; i < n; i++)
                p->credentials[i] = (struct image_credentials){or_empty(c[i].username), or_empty(c[i].password)};
}

static void set_local(struct pull *p, const char *source)
{
        p->source = mem_strdup(source);
        p->source_is_local = true;
}

/* Ends as soon as the loop comes to it. */
static void fail_soon(struct pull *p, enum image_outcome outcome, const char *message)
{
        p->refused = outcome;
        str_copy(p->message, sizeof(p->message), message);
        p->is_failed = true;
        p->running = true;
        p->im->running++;
        loop_timer_set(p->timer, 0);
}

static bool has_credentials(const struct pull *p, const struct image_credentials *c, size_t n)
{
        for (size_t i = 0; i < n && n == p->ncredentials; i++)
                if (!str_eq(p->credentials[i].username, c[i].username ?: "") ||
                    !str_eq(p->credentials[i].password, c[i].password ?: ""))
                        return false;
        return n == p->ncredentials;
}

/* Who has other credentials than the pull under way shall not get what they brought: the registry is asked again. */
static struct pull *find(const struct images *im, const struct reference *ref, const struct image_credentials *c,
                         size_t n)
{
        for (struct pull *p = im->pulls; p; p = p->next)
                if (str_eq(p->ref.text, ref->text) && !p->is_failed && (p->source_is_local || has_credentials(p, c, n)))
                        return p;
        return NULL;
}

/* Below the folder that images on the disk may lie in, as the path is written: what it links to is the owner's. */
static bool is_allowed(const struct images *im, const char *path)
{
        size_t n = im->disk_folder ? strlen(im->disk_folder) : 0;

        while (n && im->disk_folder[n - 1] == '/')
                n--;
        return im->disk_folder && strncmp(path, im->disk_folder, n) == 0 && path[n] == '/';
}

void images_pull(struct images *im, const char *reference, const struct image_credentials *credentials,
                 size_t ncredentials, image_done_fn done, void *userdata)
{
        struct reference ref = {0};
        struct err err = ERR_NULL;
        int e = reference_parse(reference, &ref, &err);
        struct pull *p = e ? NULL : find(im, &ref, credentials, ncredentials);
        bool joins = p;

        p = p ?: pull_new(im);
        if (!p) {
                reference_deinit(&ref);
                done(userdata, IMAGE_REFUSED, NULL, "no timer can be had");
                return;
        }
        add_waiter(p, done, userdata);
        if (joins) {
                reference_deinit(&ref);
                return;
        }
        p->ref = ref;
        copy_credentials(p, credentials, ncredentials);
        if (e)
                fail_soon(p, IMAGE_INVALID_NAME, err.msg);
        else if (ref.path && !is_allowed(im, ref.path))
                fail_soon(p, IMAGE_REFUSED, "images on the node's disk may not be named by pods (--image-disk-folder)");
        else if (ref.path)
                set_local(p, ref.text);
        begin_waiting(im);
}

void images_forget(struct images *im, void *userdata)
{
        for (struct pull *p = im->pulls; p; p = p->next)
                for (struct waiter *w = p->waiters; w; w = w->next)
                        if (w->userdata == userdata)
                                w->done = NULL;
}

/* A name that is being pulled already is pulled to its end first: who comes later has the name. */
void pull_load(struct images *im, const char *source, const char *reference, char *load_entry, uint64_t inode,
               image_done_fn done, void *userdata)
{
        struct pull *p = pull_new(im);
        struct reference from = {0};
        struct err err = ERR_NULL;
        int e;

        if (!p) {
                free(load_entry);
                done(userdata, IMAGE_REFUSED, NULL, "no timer can be had");
                return;
        }
        add_waiter(p, done, userdata);
        p->load_entry = load_entry;
        p->load_inode = inode;
        set_local(p, source);
        e = reference_parse(reference, &p->ref, &err);
        if (!e && (p->ref.path || p->ref.digest))
                e = err_set(&err, -EINVAL, "%s: a name with a tag is expected, as \"docker.io/library/demo:1\"",
                            reference);
        if (!e && (reference_parse(source, &from, &err) || !from.path))
                e = err_set(&err, -EINVAL, "%.200s: a source on the disk is expected, as \"oci:/folder:tag\"", source);
        reference_deinit(&from);
        if (e)
                fail_soon(p, IMAGE_INVALID_NAME, err.msg);
        begin_waiting(im);
}

void images_load(struct images *im, const char *source, const char *reference, image_done_fn done, void *userdata)
{
        pull_load(im, source, reference, NULL, 0, done, userdata);
}

void images_on_progress(struct images *im, void (*fn)(void *userdata, const struct image_progress *p), void *userdata)
{
        im->progress = fn;
        im->progress_userdata = userdata;
}

/* Blobs of a broken image would only break it again; of what did not fit, nothing is kept. */
static void clean_up(struct pull *p, enum image_outcome outcome)
{
        struct images *im = p->im;

        if (p->work)
                store_trash(im, p->work);
        if (im->running)
                return;
        for (size_t i = 0; outcome == IMAGE_BROKEN && i < p->layout.nblobs; i++)
                store_drop_blob(im, p->layout.blobs[i].digest);
        if (outcome == IMAGE_BROKEN || outcome == IMAGE_NO_SPACE)
                store_sweep_blobs(im);
}

void pull_finish(struct pull *p, enum image_outcome outcome, const struct image *image, const char *said)
{
        struct images *im = p->im;
        char message[sizeof(p->message)];

        str_copy(message, sizeof(message), said);
        outcome_clean(message);
        unlink_pull(p);
        clean_up(p, outcome);
        if (p->load_entry)
                load_done(p, outcome == IMAGE_PULLED ? NULL : message);
        for (struct waiter *w = p->waiters; w; w = w->next)
                if (w->done)
                        w->done(w->userdata, outcome, image, message);
        begin_waiting(im);
        pull_free(p);
}

void pulls_free(struct images *im)
{
        while (im->pulls) {
                struct pull *p = im->pulls;

                im->pulls = p->next;
                if (p->child) {
                        child_kill(p->child);
                        child_forget(p->child);
                }
                if (p->work)
                        store_trash(im, p->work);
                pull_free(p);
        }
}
