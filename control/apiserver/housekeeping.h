/* SPDX-License-Identifier: Apache-2.0 */
/* The slower of the server's own tasks; see background.h. */
#pragma once

#include "apiserver/server.h"

struct housekeeping;

struct housekeeping *housekeeping_new(struct server *s);
void housekeeping_free(struct housekeeping *h);
/* Forgets history that is older than the configured time. */
void housekeeping_compact(struct housekeeping *h);
/* Deletes Events that nobody has touched for their time to live. */
void housekeeping_expire_events(struct housekeeping *h);
/* Mends leaked, missing and doubly allocated service addresses and node ports. */
void housekeeping_repair(struct housekeeping *h);
