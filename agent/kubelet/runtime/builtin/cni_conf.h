/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CNI's specification (0.3.1 to 1.1.0) says in JSON: the network's configuration, what each plugin is given, what
 * it answers. Pure functions on trees; those that return a tree hand it over.
 */
#pragma once

#include "agent/kubelet/runtime/runtime.h"
#include "base/json.h"

#define CNI_IFNAME "eth0"

/*
 * Of a file's text, which is a list of plugins or the configuration of one, told apart by "plugins": {"name",
 * "cniVersion", "plugins": [{"type", ...}, ...], "disableGC"}, checked. cniVersion is the newest of those that the file
 * names and that are spoken here. 0 or -EINVAL.
 */
int cni_list_parse(const char *text, size_t len, struct json_object **ret, struct err *reterr);
/* Whether what is talked with its plugins is that version or a newer one. */
bool cni_list_speaks(const struct json_object *list, const char *version);

/* What a pod asks of its network, by the names of CNI's capabilities: portMappings, bandwidth, ips, dns, and its
 * annotations. */
struct json_object *cni_asked(const struct sandbox_config *c);
/* The first capability that is asked for, that the pod cannot do without, and that no plugin declares; or NULL. */
const char *cni_list_lacks(const struct json_object *list, const struct json_object *asked);

/* What the i-th plugin reads. asked: only what it declares goes in; prev_result: or NULL. */
struct json_object *cni_plugin_input(const struct json_object *list, size_t i, const struct json_object *asked,
                                     struct json_object *prev_result);
const char *cni_plugin_type(const struct json_object *list, size_t i);

/* A plugin's answer to ADD. 0 or -EINVAL. */
int cni_result_parse(const char *text, size_t len, struct json_object **ret, struct err *reterr);
/* The addresses of the pod's interface without their prefix lengths, an array in the plugin's order. */
struct json_object *cni_result_ips(const struct json_object *result);
/* The words of a plugin's error, "msg: details", into reterr (which is left alone when there are none). The error's
 * code by the specification; 0 when the text is no error. */
int cni_error_parse(const char *text, size_t len, struct err *reterr);
