/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that is only played, for tests of the kubelet's pods: the runtime, images, volumes, probes, hooks, Events and
 * the API, behind the same functions as the real ones (this file takes their place when a test is linked). What is
 * asked of it is carried out when the loop turns, unless it is held; the test can make anything fail, lose answers,
 * keep the API away, and forget the kubelet's calls as kill -9 does. One at a time.
 */
#pragma once

#include "agent/kubelet/pods/pods.h"
#include "base/strbuf.h"

struct played_box {
        char id[RUNTIME_ID_SIZE], uid[64], ns[64], name[64];
        uint32_t attempt;
        bool ready;
        int64_t created_ns;
};

struct played_container {
        char id[RUNTIME_ID_SIZE], sandbox[RUNTIME_ID_SIZE], name[64], uid[64], hash[17];
        uint32_t attempt;
        enum container_state state;
        int64_t created_ns, started_ns, finished_ns;
        int32_t exit_code;
        bool oom_killed;
};

/* What comes when the same is asked the next time(s). */
struct played_fault {
        const char *op; /* "sandbox_run", "container_start", ...; NULL: none */
        const char *message;
        int times;
};

struct played {
        struct loop *loop;
        struct runtime runtime;
        struct pods *pods;
        struct strbuf log;    /* "run 0; create app/0; start app/0; " */
        struct strbuf events; /* "Normal Started Started container app\n" */
        struct strbuf told;   /* phases that the API was told: "Pending Running " */
        const char *broken;   /* an invariant that did not hold; NULL: all did */
        bool stubborn;        /* containers do not heed their stop signal */
        bool hold;            /* answers wait for played_release */

        struct played_box boxes[256];
        size_t nboxes;
        struct played_container containers[512];
        size_t ncontainers;
        struct played_fault fault;

        bool image_here;        /* of every image; else pulls bring it */
        const char *pull_fails; /* message; NULL: it does not */
        unsigned int pulls;
        void (*progress)(void *pods, const struct image_progress *p);
        int mount_result; /* of volumes_prepare */
        const char *mount_message;
        unsigned int mounts, volumes_removed;
        enum verdict startup, liveness, readiness;
        const char *hook_fails; /* message */
        bool hold_hooks;
        const char *config_fails; /* spec_container */
        unsigned int configs;     /* how often that was asked */
        const char *unsupported;
        char last_words_folder[64];
        int64_t last_grace_ms; /* of the last container_stop */
        int last_signal;
        struct json_object *docker_secret; /* every Secret; NULL: there is none */
        char pulled_as[64];

        int conflicts;                            /* so many calls are answered with 409 */
        bool api_away, lose_answers, api_forgets; /* forgets: 404 */
        struct json_object *api[128];             /* pods in the API */
        size_t napi;
        uint64_t version;
        unsigned int patches, deletes;
};

extern struct played *played;

void played_open(struct played *p);
void played_close(struct played *p);
/* Makes the pods' room on the node; again after played_kill. */
void played_start(void);
void played_start_with(int (*admit)(void *userdata, const struct json_object *pod, char reason[static 64],
                                    struct err *reterr));
/* kill -9 of the kubelet: what was under way happens or not (fate), and nobody hears of it. */
void played_kill(bool fate);
/* The kubelet starts again: sources tell what they have. */
void played_restart(void);

/* One answer at most. */
void played_turn(void);
/* Turns the loop until nothing happens any more. */
void played_settle(void);
void played_release(void);
/* Turns the loop for that long. */
void played_wait(uint64_t ms);

/* A pod in the API, from text; its uid is its name. The kubelet hears of it. */
void played_add(const char *json);
struct json_object *played_pod(const char *name);
/* As kubectl delete does. */
void played_delete(const char *name, int64_t grace_s);
/* Without a word, as --force does. */
void played_force_delete(const char *name);
void played_change(const char *name, const char *path, struct json_object *val);

struct played_container *played_find(const char *pod, const char *name);
/* A container ends by itself. */
void played_exit(const char *pod, const char *name, int32_t code);
void played_break_sandbox(const char *pod);
unsigned int played_living(const char *pod, const char *name);
/* A field of the status that the API has. */
const char *played_status(const char *pod, const char *path);
const struct json_object *played_container_status(const char *pod, const char *name);
