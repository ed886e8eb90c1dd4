/* SPDX-License-Identifier: Apache-2.0 */
/* What speaks to a container that runs: commands in it, who attaches, its log. See runtime.h. */
#pragma once

#include "agent/kubelet/runtime/builtin/impl.h"

void container_exec_sync(void *rt, const char *id, const char *const *argv, uint64_t timeout_ms,
                         void (*done)(void *userdata, int result, const struct exec_result *r), void *userdata);
int container_exec(void *rt, const char *id, const char *const *argv, bool in, bool tty,
                   void (*ended)(void *userdata, int32_t exit_code), void *userdata, struct runtime_streams *ret,
                   struct runtime_session **ret_session);
int container_attach(void *rt, const char *id, bool in, struct runtime_streams *ret,
                     struct runtime_session **ret_session);
void session_resize(struct runtime_session *s, uint16_t columns, uint16_t rows);
void session_end(struct runtime_session *s);
int container_reopen_log(void *rt, const char *id);
int container_usage(void *rt, const char *id, uint64_t *ret_cpu_ns, uint64_t *ret_memory, uint64_t *ret_working_set);
