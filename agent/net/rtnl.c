/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/net/rtnl.h"
#include "base/mem.h"
#include "datapath/address.h"

#define ANSWER_SIZE 65536
#define DUMP_TRIES  5
#define TIMEOUT_S   5

struct rtnl {
        struct nl_sock *sock;
        uint32_t sequence;
        char *answer;
};

static int set_up(struct rtnl *r)
{
        const struct timeval timeout = {.tv_sec = TIMEOUT_S};
        const int on = 1;
        int fd;

        if (nl_connect(r->sock, NETLINK_ROUTE) < 0)
                return -errno;
        fd = nl_socket_get_fd(r->sock);
        setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
        nl_socket_set_buffer_size(r->sock, 1 << 20, 0);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        return 0;
}

int rtnl_open(struct rtnl **ret, struct err *reterr)
{
        _cleanup_(rtnl_closep) struct rtnl *r = mem_new(struct rtnl);
        int res;

        r->answer = mem_alloc(ANSWER_SIZE);
        r->sock = nl_socket_alloc();
        if (!r->sock)
                return -ENOMEM;
        res = set_up(r);
        if (res < 0)
                return err_set(reterr, res, "cannot open a route netlink socket: %s", strerror(-res));
        *ret = TAKE_PTR(r);
        return 0;
}

void rtnl_close(struct rtnl *r)
{
        if (!r)
                return;
        if (r->sock)
                nl_socket_free(r->sock);
        free(r->answer);
        free(r);
}

uint32_t rtnl_port(const struct rtnl *r)
{
        return nl_socket_get_local_port(r->sock);
}

void *rtnl_msg_init(struct rtnl_msg *m, uint16_t type, uint16_t flags, size_t header_size)
{
        memset(m, 0, sizeof(*m));
        m->header.nlmsg_len = NLMSG_LENGTH(header_size);
        m->header.nlmsg_type = type;
        m->header.nlmsg_flags = NLM_F_REQUEST | flags;
        return NLMSG_DATA(&m->header);
}

static struct nlattr *append(struct rtnl_msg *m, uint16_t type, size_t size)
{
        struct nlattr *a = (void *)(m->bytes + NLMSG_ALIGN(m->header.nlmsg_len));
        size_t len = NLMSG_ALIGN(m->header.nlmsg_len) + (size_t)NLA_ALIGN(NLA_HDRLEN + size);

        assert(len <= sizeof(m->bytes));
        a->nla_type = type;
        a->nla_len = (uint16_t)(NLA_HDRLEN + size);
        m->header.nlmsg_len = (uint32_t)len;
        return a;
}

void rtnl_put(struct rtnl_msg *m, uint16_t type, const void *data, size_t size)
{
        memcpy(nla_data(append(m, type, size)), data, size);
}

void rtnl_put_u8(struct rtnl_msg *m, uint16_t type, uint8_t v)
{
        rtnl_put(m, type, &v, sizeof(v));
}

void rtnl_put_u16(struct rtnl_msg *m, uint16_t type, uint16_t v)
{
        rtnl_put(m, type, &v, sizeof(v));
}

void rtnl_put_u32(struct rtnl_msg *m, uint16_t type, uint32_t v)
{
        rtnl_put(m, type, &v, sizeof(v));
}

void rtnl_put_str(struct rtnl_msg *m, uint16_t type, const char *s)
{
        rtnl_put(m, type, s, strlen(s) + 1);
}

void rtnl_put_addr(struct rtnl_msg *m, uint16_t type, const struct addr *a)
{
        if (address_is_v4(a))
                rtnl_put(m, type, a->b + 12, 4);
        else
                rtnl_put(m, type, a->b, 16);
}

struct nlattr *rtnl_nest(struct rtnl_msg *m, uint16_t type)
{
        return append(m, type | NLA_F_NESTED, 0);
}

void rtnl_nest_end(struct rtnl_msg *m, struct nlattr *nest)
{
        nest->nla_len = (uint16_t)(m->bytes + m->header.nlmsg_len - (char *)nest);
}

static int send_request(struct rtnl *r, struct rtnl_msg *m, struct err *reterr)
{
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

        m->header.nlmsg_seq = ++r->sequence;
        m->header.nlmsg_pid = rtnl_port(r);
        if (sendto(nl_socket_get_fd(r->sock), m, m->header.nlmsg_len, 0, (void *)&kernel, sizeof(kernel)) < 0)
                return err_set(reterr, -errno, "cannot send a netlink request: %s", strerror(errno));
        return 0;
}

/* What the kernel said: its number and, with extended acknowledgements, its words. */
static int read_error(const struct nlmsghdr *h, struct err *reterr)
{
        const struct nlmsgerr *e = NLMSG_DATA(h);
        size_t skip = sizeof(*e);
        struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1] = {0};
        const char *words = NULL;

        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
                return err_set(reterr, -EPROTO, "a netlink answer is cut short");
        if (!e->error)
                return 0;
        if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
                skip += e->msg.nlmsg_len - sizeof(e->msg);
        if (h->nlmsg_flags & NLM_F_ACK_TLVS && NLMSG_LENGTH(skip) < h->nlmsg_len &&
            nla_parse(attrs, NLMSGERR_ATTR_MAX, (void *)((char *)e + skip), (int)(h->nlmsg_len - NLMSG_LENGTH(skip)),
                      NULL) == 0 &&
            attrs[NLMSGERR_ATTR_MSG])
                words = nla_get_string(attrs[NLMSGERR_ATTR_MSG]);
        return err_set(reterr, e->error, "%s%s%s%s", strerror(-e->error), words ? " (" : "", words ? words : "",
                       words ? ")" : "");
}

/* One datagram of answers. */
static ssize_t receive(struct rtnl *r, struct err *reterr)
{
        ssize_t n;

        do {
                n = recv(nl_socket_get_fd(r->sock), r->answer, ANSWER_SIZE, MSG_TRUNC);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_set(reterr, errno == EAGAIN ? -ETIMEDOUT : -errno, "no netlink answer: %s",
                               strerror(errno == EAGAIN ? ETIMEDOUT : errno));
        if (n > ANSWER_SIZE)
                return err_set(reterr, -EMSGSIZE, "a netlink answer of %zd bytes is too large", n);
        return n;
}

enum { GO_ON = 1, FINISHED = 2, INTERRUPTED = 3 };

struct reading {
        rtnl_dump_fn fn;
        void *userdata;
        bool interrupted, single;
};

static int read_one(const struct rtnl *r, const struct nlmsghdr *h, struct reading *reading, struct err *reterr)
{
        int res;

        if (h->nlmsg_seq != r->sequence)
                return GO_ON; /* of a request that timed out */
        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                reading->interrupted = true;
        if (h->nlmsg_type == NLMSG_ERROR) {
                res = read_error(h, reterr);
                return res < 0 ? res : FINISHED;
        }
        if (h->nlmsg_type == NLMSG_DONE) {
                if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) && *(const int *)NLMSG_DATA(h) < 0)
                        return err_set(reterr, *(const int *)NLMSG_DATA(h), "%s",
                                       strerror(-*(const int *)NLMSG_DATA(h)));
                return FINISHED;
        }
        if (h->nlmsg_type >= NLMSG_MIN_TYPE && reading->fn)
                reading->fn(reading->userdata, h);
        return reading->single && reading->fn ? FINISHED : GO_ON;
}

static int read_answers(struct rtnl *r, struct reading *reading, struct err *reterr)
{
        int res = GO_ON;

        while (res == GO_ON) {
                ssize_t n = receive(r, reterr);
                int left = (int)n;

                if (n < 0)
                        return (int)n;
                for (struct nlmsghdr *h = (void *)r->answer; res == GO_ON && NLMSG_OK(h, (uint32_t)left);
                     h = NLMSG_NEXT(h, left))
                        res = read_one(r, h, reading, reterr);
        }
        return res < 0 ? res : reading->interrupted ? INTERRUPTED : 0;
}

int rtnl_do(struct rtnl *r, struct rtnl_msg *m, struct err *reterr)
{
        struct reading reading = {0};
        int res;

        m->header.nlmsg_flags |= NLM_F_ACK;
        res = send_request(r, m, reterr);
        return res < 0 ? res : read_answers(r, &reading, reterr);
}

int rtnl_dump(struct rtnl *r, struct rtnl_msg *m, rtnl_dump_fn fn, void (*restart)(void *userdata), void *userdata,
              struct err *reterr)
{
        m->header.nlmsg_flags |= NLM_F_DUMP;
        for (int i = 0; i < DUMP_TRIES; i++) {
                struct reading reading = {.fn = fn, .userdata = userdata};
                int res = send_request(r, m, reterr);

                if (res == 0)
                        res = read_answers(r, &reading, reterr);
                if (res != INTERRUPTED)
                        return res;
                restart(userdata);
        }
        return err_set(reterr, -EAGAIN, "the kernel's tables change faster than they can be read");
}

int rtnl_get(struct rtnl *r, struct rtnl_msg *m, rtnl_dump_fn fn, void *userdata, struct err *reterr)
{
        struct reading reading = {.fn = fn, .userdata = userdata, .single = true};
        int res = send_request(r, m, reterr);

        return res < 0 ? res : read_answers(r, &reading, reterr);
}
