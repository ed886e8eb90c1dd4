/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/config_setting.h"
#include "base/help.h"
#include "base/str.h"

#define INDENT 34

static const char introduction[] =
        "fairlead-agent " FAIRLEAD_VERSION ": services and pod networking of one Kubernetes node, in the kernel\n"
        "\n"
        "Usage:\n"
        "  fairlead-agent [--config FILE] [flags]           run; one on each node, as root\n"
        "  fairlead-agent cleanup [--config FILE] [flags]   take everything of it off this machine, when it has ended\n"
        "  fairlead-agent check [--repair] [flags]          compare the tables with the API's state, also while none "
        "runs;\n"
        "                                                   prints JSON (`fairctl check` shows it as a table)\n"
        "\n"
        "It follows Services, EndpointSlices and Nodes of the API server and keeps the kernel's tables equal to them.\n"
        "It replaces kube-proxy and, with fairlead-cni, the pod network. When it ends (TERM, INT, kill -9, upgrade)\n"
        "traffic goes on; the next start takes over what is there. `cleanup` is what really ends it.\n"
        "\n"
        "To try it on a node:\n"
        "  fairlead-agent --kubeconfig /etc/kubernetes/kubelet.conf --log-level debug\n"
        "  curl http://127.0.0.1:10256/healthz; curl http://127.0.0.1:10256/metrics; fairctl status\n"
        "\n"
        "A setting is a flag, or a line of the file; a flag wins:\n"
        "  --routing=native --devices=eth0,eth1        routing: native\n"
        "                                              devices: [eth0, eth1]\n"
        "\n"
        "  --config FILE                   read settings from this YAML file\n"
        "  --help, --version\n";

static const char permissions[] =
        "\n"
        "It needs these permissions of the API server: get, list and watch services, nodes and endpointslices\n"
        "(discovery.k8s.io); create and patch events. Of the kernel: root at the start; then it keeps CAP_NET_ADMIN,\n"
        "CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN (bpffs, entering pods' network namespaces) and CAP_SYS_PTRACE (finding\n"
        "them), and gives up the rest.\n"
        "\n"
        "Signals: TERM and INT end it and leave the tables in place. Ready: READY=1 to $NOTIFY_SOCKET (Type=notify).\n";

static const char *value_name(const struct setting *s)
{
        switch (s->type) {
        case SETTING_BOOL:
                return "=true|false";
        case SETTING_SECONDS:
        case SETTING_MS:
                return "=TIME";
        default:
                return "=N";
        }
}

static void print_setting(const struct setting *s)
{
        const char *colon = *s->help == '=' ? strstr(s->help, ": ") : NULL;
        const char *help = colon ? colon + 2 : s->help;
        char flag[64], left[160], text[400];

        setting_flag(s, flag);
        if (colon)
                snprintf(left, sizeof(left), "  --%s%.*s", flag, (int)(colon - s->help), s->help);
        else
                snprintf(left, sizeof(left), "  --%s%s", flag, value_name(s));
        if (s->value && !str_eq(s->value, "0"))
                snprintf(text, sizeof(text), "%s (default %s)", help, s->value);
        else
                snprintf(text, sizeof(text), "%s", help);
        if (strlen(left) >= INDENT)
                printf("%s\n%*s", left, INDENT, "");
        else
                printf("%-*s", INDENT, left);
        help_wrap(text, INDENT, INDENT);
}

void config_print_help(void)
{
        fputs(introduction, stdout);
        for (size_t i = 0; i < settings_count; i++) {
                if (setting_is_heading(&settings[i])) {
                        putchar('\n');
                        help_wrap(settings[i].help, 0, 0);
                } else {
                        print_setting(&settings[i]);
                }
        }
        fputs(permissions, stdout);
}
