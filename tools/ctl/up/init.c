/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/up/init.h"
#include "ctl/up/net.h"
#include "ctl/view.h"

#define SPEC_LIMIT (1 << 20)

static int put(const char *path, const char *text, struct err *reterr)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
        return 0;
}

/* Addresses are good at once: nobody else has them. */
static int set_sysctls(struct err *reterr)
{
        static const struct {
                const char *path, *value;
        } all[] = {
                {"/proc/sys/net/ipv6/conf/all/accept_dad", "0"},
                {"/proc/sys/net/ipv6/conf/default/accept_dad", "0"},
                {"/proc/sys/net/ipv4/ip_forward", "1"},
                {"/proc/sys/net/ipv6/conf/all/forwarding", "1"},
        };
        int r = 0;

        for (size_t i = 0; !r && i < ARRAY_SIZE(all); i++)
                if (!strstr(all[i].path, "ipv6") || access("/proc/sys/net/ipv6", F_OK) == 0)
                        r = put(all[i].path, all[i].value, reterr);
        return r;
}

/* Packets leave with whole checksums and no larger than the MTU, as on a wire: a veth's conveniences would let XDP
 * programs see half-made ones. */
static int bring_up(const struct json_object *spec, struct err *reterr)
{
        const char *name = json_get_str(spec, "name"), *device = json_get_str(spec, "device");
        int r = sethostname(name, strlen(name)) ? err_set(reterr, -errno, "sethostname: %s", strerror(errno)) : 0;

        if (!r)
                r = set_sysctls(reterr);
        if (!r)
                r = net_ip(json_get_str(spec, "network"), reterr);
        return r || !device ? r : net_ethtool(device, ETHTOOL_STXCSUM, 0, reterr);
}

static int read_spec(const char *folder, struct json_object **ret, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/machine.json", folder), *text = NULL;
        size_t n;
        int r = file_read(path, SPEC_LIMIT, &text, &n, reterr);

        return r ? r : json_parse(text, n, ret, reterr);
}

/* Until the cable is laid; false when whoever starts this machine is gone. */
static bool await_cable(void)
{
        char byte;

        return read(INIT_TALK, &byte, 1) == 1;
}

static int begin(const char *folder, struct json_object **ret_spec, int *ret_home, struct err *reterr)
{
        int r = read_spec(folder, ret_spec, reterr);

        if (!r)
                r = init_mount(folder, *ret_spec, ret_home, reterr);
        return r ? r : bring_up(*ret_spec, reterr);
}

static int run(struct view *v)
{
        _cleanup_json_ struct json_object *spec = NULL;
        _cleanup_close_ int home = -1;
        struct err err = ERR_NULL;
        int r;

        if (getpid() != 1)
                return view_wrong(v, "this is for `fairctl up`, which makes the namespaces for it");
        for (int fd = INIT_TALK; fd <= INIT_LOCK; fd++)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
        log_init("init", LOG_LEVEL_INFO);
        signal(SIGPIPE, SIG_IGN);
        if (!await_cable())
                return 1;
        r = begin(view_argument(v, 0), &spec, &home, &err);
        if (!r)
                r = init_supervise(spec, home, INIT_TALK, &err);
        if (!r)
                return 0;
        dprintf(INIT_TALK, "%s", err.msg);
        log_error("this machine cannot run", "error=%s", err.msg);
        return 1;
}

const struct cli_command ctl_machine = {
        .name = "__machine",
        .summary = "the first process of a machine of `fairctl up`",
        .arguments = "FOLDER",
        .examples = "fairctl __machine /var/lib/fairlead/clusters/fairlead/machines/node-1\n",
        .hidden = true,
        .run = run,
};
