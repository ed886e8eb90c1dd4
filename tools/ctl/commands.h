/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of fairctl. argv[0] is the command's own name; the result is the exit status (2: wrong usage). */
#pragma once

int ctl_backend(int argc, char **argv);
int ctl_drops(int argc, char **argv);
int ctl_flow(int argc, char **argv);
int ctl_pki(int argc, char **argv);
int ctl_service(int argc, char **argv);
int ctl_status(int argc, char **argv);
