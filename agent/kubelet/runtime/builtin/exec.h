/* SPDX-License-Identifier: Apache-2.0 */
/* What speaks to a container that runs: commands in it, who attaches, its log. See runtime.h. */
#pragma once

#include "agent/kubelet/runtime/builtin/impl.h"

void container_exec_sync(void *rt, const char *id, const char *const *argv, uint64_t timeout_ms,
                         void (*done)(void *userdata, int result, const struct exec_result *r), void *userdata);
int container_exec(void *rt, const char *id, const struct exec_request *q, struct runtime_session **ret);
int container_attach(void *rt, const char *id, bool in, struct runtime_streams *ret,
                     struct runtime_session **ret_session);
void container_session_resize(struct runtime_session *s, uint16_t columns, uint16_t rows);
void container_session_end(struct runtime_session *s);
int container_reopen_log(void *rt, const char *id);
int container_usage(void *rt, const char *id, uint64_t *ret_cpu_ns, uint64_t *ret_memory, uint64_t *ret_working_set);

/* Paths: where crun writes the command's number; what to run, as OCI's "process"; and to where it sends the master of
 * its terminal (NULL: it has none). */
struct exec_how {
        const char *pid_file, *process, *console;
};

/* A command line that enters the container's groups and runs how->process in it. */
struct words;
void exec_words(const struct container *c, const struct exec_how *how, struct words *w);
/* Writes the file of a command in the container: its user, folder, variables and privileges are those of the
 * container's own process. 0 or negative errno. */
int exec_write_process(const struct container *c, const char *const *argv, bool terminal, const char *path);
/* 0; -ENOENT: no such container runs; -EINVAL: argv (unless NULL) is empty or too long. */
int exec_find(struct builtin *rt, const char *id, const char *const *argv, struct container **ret);
/* A path for exec_how, owned by the caller, who removes the file. */
char *exec_new_pid_file(const struct container *c);
/* Removes a file of exec_how and frees its path; path may be NULL. */
void exec_remove_file(char *path);
void exec_kill(const char *pid_file);
