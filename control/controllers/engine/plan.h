/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sync wants done. A controller does not write to the API itself: it looks at the cache and plans; the engine
 * carries the plan out, in stages, and does not sync the same key again before the cache shows everything that was
 * written (which is what other controllers have "expectations" for). So a sync is a function of what it sees, and a
 * crash between any two writes is nothing special: the next sync plans what is still missing.
 *
 * All planning functions copy their texts, take over JSON bodies, and may be called with anything from the cache.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "controllers/engine/lister.h"

struct config;
struct plan;

/* How the last plan of this key failed. */
struct failure {
        const struct resource *resource;
        enum step_verb {
                STEP_CREATE,
                STEP_UPDATE,
                STEP_PATCH,
                STEP_DELETE,
                STEP_CONFIRM,
        } verb;
        int code;        /* HTTP; 0: no answer */
        char reason[64]; /* "AlreadyExists", "Forbidden", ... */
        char message[512];
        char name[254]; /* of the object */
};

/* One sync of one key. */
struct sync {
        const char *key, *ns, *name; /* ns "" for what has no namespace */
        const struct lister *lister;
        struct arena *mem; /* freed when the plan has been carried out */
        struct plan *plan;
        const struct failure *failed; /* NULL unless the last plan of this key has failed */
        int64_t now_ms;               /* wall clock */
        uint64_t mono_ms;             /* monotonic clock */
        const struct config *config;
        void *state; /* the controller's own, from its state_new */
};

/* What is told of a step, as Events about an object: "{name}" in a text is the written object's name, "{error}" the
 * server's message. All must be constants. */
struct telling {
        const char *done_reason, *done_text;     /* Normal; NULL: nothing is told */
        const char *failed_reason, *failed_text; /* Warning */
};

struct step;

/* The body needs metadata.name or metadata.generateName; the engine makes the name of the latter, so that an answer
 * that got lost is no second object. apiVersion and kind are filled in. */
struct step *plan_create(struct sync *s, const struct resource *r, struct json_object *body);
/* PUT: the body has name and, to be safe from lost updates, resourceVersion. */
struct step *plan_update(struct sync *s, const struct resource *r, struct json_object *body);
struct step *plan_update_status(struct sync *s, const struct resource *r, struct json_object *body);
/* A JSON merge patch (RFC 7386). sub: "status", "scale" or NULL. It fails with a conflict unless the object is still
 * that one (its UID is put into the patch). */
struct step *plan_patch(struct sync *s, const struct kobj *o, const char *sub, struct json_object *patch);
/* Fails with a conflict unless it has still that UID. What is gone already is a success. */
struct step *plan_delete(struct sync *s, const struct kobj *o);
/* POST to a subresource ("binding", "eviction") of an object. */
struct step *plan_post(struct sync *s, const struct kobj *o, const char *sub, struct json_object *body);

/* DELETE of all of one kind in a namespace. */
struct step *plan_delete_all(struct sync *s, const struct resource *r, const char *ns);
/* Asks the API server itself, because the cache may be behind, and goes on only if there is no such object (or one of
 * that name with another UID; uid NULL: any counts). */
struct step *plan_confirm_absent(struct sync *s, const struct resource *r, const char *ns, const char *name,
                                 const char *uid);
/* The same for all of one kind in a namespace. */
struct step *plan_confirm_none(struct sync *s, const struct resource *r, const char *ns);
/* PUT of a subresource of an object. */
struct step *plan_put(struct sync *s, const struct kobj *o, const char *sub, struct json_object *body);

/* Options of a step. */
void step_tell(struct step *st, const struct kobj *about, const struct telling *t);
/* One, then two, four, ... of the creates of this stage at a time, so that what is refused is not asked 500 times. */
void step_slow_start(struct step *st);
void step_grace(struct step *st, int64_t seconds);               /* of a delete */
void step_propagation(struct step *st, const char *propagation); /* "Background", "Foreground", "Orphan" */
void step_version(struct step *st, const struct kobj *o);        /* patch, delete: only while it is of that version */
/* What is told when it is done is a Warning, too. */
void step_warn(struct step *st);
/* A patch merges lists by their keys (conditions by type) instead of replacing them. */
void step_strategic(struct step *st);
/* Failure of this step alone lets the plan go on and succeed. */
void step_may_fail(struct step *st);

/* What is planned after this waits until all before it has succeeded and is seen in the cache. */
void plan_then(struct sync *s);
/* Sync this key again after that time, whatever happens before. The earliest counts. */
void plan_after(struct sync *s, uint64_t ms);
/* It did not work out (the text says why, for the log): again, with backoff. */
void plan_retry(struct sync *s, const char *fmt, ...) _printf_(2, 3);
void plan_event(struct sync *s, const struct kobj *about, bool warning, const char *reason, const char *fmt, ...)
        _printf_(5, 6);
bool plan_is_empty(const struct sync *s);
