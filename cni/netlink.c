/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "cni/netlink.h"

#define MESSAGE_MAX 2048
#define ANSWER_MAX  65536

int netlink_open(struct netlink *ret, struct err *reterr)
{
        static const int on = 1;
        struct sockaddr_nl own = {.nl_family = AF_NETLINK};
        struct netlink nl = {.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), .first_seq = 1};

        if (nl.fd < 0 || bind(nl.fd, (struct sockaddr *)&own, sizeof(own))) {
                int r = -errno;

                netlink_close(&nl);
                return err_set(reterr, r, "cannot open a netlink socket: %s", strerror(-r));
        }
        /* Both only make answers better: reasons in words, and no copies of the request. */
        (void)setsockopt(nl.fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
        (void)setsockopt(nl.fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
        *ret = nl;
        return 0;
}

void netlink_close(struct netlink *nl)
{
        if (nl->fd >= 0)
                close(nl->fd);
        strbuf_deinit(&nl->out);
        *nl = NETLINK_NULL;
}

struct nl_msg *netlink_request(int type, int flags, const void *header, size_t n)
{
        struct nl_msg *msg = nlmsg_alloc_size(MESSAGE_MAX);
        struct nlmsghdr *h = msg ? nlmsg_put(msg, 0, 0, type, 0, NLM_F_REQUEST | flags) : NULL;

        if (!h || nlmsg_append(msg, (void *)header, n, NLMSG_ALIGNTO))
                abort(); /* out of memory */
        return msg;
}

uint32_t netlink_add(struct netlink *nl, struct nl_msg *msg, int tolerated, const char *what, ...)
{
        struct nlmsghdr *h = nlmsg_hdr(msg);
        uint32_t step = nl->count;
        va_list ap;

        if (step == NETLINK_BATCH_MAX)
                abort(); /* batches are made by a few fixed functions */
        h->nlmsg_seq = nl->first_seq + step;
        h->nlmsg_flags |= NLM_F_ACK;
        strbuf_add(&nl->out, h, NLMSG_ALIGN(h->nlmsg_len));
        nlmsg_free(msg);
        va_start(ap, what);
        vsnprintf(nl->steps[step].what, sizeof(nl->steps[step].what), what, ap);
        va_end(ap);
        nl->steps[step].tolerated = tolerated;
        nl->steps[step].result = -EINPROGRESS;
        nl->count++;
        return step;
}

/* The kernel's own words behind an error, or NULL. */
static const char *reason_of(struct nlmsghdr *h)
{
        struct nlmsgerr *e = nlmsg_data(h);
        size_t skip = sizeof(*e) + (h->nlmsg_flags & NLM_F_CAPPED ? 0 : e->msg.nlmsg_len - sizeof(e->msg));
        struct nlattr *attr;

        if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || (size_t)nlmsg_datalen(h) < skip)
                return NULL;
        attr = nla_find((struct nlattr *)((char *)e + NLMSG_ALIGN(skip)), nlmsg_datalen(h) - (int)NLMSG_ALIGN(skip),
                        NLMSGERR_ATTR_MSG);
        return attr ? nla_get_string(attr) : NULL;
}

/* Notes one answer. */
static void note(struct netlink *nl, struct nlmsghdr *h, uint32_t *left, uint32_t *failed, struct err *reterr)
{
        struct nlmsgerr *e = nlmsg_data(h);
        uint32_t step = h->nlmsg_seq - nl->first_seq;

        if (h->nlmsg_type != NLMSG_ERROR || step >= nl->count || nl->steps[step].result != -EINPROGRESS)
                return;
        nl->steps[step].result = e->error;
        --*left;
        if (!e->error || -e->error == nl->steps[step].tolerated)
                return;
        if (*failed > step) {
                const char *reason = reason_of(h);

                *failed = step;
                err_set(reterr, e->error, "cannot %s: %s%s%s", nl->steps[step].what, strerror(-e->error),
                        reason ? ": " : "", reason ? reason : "");
        }
}

static ssize_t receive(struct netlink *nl, void *buf, size_t size)
{
        ssize_t n;

        do
                n = recv(nl->fd, buf, size, 0);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static int send_all(struct netlink *nl, const void *data, size_t n, struct err *reterr)
{
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

        if (sendto(nl->fd, data, n, 0, (struct sockaddr *)&kernel, sizeof(kernel)) == (ssize_t)n)
                return 0;
        return err_set(reterr, -errno, "cannot send to netlink: %s", strerror(errno));
}

int netlink_run(struct netlink *nl, uint32_t *ret_failed, struct err *reterr)
{
        _cleanup_free_ char *buf = mem_alloc(ANSWER_MAX);
        uint32_t left = nl->count, failed = UINT32_MAX;
        int r = nl->count ? send_all(nl, nl->out.data, nl->out.len, reterr) : 0;

        while (!r && left) {
                ssize_t n = receive(nl, buf, ANSWER_MAX);
                int rest = (int)n;

                if (n < 0)
                        r = err_set(reterr, (int)n, "cannot receive from netlink: %s", strerror((int)-n));
                for (struct nlmsghdr *h = (struct nlmsghdr *)buf; n > 0 && nlmsg_ok(h, rest); h = nlmsg_next(h, &rest))
                        note(nl, h, &left, &failed, reterr);
        }
        if (!r && failed != UINT32_MAX) {
                r = nl->steps[failed].result;
                if (ret_failed)
                        *ret_failed = failed;
        }
        nl->first_seq += nl->count;
        nl->count = 0;
        nl->out.len = 0;
        return r;
}

int netlink_ask(struct netlink *nl, struct nl_msg *msg, void (*call)(struct nlmsghdr *h, void *userdata),
                void *userdata, struct err *reterr)
{
        _cleanup_free_ char *buf = mem_alloc(ANSWER_MAX);
        struct nlmsghdr *request = nlmsg_hdr(msg);
        bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, more = true;
        uint32_t seq = nl->first_seq++;
        int r;

        request->nlmsg_seq = seq;
        r = send_all(nl, request, request->nlmsg_len, reterr);
        nlmsg_free(msg);
        while (!r && more) {
                ssize_t n = receive(nl, buf, ANSWER_MAX);
                int rest = (int)n;

                if (n < 0)
                        return err_set(reterr, (int)n, "cannot receive from netlink: %s", strerror((int)-n));
                for (struct nlmsghdr *h = (struct nlmsghdr *)buf; nlmsg_ok(h, rest); h = nlmsg_next(h, &rest)) {
                        if (h->nlmsg_seq != seq)
                                continue;
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return ((struct nlmsgerr *)nlmsg_data(h))->error;
                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        call(h, userdata);
                        more = dump;
                }
        }
        return r;
}
