/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container says of its own end: its termination log, or (FallbackToLogsOnError) the end of its output. Bounds
 * are the API's: 4096 bytes of the file, 2048 bytes or 80 lines of the output.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/kubelet/pods/containers.h"
#include "agent/kubelet/pods/worker.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#define FILE_MAX      4096
#define LOG_MAX       2048
#define LOG_LINES_MAX 80
#define LOG_READ_MAX  16384 /* of the log's end, with what CRI writes in front of each line */

/* The end of a plain file; a container cannot make us follow a link or wait for a pipe. */
static char *read_end(const char *path, size_t limit)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        char *text;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0)
                return NULL;
        text = mem_alloc(limit + 1);
        n = pread(fd, text, limit, st.st_size > (off_t)limit ? st.st_size - (off_t)limit : 0);
        text[MAX(n, (ssize_t)0)] = '\0';
        return text;
}

/* "2016-10-06T00:17:09.669794202Z stdout F text": the text; NULL: no such line. */
static const char *line_text(const char *line, const char *end, bool *ret_partial)
{
        const char *at = line;

        for (int i = 0; i < 3; i++) {
                at = memchr(at, ' ', (size_t)(end - at));
                if (!at)
                        return NULL;
                if (i == 1)
                        *ret_partial = at[1] == 'P';
                at++;
        }
        return at;
}

static void keep_last_lines(struct strbuf *b)
{
        size_t lines = 0, from = b->len;

        while (from > 0 && b->len - from < LOG_MAX) {
                if (b->data[from - 1] == '\n' && from != b->len && ++lines == LOG_LINES_MAX)
                        break;
                from--;
        }
        memmove(b->data, b->data + from, b->len - from + 1);
        b->len -= from;
}

static char *log_end(const char *path)
{
        _cleanup_free_ char *raw = read_end(path, LOG_READ_MAX);
        struct strbuf b = STRBUF_NULL;

        for (const char *line = raw, *end; line && *line; line = end + 1) {
                bool partial = false;
                const char *text;

                end = strchrnul(line, '\n');
                text = line_text(line, end, &partial);
                if (text)
                        strbuf_add(&b, text, (size_t)(end - text) + (*end && !partial));
                if (!*end)
                        break;
        }
        if (!b.len)
                return NULL;
        keep_last_lines(&b);
        return strbuf_take(&b, NULL);
}

/* Clients get JSON: what is no UTF-8 becomes '?'. */
static char *clean(char *text)
{
        for (char *at = text, *end = text ? text + strlen(text) : NULL; at < end;) {
                size_t n = (unsigned char)*at < 0x80 ? 1 : utf8_len((unsigned char *)at, (size_t)(end - at));

                if (!n)
                        *at = '?';
                at += n ?: 1;
        }
        return text;
}

char *last_words(const struct volumes *v, const char *uid, const struct json_object *container,
                 const struct container_status *c)
{
        _cleanup_free_ char *name = mem_printf("termination-log-%s", c->name), *path = volumes_pod_file(v, uid, name);
        char *text = path ? read_end(path, FILE_MAX) : NULL;

        if (!text && str_eq(json_get_str(container, "terminationMessagePolicy"), "FallbackToLogsOnError") &&
            instance_exit_code(c) && c->log_path)
                text = log_end(c->log_path);
        return clean(text);
}
