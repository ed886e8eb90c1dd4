/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/net/conflist.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "datapath/address.h"

#define FILE_MAX 65536

static struct json_object *text_of(const char *s)
{
        return json_object_new_string(s);
}

static void add_addresses(struct json_object *list, const struct net_inputs *in)
{
        const struct addr *own[] = {&in->v4, &in->v6};
        char text[ADDRESS_TEXT];

        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (!address_is_zero(own[i]))
                        json_object_array_add(list, text_of(address_text(own[i], text)));
}

void node_json_text(const struct net_inputs *in, uint32_t mtu, struct strbuf *ret)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct json_object *cidrs = json_object_new_array(), *gateways = json_object_new_array();
        struct json_object *addresses = json_object_new_array();
        char text[ADDRESS_TEXT];

        for (size_t i = 0; in->own && i < in->own->cidrs_n; i++)
                json_object_array_add(
                        cidrs, text_of(address_cidr_text(&in->own->cidrs[i].addr, in->own->cidrs[i].bits, text)));
        json_object_array_add(gateways, text_of("169.254.1.1"));
        json_object_array_add(gateways, text_of("fe80::1"));
        add_addresses(addresses, in);
        json_set_i64(o, "version", 1);
        json_set_str(o, "nodeName", in->own ? in->own->name : "");
        json_set(o, "podCIDRs", cidrs);
        json_set_i64(o, "mtu", mtu);
        json_set(o, "gateways", gateways);
        json_set(o, "hostAddresses", addresses);
        json_write(ret, o);
        strbuf_add_char(ret, '\n');
}

void conflist_text(const struct agent_config *config, struct strbuf *ret)
{
        static const char *const capabilities[] = {"portMappings", "bandwidth", "ips", "mac"};
        static const char *const spoken[] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct json_object *plugins = json_object_new_array(), *plugin = json_object_new_object();
        struct json_object *c = json_ensure(plugin, "capabilities"), *versions = json_object_new_array();

        for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
                json_set_bool(c, capabilities[i], true);
        json_set_str(plugin, "type", "fairlead-cni");
        json_set_str(plugin, "runDir", config->run_dir);
        json_object_array_add(plugins, plugin);
        /* Runtimes since CNI 1.1 choose the newest that they know of cniVersions, and then call GC and STATUS, too;
         * older ones look at cniVersion only. */
        json_set_str(o, "cniVersion", "0.4.0");
        for (size_t i = 0; i < ARRAY_SIZE(spoken); i++)
                json_object_array_add(versions, text_of(spoken[i]));
        json_set(o, "cniVersions", versions);
        json_set_str(o, "name", "fairlead");
        json_set(o, "plugins", plugins);
        strbuf_add_str(ret,
                       json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        strbuf_add_char(ret, '\n');
}

int conflist_write(const char *folder, const char *name, const struct strbuf *text, mode_t mode, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", folder, name), *old = NULL;
        size_t len;
        int res;

        if (file_read(path, FILE_MAX, &old, &len, NULL) == 0 && len == text->len && !memcmp(old, text->data, len))
                return 0;
        res = file_mkdirs(folder, 0755, reterr);
        if (res == 0)
                res = file_write_atomic(path, text->data, text->len, mode, reterr);
        return res < 0 ? res : CONFLIST_WRITTEN;
}

int conflist_remove(const char *folder, const char *name, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", folder, name);

        if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
                return err_set(reterr, -errno, "cannot remove %s: %s", path, strerror(errno));
        return 0;
}
