/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test program of the embedded store. */
#pragma once

#include "store/sqlite/sqlite.h"
#include "unit/store/suite.h"

void help_init(void);
void help_deinit(void);
/* The folder's name + "/" + name; static, valid until the fourth call after. */
const char *help_path(const char *name);
/* The database of the tests: "db" in the folder. */
struct store *help_open(void);
int help_try_open(struct store **ret, struct err *reterr);
/* Empties the folder. */
void help_reset(void);
