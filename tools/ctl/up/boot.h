/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a cluster's machines up, and waiting for what runs on them. */
#pragma once

#include "ctl/up/machine.h"
#include "ctl/up/progress.h"

/* What this machine must have: root, programs, kernel features. 0, or negative errno with all that is missing and what
 * to do about it. */
int boot_requirements(const struct cluster *c, struct err *reterr);

/* A port of 127.0.0.1 for the API server: *port, or the first free one when it is 0, which is then in *port. 0 or
 * negative errno. */
int boot_listen(uint16_t *port, int *ret, struct err *reterr);

/* Starts all machines that are off, with listen_fd for the control plane (-1: made when needed). *ret_started: how
 * many. 0 or negative errno. */
int boot_machines(struct cluster *c, const struct hierarchies *h, int listen_fd, size_t *ret_started,
                  struct err *reterr);

/* Waits until the API server answers. 0 or negative errno with the log of what does not run. */
int boot_await_api(const struct cluster *c, struct err *reterr);
/* Waits until all nodes (or one) are Ready. 0 or negative errno that says what is not. */
int boot_await_nodes(const struct cluster *c, unsigned one, struct err *reterr);
