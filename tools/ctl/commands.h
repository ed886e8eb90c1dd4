/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of fairctl: a file each, listed in commands.c. */
#pragma once

#include "ctl/cli.h"

extern const struct cli_command ctl_backend_list, ctl_check, ctl_complete, ctl_completion, ctl_down, ctl_drops,
        ctl_flow_list, ctl_image_load, ctl_kubeconfig, ctl_logs, ctl_machine, ctl_monitor, ctl_node_add, ctl_node_kill,
        ctl_node_list, ctl_node_remove, ctl_node_restart, ctl_pki_init, ctl_pod_list, ctl_relay, ctl_service_list,
        ctl_service_show, ctl_shell, ctl_status, ctl_trace, ctl_up;
