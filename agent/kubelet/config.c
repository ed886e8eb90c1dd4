/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/config.h"
#include "base/flags.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/quantity.h"

#define AT(field)   offsetof(struct kubelet_config, field)
#define LIST(field) offsetof(struct kubelet_config, field.text)

static const struct flag flags[] = {
        {.kind = FLAG_HEADING, .help = "The API server and this node:"},
        {"kubeconfig", FLAG_TEXT, AT(kubeconfig), NULL,
         "=FILE: where the API server is (default $KUBECONFIG, ~/.kube/config)", 0, 0},
        {"node-name", FLAG_TEXT, AT(node_name), NULL, "=NAME: of the Node object (default: the host's, in lower case)",
         0, 0},
        {"node-ip", FLAG_TEXT, LIST(node_ips), NULL,
         "=IP[,IP]: its addresses, the first family first (default: the one that the API server is reached from)", 0,
         0},
        {"register-node", FLAG_BOOL, AT(register_node), "true", "make the Node object when there is none", 0, 0},
        {"node-labels", FLAG_TEXT, LIST(node_labels), NULL, "=KEY=VALUE,...: labels of the Node", 0, 0},
        {"register-with-taints", FLAG_TEXT, LIST(taints), NULL, "=KEY=VALUE:EFFECT,...: taints of a Node that is made",
         0, 0},
        {"provider-id", FLAG_TEXT, AT(provider_id), NULL, "=ID: spec.providerID of the Node", 0, 0},
        {"max-pods", FLAG_U32, AT(max_pods), "110", "pods that it takes", 1, 100000},
        {"system-reserved", FLAG_TEXT, AT(reserved), NULL,
         "=NAME=QUANTITY,...: what is not for pods: cpu=100m,memory=200Mi,ephemeral-storage=1Gi,pid=100", 0, 0},
        {"node-lease-duration", FLAG_MS, AT(lease_ms), "40s", "of its Lease, which is renewed four times as often",
         4000, 3600000},
        {"node-status-update-frequency", FLAG_MS, AT(status_ms), "10s", "how often its conditions are looked at", 100,
         3600000},

        {.kind = FLAG_HEADING, .help = "Served:"},
        {"address", FLAG_TEXT, AT(address), "0.0.0.0", "=IP: of the HTTPS server for the API server (logs, exec, ...)",
         0, 0},
        {"port", FLAG_U32, AT(port), "10250", "its port; 0: any", 0, 65535},
        {"tls-cert-file", FLAG_TEXT, AT(cert_file), NULL, "=FILE: its certificate (default: one that signs itself)", 0,
         0},
        {"tls-private-key-file", FLAG_TEXT, AT(key_file), NULL, "=FILE: and the key", 0, 0},
        {"client-ca-file", FLAG_TEXT, AT(client_ca_file), NULL,
         "=FILE: who signs the API server's client certificate (default: the kubeconfig's CA)", 0, 0},
        {"client-name", FLAG_TEXT, AT(client_name), "kube-apiserver-kubelet-client",
         "=NAME: common name of the one that is let in", 0, 0},
        {"listen", FLAG_TEXT, AT(health_address), "127.0.0.1:10248",
         "=ADDRESS:PORT: of /healthz and /metrics in plain HTTP; none: not served", 0, 0},

        {.kind = FLAG_HEADING, .help = "Pods:"},
        {"pod-manifest-path", FLAG_TEXT, AT(static_pods), NULL, "=FOLDER: static pods, a YAML or JSON file each", 0, 0},
        {"cluster-dns", FLAG_TEXT, LIST(cluster_dns), NULL,
         "=IP[,IP]: name servers of pods with dnsPolicy ClusterFirst", 0, 0},
        {"cluster-domain", FLAG_TEXT, AT(cluster_domain), "cluster.local", "=DOMAIN: of services' names", 0, 0},
        {"resolv-conf", FLAG_TEXT, AT(resolv_conf), "/etc/resolv.conf", "=FILE: the node's, which pods inherit", 0, 0},
        {"cni-conf-dir", FLAG_TEXT, AT(cni_conf_dir), "/etc/cni/net.d",
         "=FOLDER: the first configuration in it is used", 0, 0},
        {"cni-bin-dir", FLAG_TEXT, AT(cni_bin_dirs), "/opt/cni/bin:/usr/lib/cni", "=FOLDER:...: of CNI plugins", 0, 0},
        {"cni-timeout", FLAG_MS, AT(cni_timeout_ms), "60s", "after which a plugin is given up", 100, 3600000},
        {"crash-backoff", FLAG_MS, AT(backoff_initial_ms), "10s",
         "until a container that ended is started again; doubles", 1, 3600000},
        {"crash-backoff-max", FLAG_MS, AT(backoff_max_ms), "5m", "at most", 1, 3600000},
        {"pod-max-pids", FLAG_U32, AT(pod_max_pids), "0",
         "processes and threads of one pod; 0: 16384 where the pids controller is in cgroup v2, else no limit, because "
         "there each pod would start 9 ms later",
         0, 4194304},
        {"container-log-max-size", FLAG_TEXT, AT(log_max_size), "10Mi", "=QUANTITY: then a log is rotated", 0, 0},
        {"container-log-max-files", FLAG_U32, AT(log_max_files), "5", "files of one container", 2, 1000},
        {"eviction-hard", FLAG_TEXT, AT(eviction_hard), NULL,
         "=SIGNAL<VALUE,...: when pods are evicted (default memory.available<100Mi, nodefs.available<10%, "
         "nodefs.inodesFree<5%, imagefs.available<15%, imagefs.inodesFree<5%); none: never",
         0, 0},
        {"eviction-minimum-reclaim", FLAG_TEXT, AT(eviction_reclaim), NULL,
         "=SIGNAL=VALUE,...: so much more is freed then", 0, 0},
        {"eviction-pressure-transition-period", FLAG_MS, AT(eviction_transition_ms), "5m",
         "until a pressure that is over is told to be", 1, 86400000},
        {.kind = FLAG_HEADING, .help = "Images:"},
        {"registries-conf", FLAG_TEXT, AT(registries_conf), NULL, "=FILE: mirrors (containers-registries.conf(5))", 0,
         0},
        {"registry-certs", FLAG_TEXT, AT(registry_certs), NULL,
         "=FOLDER: *.crt are CAs of all registries (default: the system's, and containers-certs.d(5))", 0, 0},
        {"image-disk-folder", FLAG_TEXT, AT(image_disk_folder), NULL,
         "=FOLDER: pods may name images below it: oci:/FOLDER/...:TAG, oci-archive:, docker-archive:, dir: (default: "
         "none)",
         0, 0},
        {"image-max-size", FLAG_TEXT, AT(image_max_size), "64Gi", "=QUANTITY: that an image may be, unpacked", 0, 0},
        {"max-parallel-image-pulls", FLAG_U32, AT(parallel_pulls), "3", "at a time", 1, 100},
        {"image-gc-high-threshold", FLAG_U32, AT(image_gc_high), "85", "percent of the disk; then unused images go", 1,
         100},
        {"minimum-image-ttl-duration", FLAG_MS, AT(image_min_age_ms), "2m", "until an unused image may go", 1000,
         86400000},
        {"image-gc-low-threshold", FLAG_U32, AT(image_gc_low), "80", "until it is at that", 1, 100},

        {.kind = FLAG_HEADING, .help = "Folders and programs:"},
        {"root-dir", FLAG_TEXT, AT(root_dir), "/var/lib/fairlead/kubelet", "=FOLDER: volumes, what containers write", 0,
         0},
        {"image-dir", FLAG_TEXT, AT(image_dir), "/var/lib/fairlead/images", "=FOLDER: images", 0, 0},
        {"run-dir", FLAG_TEXT, AT(run_dir), "/run/fairlead", "=FOLDER: records of what runs; gone after a boot", 0, 0},
        {"log-dir", FLAG_TEXT, AT(log_dir), "/var/log/pods", "=FOLDER: containers' logs", 0, 0},
        {"cgroup-root", FLAG_TEXT, AT(cgroup_root), "", "=GROUP: kubepods is made below it", 0, 0},
        {"seccomp-dir", FLAG_TEXT, AT(seccomp_dir), "/var/lib/fairlead/seccomp", "=FOLDER: Localhost profiles", 0, 0},
        {"shim", FLAG_TEXT, AT(shim), NULL, "=FILE: fairlead-shim (default: beside this program)", 0, 0},
        {"crun", FLAG_TEXT, AT(crun), "/usr/bin/crun", "=FILE: runs containers", 0, 0},
        {"skopeo", FLAG_TEXT, AT(skopeo), "/usr/bin/skopeo", "=FILE: fetches images", 0, 0},
        {"umoci", FLAG_TEXT, AT(umoci), "/usr/bin/umoci", "=FILE: unpacks them", 0, 0},
        {"log-level", FLAG_TEXT, AT(log_level), "info", "=LEVEL: debug, info, warn or error", 0, 0},
};

static const char introduction[] =
        "fairlead-kubelet " FAIRLEAD_VERSION ": runs the pods of one node of a Kubernetes cluster\n"
        "\n"
        "Usage:\n"
        "  fairlead-kubelet [flags]\n"
        "\n"
        "It registers the node, follows the pods that are bound to it, and runs them by crun with overlayfs and the "
        "CNI\n"
        "plugin that is configured. What it started goes on when it ends, and is adopted when it is started again.\n"
        "Needs root, cgroup v2 (beside v1 or alone), crun, skopeo and umoci.\n"
        "\n"
        "To try it without a cluster, with a static pod:\n"
        "  fairlead-kubelet --kubeconfig kubelet.kubeconfig --pod-manifest-path /etc/fairlead/manifests\n"
        "  curl http://127.0.0.1:10248/healthz\n";

/* The flag's text is cut at its commas in a copy. */
static int split(struct config_list *list, const char *flag, struct err *reterr)
{
        size_t n = 0;

        if (str_empty(list->text)) {
                list->text = NULL;
                return 0;
        }
        list->text = mem_strdup(list->text);
        for (char *rest = list->text, *item; (item = strsep(&rest, ","));) {
                if (!*item)
                        continue;
                if (n == CONFIG_LIST_MAX)
                        return err_set(reterr, -EINVAL, "--%s: use at most %d", flag, CONFIG_LIST_MAX);
                list->items[n++] = item;
        }
        return 0;
}

static int split_all(struct kubelet_config *c, struct err *reterr)
{
        struct {
                struct config_list *list;
                const char *flag;
        } lists[] = {{&c->node_ips, "node-ip"},
                     {&c->node_labels, "node-labels"},
                     {&c->taints, "register-with-taints"},
                     {&c->cluster_dns, "cluster-dns"}};
        int result = 0;

        /* All of them, also after a mistake: from here on each is ours to free. */
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                int r = split(lists[i].list, lists[i].flag, reterr);

                result = result ?: r;
        }
        return result;
}

static int own_names(struct kubelet_config *c, struct err *reterr)
{
        char self[400];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (str_empty(c->node_name)) {
                if (gethostname(c->own_name, sizeof(c->own_name) - 1))
                        return err_set(reterr, -errno, "the host's name: %s", strerror(errno));
                for (char *p = c->own_name; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                c->node_name = c->own_name;
        }
        if (str_empty(c->shim) && n > 0) {
                self[n] = '\0';
                snprintf(c->own_shim, sizeof(c->own_shim), "%s/fairlead-shim", dirname(self));
                c->shim = c->own_shim;
        }
        return 0;
}

static int check(struct kubelet_config *c, struct err *reterr)
{
        enum log_level level;
        struct quantity size;

        if (log_level_parse(c->log_level, &level))
                return err_set(reterr, -EINVAL, "--log-level=%s: use debug, info, warn or error", c->log_level);
        if (str_empty(c->cert_file) != str_empty(c->key_file))
                return err_set(reterr, -EINVAL, "--tls-cert-file and --tls-private-key-file: use both or none");
        if (quantity_parse(c->log_max_size, &size, NULL) || quantity_value(&size) < 4096)
                return err_set(reterr, -EINVAL, "--container-log-max-size=%s: use a quantity of 4Ki or more, as 10Mi",
                               c->log_max_size);
        c->log_max_bytes = (uint64_t)quantity_value(&size);
        if (quantity_parse(c->image_max_size, &size, NULL) || quantity_value(&size) < 1 << 20)
                return err_set(reterr, -EINVAL, "--image-max-size=%s: use a quantity of 1Mi or more, as 64Gi",
                               c->image_max_size);
        c->image_max_bytes = (uint64_t)quantity_value(&size);
        if (c->image_gc_low >= c->image_gc_high)
                return err_set(reterr, -EINVAL, "--image-gc-low-threshold=%u: use less than the high one, which is %u",
                               c->image_gc_low, c->image_gc_high);
        if (c->backoff_max_ms < c->backoff_initial_ms)
                return err_set(reterr, -EINVAL, "--crash-backoff-max: use at least --crash-backoff");
        return 0;
}

int kubelet_config_parse(int argc, char **argv, struct kubelet_config *ret, struct err *reterr)
{
        const struct flag_table table = {flags, ARRAY_SIZE(flags), ret};
        const struct flag_program line = {
                .name = "fairlead-kubelet", .introduction = introduction, .tables = &table, .ntables = 1};
        int r, r2;

        *ret = (struct kubelet_config){0};
        r = flag_program_parse(&line, argc, argv, reterr);
        r2 = split_all(ret, r ? NULL : reterr);
        r = r ?: r2;
        if (!r)
                r = own_names(ret, reterr);
        return r ?: check(ret, reterr);
}

void kubelet_config_deinit(struct kubelet_config *c)
{
        free(c->node_ips.text);
        free(c->node_labels.text);
        free(c->taints.text);
        free(c->cluster_dns.text);
}
