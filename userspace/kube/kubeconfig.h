/* SPDX-License-Identifier: Apache-2.0 */
/* Where the API server is and who we are: kubeconfig files, and the service account of a pod. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* One context of a kubeconfig, resolved. Strings are owned; NULL where not given. File names are absolute or relative
 * to the working folder (in the file they are relative to the file). */
struct kubeconfig {
        char *server; /* "https://10.0.0.1:6443" */
        char *ca_file, *ca_pem;
        char *cert_file, *cert_pem;
        char *key_file, *key_pem;
        char *token, *token_file; /* token_file wins, and is read anew as it changes */
        char *server_name;        /* tls-server-name */
        char *namespace;
        bool insecure;
};

/* The named context (NULL: current-context). 0 or negative errno; the message has the file and the path in it. */
int kubeconfig_load(const char *path, const char *context, struct kubeconfig **ret, struct err *reterr);
/* The service account mounted into this pod; folder NULL is Kubernetes' own. Needs KUBERNETES_SERVICE_HOST and _PORT.
 * 0, or -ENOENT when this is no pod. */
int kubeconfig_in_cluster(const char *folder, struct kubeconfig **ret, struct err *reterr);
/* path if given, else $KUBECONFIG (its first file), else in-cluster, else ~/.kube/config. */
int kubeconfig_find(const char *path, struct kubeconfig **ret, struct err *reterr);
void kubeconfig_free(struct kubeconfig *k);
DEFINE_CLEANUP(struct kubeconfig *, kubeconfig_free)
#define _cleanup_kubeconfig_ _cleanup_(kubeconfig_freep)

/* Writes a file of one cluster, user and context (mode 0600, atomically): PEMs are embedded, files referred to. */
int kubeconfig_write(const char *path, const char *cluster, const char *user, const struct kubeconfig *k,
                     struct err *reterr);
