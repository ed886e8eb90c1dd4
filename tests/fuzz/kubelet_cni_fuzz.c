/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kubelet reads of the pod network: a configuration file, and what plugins print. The input is a
 * configuration, a NUL, a plugin's result, a NUL, a plugin's error. Nothing crashes; what is refused has a message; of
 * what is accepted each plugin gets an input with name, version and type, and addresses are addresses.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/runtime/builtin/cni_conf.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void check_inputs(const struct json_object *list, struct json_object *result)
{
        static const struct port_mapping port = {80, 8080, "TCP", NULL};
        const struct sandbox_config c = {
                .ports = &port, .nports = 1, .resolv_conf = "nameserver 10.0.0.1\nsearch a b\n"};
        _cleanup_json_ struct json_object *asked = cni_asked(&c);

        cni_list_lacks(list, asked);
        for (size_t i = 0; i < json_len(json_get(list, "plugins")); i++) {
                _cleanup_json_ struct json_object *in = cni_plugin_input(list, i, asked, result);

                require(json_get_str(in, "name") && json_get_str(in, "cniVersion"));
                require(str_eq(json_get_str(in, "type"), cni_plugin_type(list, i)));
                require(!strchr(cni_plugin_type(list, i), '/') && *cni_plugin_type(list, i));
        }
}

static void check_ips(const struct json_object *result)
{
        _cleanup_json_ struct json_object *ips = cni_result_ips(result);
        unsigned char binary[16];

        json_array_foreach (ips, i, ip) {
                const char *text = json_object_get_string(ip);

                require(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, binary) == 1);
        }
}

/* The piece up to a NUL; what is behind it is left. */
static struct str_span take(const char **at, const char *end)
{
        const char *nul = memchr(*at, '\0', (size_t)(end - *at)), *stop = nul ? nul : end;
        struct str_span piece = {*at, (size_t)(stop - *at)};

        *at = nul ? nul + 1 : end;
        return piece;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *at = (const char *)data, *end = at + size;
        struct str_span conf = take(&at, end), answer = take(&at, end), error = take(&at, end);
        _cleanup_json_ struct json_object *list = NULL, *result = NULL;
        struct err err = ERR_NULL;

        require(cni_list_parse(conf.s, conf.n, &list, &err) == 0 || err.msg[0]);
        err = ERR_NULL;
        require(cni_result_parse(answer.s, answer.n, &result, &err) == 0 || err.msg[0]);
        if (result)
                check_ips(result);
        if (list)
                check_inputs(list, result);
        cni_error_parse(error.s, error.n, &err);
        return 0;
}
