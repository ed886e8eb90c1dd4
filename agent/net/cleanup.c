/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead-agent cleanup`: the host as it was. Pods that still run lose their network. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "agent/net/conflist.h"
#include "agent/net/hostroutes.h"
#include "agent/net/record.h"
#include "agent/net/vxlan.h"
#include "agent/network.h"
#include "base/mem.h"
#include "base/str.h"

static int remove_routes(struct rtnl *rtnl, const struct net_state *state, struct err *reterr)
{
        for (size_t i = 0; i < state->routes_n; i++) {
                const struct host_route_op op = {HOST_ROUTE_DELETE, state->routes[i]};
                int res = state->routes[i].protocol == NET_ROUTE_PROTOCOL ? host_route_apply(rtnl, &op, reterr) : 0;

                if (res < 0)
                        return res;
        }
        return 0;
}

static int remove_neighbours(struct rtnl *rtnl, const struct net_state *state, struct err *reterr)
{
        for (size_t i = 0; i < state->neighbours_n; i++) {
                const struct net_neighbour *n = &state->neighbours[i];
                int res = host_neighbour_is_ours(n) ? host_neighbour_delete(rtnl, n, reterr) : 0;

                if (res < 0)
                        return res;
        }
        return 0;
}

static bool is_ours(const struct net_link *l)
{
        return (str_eq(l->name, VXLAN_DEVICE) && str_eq(l->kind, "vxlan")) ||
               (net_is_host_side(l->name) && str_eq(l->kind, "veth"));
}

static int remove_links(struct rtnl *rtnl, const struct net_state *state, struct err *reterr)
{
        for (size_t i = 0; i < state->links_n; i++) {
                int res = is_ours(&state->links[i]) ? link_delete(rtnl, state->links[i].ifindex, reterr) : 0;

                if (res < 0)
                        return err_prefix(reterr, res, "cannot remove %s", state->links[i].name);
        }
        return 0;
}

/* Of a folder of files, and the folder. */
static int remove_folder(const char *path, struct err *reterr)
{
        DIR *folder = opendir(path);
        int res = 0;

        if (!folder)
                return errno == ENOENT ? 0 : err_set(reterr, -errno, "cannot read %s: %s", path, strerror(errno));
        for (const struct dirent *e; res == 0 && (e = readdir(folder));)
                if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
                        res = conflist_remove(path, e->d_name, reterr);
        closedir(folder);
        if (res == 0 && rmdir(path) < 0 && errno != ENOENT)
                res = err_set(reterr, -errno, "cannot remove %s: %s", path, strerror(errno));
        return res;
}

static int remove_files(const struct agent_config *config, struct err *reterr)
{
        static const char *const folders[] = {"attachments", "ipam"};
        /* What the rest of the agent leaves there is removed with it. */
        static const char *const files[] = {"node.json", "agent.sock", "agent.lock", "status.json"};
        int res = conflist_remove(config->cni_conf_dir, config->cni_conf_name, reterr);

        for (size_t i = 0; i < ARRAY_SIZE(files) && res == 0; i++)
                res = conflist_remove(config->run_dir, files[i], reterr);
        for (size_t i = 0; i < ARRAY_SIZE(folders) && res == 0; i++) {
                _cleanup_free_ char *path = mem_printf("%s/%s", config->run_dir, folders[i]);

                res = remove_folder(path, reterr);
        }
        if (res == 0)
                rmdir(config->run_dir); /* when nothing else is in it */
        return res;
}

/* Of an agent that runs everything would come back. */
static int check_lock(const struct agent_config *config, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/agent.lock", config->run_dir);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
                return err_set(reterr, -EBUSY, "fairlead-agent runs on this node (it holds %s); stop it first", path);
        return 0;
}

int network_cleanup(const struct agent_config *config, struct err *reterr)
{
        _cleanup_(net_state_deinit) struct net_state state = NET_STATE_NULL;
        _cleanup_(rtnl_closep) struct rtnl *rtnl = NULL;
        int res = check_lock(config, reterr);

        /* First what new pods would be made by. */
        if (res == 0)
                res = conflist_remove(config->cni_conf_dir, config->cni_conf_name, reterr);
        if (res == 0)
                res = rtnl_open(&rtnl, reterr);
        if (res == 0)
                res = kernel_dump(rtnl, &state, reterr);
        if (res == 0)
                res = remove_routes(rtnl, &state, reterr);
        if (res == 0)
                res = remove_neighbours(rtnl, &state, reterr);
        if (res == 0)
                res = remove_links(rtnl, &state, reterr);
        return res < 0 ? res : remove_files(config, reterr);
}
