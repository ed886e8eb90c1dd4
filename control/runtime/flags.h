/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of process.c: command lines by tables. */
#pragma once

#include "runtime/process.h"

enum { FLAGS_EXIT = 1 };

/* Defaults first, then --name=value or --name value; a bool may stand alone. 0, FLAGS_EXIT after --help or --version,
 * or -EINVAL with what would be right. */
int process_flags_parse(const struct process_program *program, const struct process_flag *common, size_t ncommon,
                        void *common_config, int argc, char **argv, struct err *reterr);
