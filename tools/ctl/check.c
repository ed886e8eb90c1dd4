/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl check: runs `fairlead-agent check` with the settings of the node's agent, and shows what it says. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"

#define AGENT "fairlead-agent"

static const struct cli_flag flags[] = {
        {"--repair", NULL, "have the agent write everything anew; done here when none runs", NULL, CLI_ANY},
        {"--kubeconfig", "FILE", "the way to the API (that of the agent)", NULL, CLI_ANY},
        {"--config", "FILE", "the agent's settings, instead of those it was started with", NULL, CLI_ANY},
        {0},
};

static const struct column columns[] = {
        {"TABLE", "table", COLUMN_TEXT, false, "the map"},
        {"OBJECT", "object", COLUMN_TEXT, false, "what of it"},
        {"DIFFERENCE", "difference", COLUMN_TEXT, false, "what is, and what should be"},
};

struct words {
        char **items;
        size_t n;
};

static void add_word(struct words *w, char *word)
{
        w->items = mem_realloc(w->items, w->n + 2, sizeof(*w->items));
        w->items[w->n++] = word;
        w->items[w->n] = NULL;
}

static void free_words(struct words *w)
{
        for (size_t i = 0; i < w->n; i++)
                free(w->items[i]);
        free(w->items);
}

/* The program that the agent runs as, else the one beside this program, else that of the PATH. */
static char *agent_program(struct view *v)
{
        const char *known = json_get_str(view_agent_status(v), "program");
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *beside, *slash;

        if (known && access(known, X_OK) == 0)
                return mem_strdup(known);
        if (n <= 0)
                return mem_strdup(AGENT);
        self[n] = '\0';
        slash = strrchr(self, '/');
        beside = mem_printf("%.*s/" AGENT, (int)(slash - self), self);
        if (access(beside, X_OK) == 0)
                return beside;
        free(beside);
        return mem_strdup(AGENT);
}

static void add_flag(struct view *v, struct words *w, const char *flag)
{
        if (view_value(v, flag))
                add_word(w, mem_printf("%s=%s", flag, view_value(v, flag)));
}

static void make_words(struct view *v, struct words *w)
{
        const struct json_object *known = json_get(view_agent_status(v), "arguments");

        add_word(w, agent_program(v));
        add_word(w, mem_strdup("check"));
        if (view_is_set(v, "--repair"))
                add_word(w, mem_strdup("--repair"));
        if (!view_value(v, "--config")) {
                json_array_foreach (known, i, word) {
                        if (json_is_string(word))
                                add_word(w, mem_strdup(json_object_get_string(word)));
                }
        }
        add_flag(v, w, "--config");
        add_flag(v, w, "--kubeconfig");
        if (view_value(v, "--pin-root"))
                add_word(w, mem_printf("--pin-root=%s", view_value(v, "--pin-root")));
        if (view_value(v, "--run-dir"))
                add_word(w, mem_printf("--run-dir=%s", view_value(v, "--run-dir")));
}

/* Paths among the agent's arguments are as from where it was started. */
static void enter_folder(struct view *v)
{
        const char *folder = json_get_str(view_agent_status(v), "folder");

        if (folder && !view_value(v, "--config") && !view_value(v, "--kubeconfig") && chdir(folder))
                fprintf(stderr, "fairctl check: cannot enter %s, where the agent was started: %s\n", folder,
                        strerror(errno));
}

static int read_all(int fd, struct strbuf *ret)
{
        ssize_t n;

        do {
                n = read(fd, strbuf_reserve(ret, 65536), 65536);
                ret->len += n > 0 ? (size_t)n : 0;
        } while (n > 0 || (n < 0 && errno == EINTR));
        *strbuf_reserve(ret, 1) = '\0';
        return n < 0 ? -errno : 0;
}

/* What the program prints. 0, or negative errno after a complaint, the program's own or ours. */
static int run_program(const struct words *w, struct strbuf *ret)
{
        posix_spawn_file_actions_t actions;
        int pipes[2], status = 0, r;
        pid_t pid;

        if (pipe2(pipes, O_CLOEXEC))
                return -errno;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
        r = posix_spawnp(&pid, w->items[0], &actions, NULL, w->items, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(pipes[1]);
        if (r) {
                fprintf(stderr, "fairctl check: cannot run %s: %s; it must be beside fairctl or on the PATH\n",
                        w->items[0], strerror(r));
        } else {
                r = -read_all(pipes[0], ret);
                waitpid(pid, &status, 0);
                r = !r && (!WIFEXITED(status) || WEXITSTATUS(status)) ? EIO : r;
        }
        close(pipes[0]);
        return -r;
}

static int64_t compared(const struct json_object *said, const char *what)
{
        return json_get_i64(json_get(said, "compared"), what, 0);
}

static void print_summary(const struct view *v, const struct json_object *said, size_t n)
{
        int64_t repaired = json_get_i64(said, "repaired", 0);
        enum tone tone = n ? TONE_BAD : TONE_GOOD;

        if (n)
                putchar('\n');
        if (view_is_set(v, "--repair"))
                printf("%" PRId64 " %s put right\n", repaired, repaired == 1 ? "difference was" : "differences were");
        printf("%s%s%s: %" PRId64 " frontends, %" PRId64 " endpoints, %" PRId64 " routes and %" PRId64
               " pods of node %s were compared with the API\n",
               tone_begin(tone, v->color), n ? "the tables differ" : "the tables are right", tone_end(tone, v->color),
               compared(said, "frontends"), compared(said, "endpoints"), compared(said, "routes"),
               compared(said, "pods"), json_get_str(said, "node"));
        if (n && !view_is_set(v, "--repair"))
                puts("`fairctl check --repair` puts them right; traffic goes on meanwhile");
}

static int print_said(struct view *v, const struct strbuf *text)
{
        _cleanup_json_ struct json_object *said = NULL;
        const struct json_object *list;
        struct table t;
        struct err err = ERR_NULL;

        if (json_parse(text->data, text->len, &said, &err)) {
                fprintf(stderr, "fairctl check: %s says what is not understood: %s\n", AGENT, err.msg);
                return 2;
        }
        list = json_get(said, "differences");
        if (v->json) {
                fputs(text->data, stdout);
                return json_len(list) ? 1 : 0;
        }
        view_table(v, &t);
        json_array_foreach (list, i, item) {
                table_cell(&t, "%s", json_get_str(item, "table"));
                table_cell(&t, "%s", json_get_str(item, "object"));
                table_cell(&t, "%s", json_get_str(item, "difference"));
        }
        if (json_len(list))
                table_print(&t, stdout);
        table_deinit(&t);
        print_summary(v, said, json_len(list));
        return json_len(list) ? 1 : 0;
}

static int run(struct view *v)
{
        _cleanup_strbuf_ struct strbuf said = STRBUF_NULL;
        struct words words = {0};
        int r;

        make_words(v, &words);
        enter_folder(v);
        r = run_program(&words, &said);
        free_words(&words);
        return r ? 2 : print_said(v, &said);
}

const struct cli_command ctl_check = {
        .name = "check",
        .summary = "compare the tables with what the API wants, and repair them",
        .flags = flags,
        .columns = columns,
        .width = ARRAY_SIZE(columns),
        .about = "Lists Services, EndpointSlices and Nodes as the agent would, makes the tables that should be, and "
                 "compares\n"
                 "them with the pinned ones by meaning. What differs is looked at twice, a second apart, since a table "
                 "that\n"
                 "is just being written differs for a moment. Needs no agent that runs, but its program and the way to "
                 "the\n"
                 "API. Exit status: 0 the tables are right, 1 something differs, 2 it could not be found out.\n",
        .examples = "fairctl check\n"
                    "fairctl check --repair\n"
                    "fairctl check -o json | jq .differences\n"
                    "fairctl check --kubeconfig /etc/fairlead/agent-n1.kubeconfig\n",
        .prints = true,
        .has_maps = true,
        .blind = 2,
        .run = run,
};
