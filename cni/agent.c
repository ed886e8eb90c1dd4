/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cni/agent.h"
#include "cni/code.h"

#define ANSWER_BYTES_MAX 65536

static int connect_with(const char *run_dir, int flags, int *ret, struct err *reterr)
{
        static const struct timeval limit = {.tv_sec = AGENT_TIMEOUT_MS / 1000};
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

        snprintf(to.sun_path, sizeof(to.sun_path), "%s/agent.sock", run_dir);
        /* The limit of sending is also that of connecting, when the agent's queue is full. */
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
            connect(fd, (struct sockaddr *)&to, sizeof(to)))
                return err_set(reterr, CNI_TRY_LATER, "fairlead-agent does not answer at %s: %s; is it running?",
                               to.sun_path, strerror(errno));
        *ret = TAKE_FD(fd);
        return 0;
}

int agent_connect(const char *run_dir, int *ret, struct err *reterr)
{
        return connect_with(run_dir, 0, ret, reterr);
}

int agent_send(int fd, const char *op, const char *id, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "{\"op\":\"%s\"", op);
        if (id) {
                strbuf_add_str(&b, ",\"id\":");
                strbuf_add_json_str(&b, id, strlen(id));
        }
        strbuf_add_str(&b, "}\n");
        if (send(fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len)
                return 0;
        return err_set(reterr, CNI_TRY_LATER, "fairlead-agent does not take the request \"%s\": %s", op,
                       strerror(errno));
}

/* One line. 0 or CNI_TRY_LATER. */
static int read_line(int fd, uint32_t timeout_ms, struct strbuf *line, struct err *reterr)
{
        uint64_t end = clock_mono_ms() + timeout_ms;

        while (!line->len || !memchr(line->data, '\n', line->len)) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                uint64_t now = clock_mono_ms();
                int ready = now < end ? poll(&p, 1, (int)(end - now)) : 0;
                ssize_t n;

                if (ready < 0 && errno == EINTR)
                        continue;
                if (!ready)
                        return err_set(reterr, CNI_TRY_LATER, "fairlead-agent did not answer within %u ms", timeout_ms);
                n = recv(fd, strbuf_reserve(line, 4096), 4096, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n <= 0 || line->len + (size_t)n > ANSWER_BYTES_MAX)
                        return err_set(reterr, CNI_TRY_LATER, "fairlead-agent ended the connection without an answer");
                line->len += (size_t)n;
        }
        return 0;
}

int agent_answer(int fd, uint32_t timeout_ms, struct agent_status *ret_status, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf line = STRBUF_NULL;
        _cleanup_json_ struct json_object *answer = NULL;
        const char *problem;
        int r = read_line(fd, timeout_ms, &line, reterr);

        if (r)
                return r;
        if (json_parse(line.data, (size_t)((char *)memchr(line.data, '\n', line.len) - line.data), &answer, NULL) ||
            !json_is_object(answer))
                return err_set(reterr, CNI_TRY_LATER, "fairlead-agent answered something that is no JSON object");
        if (!json_get_bool(answer, "ok", false)) {
                problem = json_get_str(answer, "error");
                return err_set(reterr, CNI_TRY_LATER, "fairlead-agent refuses: %s",
                               problem ? problem : "no reason given");
        }
        if (ret_status) {
                problem = json_get_str(answer, "problem");
                ret_status->ready = json_get_bool(answer, "ready", false);
                str_copy(ret_status->problem, sizeof(ret_status->problem), problem ? problem : "");
        }
        return 0;
}

void agent_tell_detach(const char *run_dir, const char *id)
{
        _cleanup_close_ int fd = -1;

        if (connect_with(run_dir, SOCK_NONBLOCK, &fd, NULL) == 0)
                agent_send(fd, "detach", id, NULL);
}
