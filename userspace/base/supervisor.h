/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells systemd (Type=notify), or whoever else set NOTIFY_SOCKET, how the program is: sd_notify(3) without the library.
 * state: "READY=1", "STOPPING=1", ... Nothing happens where nobody asked. */
void supervisor_notify(const char *state);
