/* SPDX-License-Identifier: Apache-2.0 */
/* How much lies below folders, counted by du in a child process: it may take long, and nobody waits. One run at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/kubelet/child.h"
#include "base/strbuf.h"

struct disk;

int disk_new(struct children *children, struct disk **ret);
void disk_free(struct disk *d);
DEFINE_CLEANUP(struct disk *, disk_free)

/* paths: NUL behind each; what is not there is nothing. inodes: counts files instead of bytes. done is called later,
 * once, also when du failed. 0, -EBUSY: a run is under way, or negative errno. */
int disk_scan(struct disk *d, const struct strbuf *paths, bool inodes, void (*done)(void *userdata), void *userdata);
/* Of the last run that ended; 0 for what it did not know. */
uint64_t disk_used(const struct disk *d, const char *path);
/* When the last run ended (monotonic; 0: none did) and how long it took; whether it counted inodes. */
uint64_t disk_scanned_ms(const struct disk *d, uint64_t *ret_took_ms, bool *ret_inodes);
bool disk_is_busy(const struct disk *d);
