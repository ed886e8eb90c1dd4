/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the built-in runtime share. */
#pragma once

#include "agent/kubelet/runtime/builtin/builtin.h"
#include "base/arena.h"
#include "base/hashmap.h"
#include "base/json.h"

#define MESSAGE_SIZE 1024

struct builtin {
        struct builtin_opts opts;             /* strings owned */
        struct hashmap sandboxes, containers; /* by id */
        void (*changed)(void *userdata, const char *uid);
        void *changed_userdata;
        struct arena list_mem; /* of the last list */
        uint64_t capabilities;
        struct hashmap seccomp; /* capabilities: RuntimeDefault as crun compiled it, base64 */
        int64_t oom_score_adj_min;
        struct pod_network *network;
        int crun;           /* a sealed copy of the program, or -1 */
        char crun_path[64]; /* of it; "": opts.crun */
};

/* A process that is not our child, or no longer: its end is seen by its pidfd. */
struct witness {
        pid_t pid;
        int fd;
        struct loop_fd *watch;
};

/* Something to be done with a sandbox, in turn. */
struct operation {
        struct operation *next;
        struct sandbox *s;
        struct container *c;      /* or NULL; see operation_find */
        char id[RUNTIME_ID_SIZE]; /* that done is told */
        void (*begin)(struct operation *op);
        runtime_done_fn done;
        void *userdata;
        struct container_resources limits; /* of an update */
        char cpuset[128];
        unsigned int tries;
        struct loop_timer *timer;
        struct erase *erase;     /* the container that is being removed */
        struct failure *failure; /* of a container's making, told when what was made is gone */
};

struct sandbox {
        struct builtin *rt;
        char id[RUNTIME_ID_SIZE];
        struct json_object *record; /* what is on the disk */
        char *folder, *group, *pod_group;
        bool ready;
        struct witness holder;
        struct operation *first, *last; /* first is under way */
        struct container *containers;
        char netns[64];
};

/* Who waits for a container's end. */
struct waiter {
        struct waiter *next;
        runtime_done_fn done;
        void *userdata;
        struct operation *op; /* or an operation that goes on then */
        void (*go_on)(struct operation *op);
};

struct container {
        struct container *next; /* of its sandbox */
        struct sandbox *s;
        char id[RUNTIME_ID_SIZE];
        struct json_object *record;
        char *folder, *group, *rootfs, *state; /* state: folder of what it writes */
        enum container_state now;
        struct witness shim;
        int init; /* pidfd, or -1 */
        int64_t pid;
        struct waiter *waiters;
        struct loop_timer *grace;
        char log_path[512];
        uint64_t seccomp_for; /* RuntimeDefault of these capabilities, which nobody has compiled yet; 0: not that */
};

/* operation.c */
struct operation *operation_new(struct sandbox *s, struct container *c, void (*begin)(struct operation *op),
                                runtime_done_fn done, void *userdata);
void operation_queue(struct operation *op);
/* To be asked when a container's operation begins: looks its container up again, which one that stood before it may
 * have removed. */
bool operation_find(struct operation *op);
/* Tells, takes it off, begins the next one. The sandbox may be gone afterwards when keep is false. */
void operation_end(struct operation *op, int result, const char *message);
/* Tells of a call that came to nothing, later. */
void tell_later(struct builtin *rt, runtime_done_fn done, void *userdata, int result, const char *id,
                const char *message);
int operation_child(struct operation *op, const char *const *argv, int lock, child_done_fn done);
int operation_again(struct operation *op, uint64_t ms, void (*fn)(void *userdata));

/* witness.c */
int witness_watch(struct builtin *rt, struct witness *w, pid_t pid, void (*ended)(void *userdata, unsigned int events),
                  void *userdata);
void witness_forget(struct witness *w);
bool witness_alive(const struct witness *w);
int witness_kill(const struct witness *w, int signo);
/* A lock that its holder's descendants keep. Descriptor, or -EWOULDBLOCK: somebody has it. */
int lock_hold(const char *folder);
bool lock_is_held(const char *folder);
/* KILL to all who have the lock as descriptor 3, as children have it that inherited it. */
void lock_kill_holders(const char *folder);

/* record.c: replaced as a whole. */
int record_save(const char *folder, struct json_object *record, struct err *reterr);
int record_load(const char *folder, struct json_object **ret, struct err *reterr);
struct json_object *sandbox_record(const char *id, const struct sandbox_config *c);
struct json_object *container_record(const char *id, const struct container_config *c);
/* Whether all that others rely on is there: a record may be damaged, or of another version. */
bool record_is_sandbox(const struct json_object *record, const char *id);
bool record_is_container(const struct json_object *record, const char *id);
void new_id(char ret[static RUNTIME_ID_SIZE]);

/* sandbox.c */
struct sandbox *sandbox_new(struct builtin *rt, const char *id, struct json_object *record);
void sandbox_free(struct sandbox *s);
void sandbox_watch(struct sandbox *s, pid_t holder);
int64_t sandbox_number(const struct sandbox *s, const char *key);
void sandbox_run(void *rt, const struct sandbox_config *c, runtime_done_fn done, void *userdata);
void sandbox_stop(void *rt, const char *id, runtime_done_fn done, void *userdata);
void sandbox_remove(void *rt, const char *id, runtime_done_fn done, void *userdata);

/* sealed.c: a copy of a program in memory that nobody can change. Descriptor, and its path for others; or negative
 * errno. */
int sealed_copy(const char *program, char *ret_path, size_t size);

/* container.c */
struct container *container_new(struct sandbox *s, const char *id, struct json_object *record);
void container_free(struct container *c);
void container_watch(struct container *c, pid_t shim);
/* Reads what the shim left; tells waiters. */
void container_ended(struct container *c);
/* Calls go_on when it has ended (at once when it has). */
void container_after_end(struct container *c, struct operation *op, void (*go_on)(struct operation *op));
void container_kill(struct container *c);
/* Removes the container's things, step by step; calls removed at the end. */
void container_erase(struct operation *op, struct container *c, void (*removed)(struct operation *op, int result));
struct words;
/* crun and its options before the verb. */
void crun_words(const struct builtin *rt, struct words *w);
const char *crun_root(const struct builtin *rt, char *buf, size_t size);
void container_create(void *rt, const char *sandbox, const struct container_config *c, runtime_done_fn done,
                      void *userdata);
void container_start(void *rt, const char *id, runtime_done_fn done, void *userdata);
void container_stop(void *rt, const char *id, int signal, uint64_t grace_ms, runtime_done_fn done, void *userdata);
void container_remove(void *rt, const char *id, runtime_done_fn done, void *userdata);
void container_update(void *rt, const char *id, const struct container_resources *r, runtime_done_fn done,
                      void *userdata);
