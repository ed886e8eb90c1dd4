/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a machine, `fairctl __machine FOLDER`: it mounts the machine's own file systems, brings its
 * network up, starts its programs and starts them again when they end. It is pid 1 of its namespace: its death ends
 * everything in it at once.
 *
 * FOLDER/machine.json:
 *     name, programs (folder), network (lines for `ip -batch`), device (whose checksums are not offloaded; or absent),
 *     files ({path below /etc: text}), services ([{name, argv, socket, after
 *     (the IP address of the API server, that must accept connections before)}])
 * FOLDER/status.json, whenever it changes:
 *     services ([{name, pid (inside), starts, last (how it ended, or absent)}])
 */
#pragma once

#include "base/err.h"
#include "base/json.h"

/* Its descriptors. */
enum {
        INIT_TALK = 3,   /* a byte comes when its cable is laid; it answers "ok" or what is wrong */
        INIT_LISTEN = 4, /* a listening socket, or /dev/null; services with `socket` get it as descriptor 3 */
        INIT_LOCK = 5,   /* held as long as it lives */
};

/* The file systems that a machine sees: the host's, read-only, with /etc, /var, /run, /tmp, /sys, /proc and /opt of its
 * own. *ret_home: a descriptor of FOLDER that can be written through. 0 or negative errno. */
int init_mount(const char *folder, const struct json_object *spec, int *ret_home, struct err *reterr);

/* Starts the services, says "ok" to talk, and looks after them until SIGTERM. 0 or negative errno. */
int init_supervise(const struct json_object *spec, int home, int talk, struct err *reterr);
