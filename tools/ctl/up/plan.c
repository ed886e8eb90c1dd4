/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of a cluster: they follow from its number, so that clusters side by side have networks of their own. */
#include <stdio.h>

#include "ctl/up/cluster.h"

const char *plan_fabric(const struct cluster *c, bool v6, unsigned host, char buf[static PLAN_SIZE])
{
        snprintf(buf, PLAN_SIZE, v6 ? "fd10:18:0:%x::%x" : "198.18.%u.%u", c->number, host);
        return buf;
}

const char *plan_outside(const struct cluster *c, bool v6, unsigned host, char buf[static PLAN_SIZE])
{
        snprintf(buf, PLAN_SIZE, v6 ? "fd10:19:0:%x::%x" : "198.19.%u.%u", c->number, host);
        return buf;
}

const char *plan_pods(const struct cluster *c, bool v6, char buf[static PLAN_SIZE])
{
        snprintf(buf, PLAN_SIZE, v6 ? "fd10:128:%x::/48" : "10.%u.0.0/16", v6 ? c->number : 128 + c->number);
        return buf;
}

const char *plan_services(const struct cluster *c, bool v6, char buf[static PLAN_SIZE])
{
        snprintf(buf, PLAN_SIZE, v6 ? "fd10:64:%x::/112" : "10.%u.0.0/16", v6 ? c->number : 64 + c->number);
        return buf;
}

const char *plan_service(const struct cluster *c, bool v6, unsigned host, char buf[static PLAN_SIZE])
{
        snprintf(buf, PLAN_SIZE, v6 ? "fd10:64:%x::%x" : "10.%u.0.%u", v6 ? c->number : 64 + c->number, host);
        return buf;
}

const char *plan_both(const struct cluster *c, const char *(*fn)(const struct cluster *c, bool v6, char *buf),
                      char buf[static 2 * PLAN_SIZE])
{
        char v4[PLAN_SIZE] = "", v6[PLAN_SIZE] = "";

        snprintf(buf, 2 * PLAN_SIZE, "%s%s%s", c->v4 ? fn(c, false, v4) : "", c->v4 && c->v6 ? "," : "",
                 c->v6 ? fn(c, true, v6) : "");
        return buf;
}
