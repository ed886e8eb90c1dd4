/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/file.h"
#include "base/mem.h"
#include "cni/code.h"
#include "cni/node.h"

#define NODE_VERSION   1
#define NODE_BYTES_MAX 65536

static int parse_ranges(struct json_object *list, struct node *node, struct err *reterr)
{
        json_array_foreach (list, i, v) {
                const char *text = json_is_string(v) ? json_object_get_string(v) : "";

                if (node->nranges == NODE_RANGES_MAX)
                        return err_set(reterr, CNI_IO, "more than %d podCIDRs", NODE_RANGES_MAX);
                if (ip_range_parse(text, &node->ranges[node->nranges]))
                        return err_set(reterr, CNI_IO, "podCIDRs[%zu]: \"%.64s\" is no CIDR such as 10.244.1.0/24", i,
                                       text);
                node->nranges++;
        }
        return 0;
}

int node_parse(const char *text, size_t len, struct node *ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *root = NULL;
        struct node node = {0};
        struct err why = ERR_NULL;
        int64_t mtu;
        int r;

        if (json_parse(text, len, &root, &why))
                return err_set(reterr, CNI_IO, "%s", why.msg);
        if (json_get_i64(root, "version", 0) != NODE_VERSION)
                return err_set(reterr, CNI_IO, "version is %lld; this plugin reads %d: is it as old as the agent?",
                               (long long)json_get_i64(root, "version", 0), NODE_VERSION);
        mtu = json_get_i64(root, "mtu", 0);
        if (mtu < MTU_MIN || mtu > MTU_MAX)
                return err_set(reterr, CNI_IO, "mtu is %lld; it must be %d to %d", (long long)mtu, MTU_MIN, MTU_MAX);
        node.mtu = (uint32_t)mtu;
        r = parse_ranges(json_get(root, "podCIDRs"), &node, reterr);
        if (!r)
                *ret = node;
        return r;
}

int node_read(const char *run_dir, struct node *ret, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/node.json", run_dir);
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        struct err why = ERR_NULL;
        int r = file_read(path, NODE_BYTES_MAX, &text, &len, &why);

        if (r == -ENOENT)
                return err_set(reterr, CNI_TRY_LATER,
                               "%s is not there: fairlead-agent has not run on this node yet, or does not know the "
                               "node's pod CIDRs yet",
                               path);
        if (r)
                return err_set(reterr, CNI_IO, "%s", why.msg);
        r = node_parse(text, len, ret, reterr);
        return r ? err_prefix(reterr, r, "%s", path) : 0;
}
