/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/conf.h"
#include "cni/confcap.h"

static const char *const versions[CNI_VERSIONS] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

const char *cni_version_text(enum cni_version version)
{
        return versions[version];
}

struct json_object *conf_get(const struct json_object *obj, const char *key)
{
        struct json_object *exact = json_get(obj, key);

        if (exact)
                return exact;
        json_foreach (obj, k, v)
                if (strcasecmp(k, key) == 0 && v)
                        return v;
        return NULL;
}

const char *conf_get_str(const struct json_object *obj, const char *key)
{
        struct json_object *v = conf_get(obj, key);

        return json_is_string(v) ? json_object_get_string(v) : NULL;
}

bool mac_is_zero(const struct mac *mac)
{
        return memcmp(mac, &(struct mac){{0}}, sizeof(*mac)) == 0;
}

int mac_parse(const char *text, struct mac *ret)
{
        struct mac mac;
        unsigned int b[6];
        int end = 0;

        /* The length keeps sscanf's blanks and signs out: six times two digits leave no room for them. */
        if (strlen(text) != MAC_TEXT_SIZE - 1 || strspn(text, "0123456789abcdefABCDEF:") != MAC_TEXT_SIZE - 1 ||
            sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || text[end])
                return -EINVAL;
        for (int i = 0; i < 6; i++)
                mac.b[i] = (uint8_t)b[i];
        if ((mac.b[0] & 1) || mac_is_zero(&mac))
                return -EINVAL;
        *ret = mac;
        return 0;
}

const char *mac_text(const struct mac *mac, char buf[static MAC_TEXT_SIZE])
{
        const uint8_t *b = mac->b;

        snprintf(buf, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
        return buf;
}

static int parse_root(const char *text, size_t len, struct json_object **ret, struct err *reterr)
{
        struct json_object *root = NULL;
        struct err why = ERR_NULL;

        if (json_parse(text, len, &root, &why))
                return err_set(reterr, CNI_UNDECODABLE, "standard input is not a network configuration in JSON: %s",
                               why.msg);
        if (!json_is_object(root)) {
                json_object_put(root);
                return err_set(reterr, CNI_UNDECODABLE,
                               "standard input must be a JSON object, the network configuration");
        }
        *ret = root;
        return 0;
}

static int parse_version(struct cni_conf *conf, enum cni_verb verb, struct err *reterr)
{
        static const enum cni_version since[VERB_COUNT] = {
                [VERB_CHECK] = CNI_0_4_0, [VERB_GC] = CNI_1_1_0, [VERB_STATUS] = CNI_1_1_0};
        struct json_object *given = conf_get(conf->root, "cniVersion");
        const char *text = conf_get_str(conf->root, "cniVersion");
        int found = -1;

        conf->version = CNI_1_1_0;
        if (given && !text)
                return err_set(reterr, CNI_UNDECODABLE, "cniVersion must be a string such as \"1.0.0\"");
        for (int i = 0; i < CNI_VERSIONS; i++)
                if (str_eq(text, versions[i]))
                        found = i;
        if (found < 0)
                return err_set(reterr, CNI_BAD_VERSION,
                               "cniVersion is \"%.32s\"; this plugin speaks 0.3.1, 0.4.0, 1.0.0 and 1.1.0",
                               text ? text : "0.1.0");
        conf->version = (enum cni_version)found;
        return conf->version >= since[verb]
                       ? 0
                       : err_set(reterr, CNI_BAD_VERSION, "%s exists since CNI %s; cniVersion is \"%s\"",
                                 cni_verb_name(verb), versions[since[verb]], text);
}

/* A member that must have that type when it is there. */
static int typed(struct cni_conf *conf, const char *key, enum json_type type, struct json_object **ret,
                 struct err *reterr)
{
        struct json_object *v = conf_get(conf->root, key);

        if (v && !json_object_is_type(v, type))
                return err_set(reterr, CNI_BAD_CONFIG, "%s must be %s %s", key,
                               type == json_type_object || type == json_type_array ? "an" : "a",
                               json_type_to_name(type));
        *ret = v;
        return 0;
}

static int parse_name(struct cni_conf *conf, struct err *reterr)
{
        conf->name = conf_get_str(conf->root, "name");
        if (conf->name && cni_name_valid(conf->name, NETWORK_NAME_MAX))
                return 0;
        return err_set(reterr, CNI_BAD_CONFIG,
                       "name, the network's, must begin with a letter or digit, go on with letters, digits, \"_\", "
                       "\".\" or \"-\", and have at most %d bytes",
                       NETWORK_NAME_MAX);
}

static int parse_run_dir(struct cni_conf *conf, struct err *reterr)
{
        struct json_object *v = NULL;
        int r = typed(conf, "runDir", json_type_string, &v, reterr);

        if (r)
                return r;
        conf->run_dir = v ? json_object_get_string(v) : RUN_DIR_DEFAULT;
        /* The socket's path must fit into a struct sockaddr_un. */
        if (*conf->run_dir != '/' || strlen(conf->run_dir) > 90)
                return err_set(reterr, CNI_BAD_CONFIG,
                               "runDir must be an absolute path of at most 90 bytes, the agent's run_dir");
        return 0;
}

static int parse_mtu(struct cni_conf *conf, struct err *reterr)
{
        struct json_object *v = NULL;
        int r = typed(conf, "mtu", json_type_int, &v, reterr);
        int64_t mtu = v ? json_object_get_int64(v) : 0;

        if (r)
                return r;
        if (mtu && (mtu < MTU_MIN || mtu > MTU_MAX))
                return err_set(reterr, CNI_BAD_CONFIG, "mtu is %lld; it must be %d to %d, or 0 for the node's",
                               (long long)mtu, MTU_MIN, MTU_MAX);
        conf->mtu = (uint32_t)mtu;
        return 0;
}

static int parse_ipam(struct cni_conf *conf, struct err *reterr)
{
        struct json_object *ipam = NULL;
        int r = typed(conf, "ipam", json_type_object, &ipam, reterr);

        if (r || !ipam || !json_object_object_length(ipam))
                return r;
        conf->ipam_type = conf_get_str(ipam, "type");
        if (str_empty(conf->ipam_type) || strchr(conf->ipam_type, '/') || *conf->ipam_type == '.')
                return err_set(reterr, CNI_BAD_CONFIG,
                               "ipam.type must be the name of an IPAM plugin in CNI_PATH; without ipam the addresses "
                               "come from the node's pod CIDRs");
        return 0;
}

static int parse_prev_result(struct cni_conf *conf, enum cni_verb verb, struct err *reterr)
{
        int r = typed(conf, "prevResult", json_type_object, &conf->prev_result, reterr);

        /* Whatever stands there, DEL tidies up. */
        if (verb == VERB_DEL)
                return 0;
        if (!r && verb == VERB_CHECK && !conf->prev_result)
                r = err_set(reterr, CNI_BAD_CONFIG, "CHECK needs prevResult, the result of the ADD");
        return r;
}

static int parse_valid_attachments(struct cni_conf *conf, struct err *reterr)
{
        struct json_object *list = NULL;
        int r = typed(conf, "cni.dev/valid-attachments", json_type_array, &list, reterr);

        if (r)
                return r;
        if (!list)
                return err_set(reterr, CNI_BAD_CONFIG,
                               "GC needs cni.dev/valid-attachments, the list of what is to stay ([] when nothing is)");
        json_array_foreach (list, i, v)
                if (!conf_get_str(v, "containerID") || !conf_get_str(v, "ifname"))
                        return err_set(reterr, CNI_BAD_CONFIG,
                                       "cni.dev/valid-attachments[%zu] must be {\"containerID\":\"...\",\"ifname\":"
                                       "\"...\"}",
                                       i);
        conf->valid_attachments = list;
        return 0;
}

static int parse_for_verb(struct cni_conf *conf, const struct cni_env *env, struct err *reterr)
{
        int r = parse_name(conf, reterr);

        if (!r)
                r = parse_run_dir(conf, reterr);
        if (!r)
                r = parse_ipam(conf, reterr);
        if (!r)
                r = parse_prev_result(conf, env->verb, reterr);
        if (!r && env->verb == VERB_GC)
                r = parse_valid_attachments(conf, reterr);
        if (r || (env->verb != VERB_ADD && env->verb != VERB_CHECK && env->verb != VERB_STATUS))
                return r;
        r = parse_mtu(conf, reterr);
        if (!r)
                r = typed(conf, "dns", json_type_object, &conf->dns, reterr);
        if (!r && env->verb == VERB_ADD)
                r = conf_parse_capabilities(conf, env, reterr);
        return r;
}

int cni_conf_parse(const char *text, size_t len, const struct cni_env *env, struct cni_conf *ret, struct err *reterr)
{
        _cleanup_(cni_conf_deinit) struct cni_conf conf = {.version = CNI_1_1_0};
        int r = parse_root(text, len, &conf.root, reterr);

        if (!r)
                r = parse_version(&conf, env->verb, reterr);
        if (!r)
                r = parse_for_verb(&conf, env, reterr);
        if (r) {
                ret->version = conf.version;
                return r;
        }
        *ret = TAKE(conf, CNI_CONF_NULL);
        return 0;
}

void cni_conf_deinit(struct cni_conf *conf)
{
        free(conf->ports);
        json_object_put(conf->root);
        *conf = CNI_CONF_NULL;
}
