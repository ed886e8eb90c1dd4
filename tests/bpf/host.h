/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for the loader's tests: network and mount namespace of its own, a folder for pins, a sub-cgroup, and two veth
 * pairs (pod0 and nic0 on the host's side, with pod0_in and nic0_out) in which nothing is sent but by the test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/maps.h"
#include "datapath/object.h"

extern char host_folder[128], host_pins[160], host_cgroup[512], host_cgroup2[512];

/* Once, in the test's process. Exits, with a message, when that fails. */
void host_enter(void);
void host_leave(void);
/* Both pairs are made again, with the same indices; all that was attached to them is gone with them. */
void host_new_devices(void);
uint32_t host_pod(void);
uint32_t host_nic(void);
/* Runs a command line by the shell; its exit code. */
int host_run(const char *fmt, ...) _printf_(1, 2);

/* Sends n frames into pod0_in, which from_pod sees: the number that was really sent. */
uint32_t host_send(uint32_t n);
/* Sends frames until the flag is cleared. */
uint32_t host_send_while(const volatile bool *going);
/* Frames that a hook has counted, whatever became of them. */
uint64_t host_counted(struct maps *maps, enum hook hook);

/* Entries of a folder, links and maps and all, that match a shell pattern. */
int host_count_pins(const char *pattern);
/* Programs that the kernel has at the cgroup, or at a device: by TCX, as filters of ours (clsact), and by XDP. */
uint32_t host_programs_at_cgroup(const char *path);
uint32_t host_programs_at_device(uint32_t ifindex);
/* The first of these alone. */
uint32_t host_tcx_at_device(uint32_t ifindex);
/* False before Linux 6.6: the agent falls back to clsact. */
bool host_has_tcx(void);
/* What the links' folder holds for pod0 and nic0: their five programs, and without TCX what tells whose the qdiscs are.
 */
int host_device_pins(void);
