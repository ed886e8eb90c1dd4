/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names, keys, values and addresses may look like, with Kubernetes' texts for those that do not
 * (apimachinery/pkg/api/validate/content, apimachinery/pkg/util/validation). Pure; messages are static.
 */
#pragma once

#include <stddef.h>

enum name_rule {
        NAME_DNS1123_LABEL,     /* pods' hostnames, namespaces, container names */
        NAME_DNS1123_SUBDOMAIN, /* most objects' names */
        NAME_DNS1123_SUBDOMAIN_UNDERSCORE,
        NAME_DNS1035_LABEL,      /* Services */
        NAME_WILDCARD_SUBDOMAIN, /* "*.example.com" */
        NAME_LABEL_KEY,          /* a qualified name: label keys, annotation keys (in lower case), finalizers, ... */
        NAME_LABEL_VALUE,
        NAME_PORT,            /* an IANA service name, in lower case */
        NAME_CONFIG_KEY,      /* keys of ConfigMaps and Secrets */
        NAME_ENV_VAR,         /* as ConfigMap keys that become variables are held to it */
        NAME_ENV_VAR_RELAXED, /* as containers' variables are held to it since 1.34 */
        NAME_C_IDENTIFIER,
        NAME_HTTP_HEADER,
        NAME_PERCENT,      /* "25%" */
        NAME_PATH_SEGMENT, /* names of RBAC objects and others that only must fit into a URL path */
        NAME_IP,           /* canonical enough to be new: no leading zeros, no ::ffff:1.2.3.4 */
        NAME_IP_SLOPPY,    /* as stored objects may have it */
        NAME_CIDR,
        NAME_CIDR_SLOPPY,
        NAME_RULE_COUNT,
};

#define NAME_ERRORS_MAX 6

struct name_errors {
        size_t n;
        const char *msg[NAME_ERRORS_MAX];
};

/* How many things are wrong with the value (0: none); *ret has a text for each, in Kubernetes' order. */
size_t name_check(enum name_rule rule, const char *value, struct name_errors *ret);

/* The first of them, or NULL. */
const char *name_error(enum name_rule rule, const char *value);
