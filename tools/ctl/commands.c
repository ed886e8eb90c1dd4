/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/commands.h"

const struct cli_command *const cli_commands[] = {
        &ctl_up,        &ctl_down,      &ctl_kubeconfig,   &ctl_image_load,   &ctl_shell,
        &ctl_logs,      &ctl_node_add,  &ctl_node_remove,  &ctl_node_kill,    &ctl_node_restart,
        &ctl_node_list, &ctl_status,    &ctl_service_list, &ctl_service_show, &ctl_backend_list,
        &ctl_pod_list,  &ctl_flow_list, &ctl_drops,        &ctl_trace,        &ctl_monitor,
        &ctl_check,     &ctl_pki_init,  &ctl_completion,   &ctl_complete,     &ctl_machine,
        &ctl_relay,     NULL,
};
