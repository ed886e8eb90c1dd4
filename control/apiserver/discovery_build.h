/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of discovery, made from the schema tables. Each function returns a new tree that the caller owns. */
#pragma once

#include "base/json.h"

/* The forms in which /api and /apis can be had. */
enum discovery_form {
        DISCOVERY_LEGACY,
        DISCOVERY_V2BETA1, /* apidiscovery.k8s.io/v2beta1 APIGroupDiscoveryList */
        DISCOVERY_V2,
        DISCOVERY_FORMS,
};

/* /api (core) or /apis in that form. */
struct json_object *discovery_groups(bool core, enum discovery_form form);
/* APIGroup of one named group; with_type: with kind and apiVersion, as /apis/G has it. */
struct json_object *discovery_group(const char *group, bool with_type);
/* APIResourceList of one group and version, subresources included. */
struct json_object *discovery_resources(const char *group, const char *version);
/* /version. */
struct json_object *discovery_version(void);

/* True when that resource is the first of its group (and version) in the order of discovery. */
bool discovery_first_of_group(size_t resource);
bool discovery_first_of_version(size_t resource);
