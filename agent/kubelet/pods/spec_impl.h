/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of pods/spec*.c; each has one part of the result. */
#pragma once

#include "agent/kubelet/pods/envs.h"
#include "agent/kubelet/pods/spec.h"

/* A container of a pod that is being looked at. */
struct spec_work {
        const struct spec *s;
        const struct json_object *pod, *spec, *container;
        const char *ns, *name, *uid; /* of the pod; never NULL */
        const char *container_name;
        struct arena *mem;
};

/* What was not written stays "" or NULL. */
struct spec_work spec_work(const struct spec *s, const struct json_object *container, struct arena *mem);
void spec_warn(const struct spec_work *w, const char *reason, const char *fmt, ...) _printf_(3, 4);
/* The addresses of the pod: the sandbox's, or the node's on its network; may be empty, never NULL. */
const char *const *spec_ips(const struct spec_work *w);
bool spec_host_network(const struct spec_work *w);
/* The container's value, or else the pod's, of a securityContext's field. */
struct json_object *spec_security_field(const struct spec_work *w, const char *field);

/* All of envFrom, env and the service links; in the order in which they are told. */
int spec_env(const struct spec_work *w, struct envs *ret, struct err *reterr);
/* Upstream's IsEnvVarName is the rule of envFrom's keys. -E2BIG when the kernel would take no such program. */
int spec_env_fits(const char *const *argv, const char *const *env, struct err *reterr);

int spec_security(const struct spec_work *w, const struct image *image, struct container_security *ret,
                  struct err *reterr);

/* volumeMounts, /etc/hosts, the termination log. env: for subPathExpr. */
int spec_mounts(const struct spec_work *w, const struct envs *env, struct container_config *ret, struct err *reterr);

/* Hostname, and the domain behind it ("" without a subdomain). */
int spec_hostname(const struct spec_work *w, const char **ret_name, const char **ret_domain, struct err *reterr);
/* What the sandbox is called: the name, or with setHostnameAsFQDN all of it. */
int spec_sandbox_hostname(const struct spec_work *w, const char **ret, struct err *reterr);
/* The text of the pod's /etc/hosts. */
int spec_hosts(const struct spec_work *w, const char **ret, struct err *reterr);
/* The text of the pod's resolv.conf. */
int spec_resolv_conf(const struct spec_work *w, const char **ret, struct err *reterr);

/* "net/ipv4/tcp_rmem" and "net.ipv4.tcp_rmem" are one; in the arena, with dots. */
const char *spec_sysctl_name(const char *name, struct arena *mem);
