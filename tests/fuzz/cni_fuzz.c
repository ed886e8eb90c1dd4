/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a runtime gives the CNI plugin. The input is environment lines (NAME=value, each ended by a newline), an empty
 * line, and standard input. Nothing crashes; each refusal has a code of the specification and a message; what is
 * accepted is within the bounds that the rest of the plugin counts on, and makes a result that is JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/node.h"
#include "cni/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VARIABLES_MAX 16

static char *variables[VARIABLES_MAX];

static char *fake_getenv(const char *name)
{
        size_t n = strlen(name);

        for (int i = 0; i < VARIABLES_MAX && variables[i]; i++)
                if (strncmp(variables[i], name, n) == 0 && variables[i][n] == '=')
                        return variables[i] + n + 1;
        return NULL;
}

static void require(bool holds)
{
        if (!holds)
                abort();
}

/* Returns what is behind the empty line. */
static const char *take_environment(const char *s, const char *end)
{
        int count = 0;

        while (s < end && *s != '\n') {
                const char *nl = memchr(s, '\n', (size_t)(end - s)), *stop = nl ? nl : end;

                if (count < VARIABLES_MAX)
                        variables[count++] = mem_strndup(s, (size_t)(stop - s));
                s = nl ? nl + 1 : end;
        }
        return s < end ? s + 1 : end;
}

static void drop_environment(void)
{
        for (int i = 0; i < VARIABLES_MAX; i++) {
                free(variables[i]);
                variables[i] = NULL;
        }
}

static void refused(int code, const struct err *err)
{
        require(code >= CNI_BAD_VERSION && code <= CNI_BAD_CONFIG && code == err->code && *err->msg);
}

static void accepted(const struct cni_env *env, const struct cni_conf *conf)
{
        struct attachment a = {.host_ifname = "fl0123456789ab", .mtu = 1450};
        _cleanup_json_ struct json_object *result = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL;

        require(cni_name_valid(conf->name, NETWORK_NAME_MAX) && *conf->run_dir == '/');
        require(conf->nips <= REQUESTED_IPS_MAX && conf->nports <= PORT_MAPPINGS_MAX);
        require(!conf->mtu || (conf->mtu >= MTU_MIN && conf->mtu <= MTU_MAX));
        for (size_t i = 0; i < conf->nports; i++)
                require(conf->ports[i].host_port && conf->ports[i].container_port && conf->ports[i].protocol);
        if (env->verb != VERB_ADD)
                return;
        require(str_copy(a.container_id, sizeof(a.container_id), env->container_id));
        require(str_copy(a.ifname, sizeof(a.ifname), env->ifname) && str_copy(a.netns, sizeof(a.netns), env->netns));
        memcpy(a.addresses, conf->ips, conf->nips * sizeof(*conf->ips));
        a.naddresses = conf->nips;
        result = result_add(&a, conf, conf->dns);
        text = json_text(result);
        require(json_parse(text, strlen(text), &again, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *end = (const char *)data + size, *in = take_environment((const char *)data, end);
        struct cni_conf conf = CNI_CONF_NULL;
        struct cni_env env;
        struct err err = ERR_NULL;
        struct node node;
        int r = cni_env_parse(fake_getenv, &env, &err);

        if (r) {
                refused(r, &err);
                env = (struct cni_env){
                        .verb = VERB_ADD, .container_id = "c", .netns = "/n", .ifname = "eth0", .path = ""};
        }
        r = cni_conf_parse(in, (size_t)(end - in), &env, &conf, &err);
        if (r)
                refused(r, &err);
        else
                accepted(&env, &conf);
        (void)node_parse(in, (size_t)(end - in), &node, NULL);
        cni_conf_deinit(&conf);
        drop_environment();
        return 0;
}
