/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes' long texts for bad names, as the rows need them. */
#pragma once

#define TEXT_LABEL                                                                                                     \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
        "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "             \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define TEXT_SUBDOMAIN                                                                                                 \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define TEXT_QUALIFIED                                                                                                 \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "          \
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "           \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define TEXT_LABEL_VALUE                                                                                               \
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "      \
        "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "   \
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define TEXT_CONFIG_KEY                                                                                                \
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "           \
        "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
#define TEXT_PORT     "must be between 1 and 65535, inclusive"
#define TEXT_ID       "must be between 0 and 2147483647, inclusive"
#define TEXT_NEGATIVE "must be greater than or equal to 0"
#define TEXT_IP       "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
#define TEXT_PERCENT                                                                                                   \
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used " \
        "for validation is '[0-9]+%')"
